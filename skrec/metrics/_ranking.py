"""Rows sorted once by group and score, summed up as blocks of tied rows.

Rows:    group a: 0.9+  0.7-  0.7+  0.7-  0.1-      (score and label, best first)
Blocks:           [0.9] [      0.7     ]            (those with a positive are kept)
before:           0     1                           (rows of the group that rank above)
"""

from typing import NamedTuple

import numpy as np

from skrec.metrics._groups import code_groups, run_starts

_SCORE_BITS = np.uint64(32)


class Ranking(NamedTuple):
    """Ranked groups, as counts for each group and for each tied block that holds a positive.

    Every metric of a group is a sum over its positives, so blocks without one are dropped, and
    what is kept is no larger than the number of positives.

    Parameters
    ----------
    sizes, n_pos : ndarray of shape (n_groups,)
        Rows and positives of each group.
    group : ndarray of shape (n_blocks,)
        Group of each block; blocks are ordered by group, then best first.
    before, length : ndarray of shape (n_blocks,)
        Rows of the group that rank above the block, and rows in it.
    hits_before, hits : ndarray of shape (n_blocks,)
        The same counts for positives only.
    """

    sizes: np.ndarray
    n_pos: np.ndarray
    group: np.ndarray
    before: np.ndarray
    length: np.ndarray
    hits_before: np.ndarray
    hits: np.ndarray

    @property
    def with_positive(self):
        """Mask of shape (n_groups,) of the groups that hold a positive."""
        return self.n_pos > 0

    @property
    def with_both(self):
        """Mask of shape (n_groups,) of the groups that hold a positive and a negative."""
        return (self.n_pos > 0) & (self.n_pos < self.sizes)

    def sum_by_group(self, values):
        """Sum one value a block over each group.

        Parameters
        ----------
        values : ndarray of shape (n_blocks,)
            The values.

        Returns
        -------
        ndarray of float of shape (n_groups,)
            The sums; 0 for a group without a block.
        """
        return np.bincount(self.group, weights=values, minlength=len(self.sizes))


def rank_groups(positive, scores, groups=None):
    """Sort rows by group and by descending score, and count.

    Parameters
    ----------
    positive : ndarray of bool of shape (n_rows,)
        Checked labels.
    scores : ndarray of shape (n_rows,)
        Checked scores.
    groups : array-like of shape (n_rows,), default=None
        Checked ids; with None all rows are one group.

    Returns
    -------
    Ranking
        The counts that all metrics share.
    """
    # One sort of plain integers beats an argsort or a lexsort and needs no gathering afterwards.
    # The stable kind is adaptive: rows that come grouped cost only the sorting inside groups.
    key = np.zeros(len(scores), np.uint64) if groups is None else code_groups(groups)
    key <<= _SCORE_BITS
    key |= _code_scores(scores)
    key <<= np.uint64(1)
    key |= positive
    key.sort(kind="stable")
    return _count(key)


def _count(key):
    n_rows = len(key)
    places = np.flatnonzero(key & np.uint64(1))  # of the positives
    key >>= np.uint64(1)
    starts = run_starts(key)
    key >>= _SCORE_BITS
    edges = run_starts(key)
    sizes = np.diff(edges, append=n_rows)

    block_of_place = np.searchsorted(starts, places, side="right") - 1
    first = run_starts(block_of_place)
    block = block_of_place[first]
    hits = np.diff(first, append=len(places))
    start = starts[block]
    length = np.append(starts, n_rows)[block + 1] - start
    group = np.searchsorted(edges, start, side="right") - 1
    n_pos = np.bincount(group, weights=hits, minlength=len(sizes)).astype(np.int64)
    # `first` counts the positives above a block over all groups.
    hits_before = first - (np.cumsum(n_pos) - n_pos)[group]
    return Ranking(sizes, n_pos, group, start - edges[group], length, hits_before, hits)


def _code_scores(scores):
    """Map scores to integers below 2**32 that ascend as scores descend, with ties kept."""
    single = _exact_float32(scores)
    if single is None:
        return _descending_ranks(scores)
    bits = (single + np.float32(0)).view(np.uint32)  # adding 0 makes -0.0 equal 0.0
    # Bits of floats order as integers do, but for negative ones, where they descend already.
    flip = (bits >> np.uint32(31)) - np.uint32(1)  # all ones where the sign bit is unset
    flip &= np.uint32(0x7FFFFFFF)
    return np.bitwise_xor(bits, flip, out=flip)


def _exact_float32(scores):
    """Return scores as float32 if that loses nothing, else None."""
    if scores.dtype == np.float32:
        return scores
    if scores.dtype.kind != "f":
        return None
    with np.errstate(over="ignore", under="ignore"):
        single = scores.astype(np.float32)
    return single if np.array_equal(single, scores) else None


def _descending_ranks(scores):
    order = np.argsort(scores)
    ordered = scores[order]
    steps = ordered[1:] != ordered[:-1]
    ranks = np.zeros(len(scores), np.uint32)
    np.cumsum(steps, out=ranks[1:])
    codes = np.empty_like(ranks)
    codes[order] = ranks[-1] - ranks
    return codes
