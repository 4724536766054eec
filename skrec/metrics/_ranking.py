"""Rows sorted once by group and score, and summarized as blocks of tied rows.

Rows:    group a: 0.9+  0.7-  0.7+  0.7-  0.1-      (score and label, best first)
Blocks:           [0.9] [      0.7     ]            (only blocks with a positive are kept)
before:           0     1                           (rows of the group that rank above)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skrec.metrics._groups import code_groups, run_starts

_SCORE_BITS = np.uint64(32)


class Ranking(NamedTuple):
    """Ranked groups, as counts per group and per block of tied rows that contains a positive.

    Every metric of a group is a sum over its positives. Blocks without a positive are therefore
    dropped, and there are at most as many blocks as positives.

    Parameters
    ----------
    sizes, n_pos : ndarray of shape (n_groups,)
        Number of rows and number of positives in each group.
    group : ndarray of shape (n_blocks,)
        Group of each block. Blocks are sorted by group, then by descending score.
    before, length : ndarray of shape (n_blocks,)
        Number of rows of the group that rank above the block, and number of rows in the block.
    hits_before, hits : ndarray of shape (n_blocks,)
        The same two numbers, counting positives only.
    gains : ndarray of shape (n_blocks,), or None
        Sum of the gains of the block's positives. None if each has the gain 1.
    best_gains : ndarray of shape (n_pos.sum(),), or None
        Gains of all positives, sorted by group, then in descending order.
    """

    sizes: np.ndarray
    n_pos: np.ndarray
    group: np.ndarray
    before: np.ndarray
    length: np.ndarray
    hits_before: np.ndarray
    hits: np.ndarray
    gains: np.ndarray | None = None
    best_gains: np.ndarray | None = None

    @property
    def with_positive(self) -> np.ndarray:
        """Mask of shape (n_groups,) of the groups that contain a positive."""
        return self.n_pos > 0

    @property
    def with_both(self) -> np.ndarray:
        """Mask of shape (n_groups,) of the groups that contain a positive and a negative."""
        return (self.n_pos > 0) & (self.n_pos < self.sizes)

    def sum_by_group(self, values: np.ndarray) -> np.ndarray:
        """Sum the values of the blocks of each group.

        Parameters
        ----------
        values : ndarray of shape (n_blocks,)
            One value per block.

        Returns
        -------
        ndarray of float of shape (n_groups,)
            Sum per group, which is 0 for a group without blocks.
        """
        return np.bincount(self.group, weights=values, minlength=len(self.sizes))


def rank_groups(
    positive: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray | None = None,
    gains: np.ndarray | None = None,
) -> Ranking:
    """Sort rows by group and by descending score, and count rows and positives.

    Parameters
    ----------
    positive : ndarray of bool of shape (n_rows,)
        Validated labels.
    scores : ndarray of shape (n_rows,)
        Validated scores.
    groups : ndarray of shape (n_rows,), default=None
        Validated group ids. If None, all rows form one group.
    gains : ndarray of shape (n_rows,), default=None
        Validated gains, which are positive for positives. If None, they are 1.

    Returns
    -------
    Ranking
        Counts from which all grouped metrics are computed.
    """
    # Sorting integer keys is faster than argsort or lexsort, and nothing must be gathered
    # afterwards. The stable sort is adaptive: if rows of a group are adjacent, it only has to
    # sort within groups.
    key = np.zeros(len(scores), np.uint64) if groups is None else code_groups(groups)
    key <<= _SCORE_BITS
    key |= _code_scores(scores)
    key <<= np.uint64(1)
    key |= positive
    if gains is not None:
        order = np.argsort(key, kind="stable")
        return _with_gains(_count(key[order]), gains[order][positive[order]])
    key.sort(kind="stable")
    return _count(key)


def _with_gains(ranking: Ranking, gains: np.ndarray) -> Ranking:
    """Return a ranking with the gains of its positives, which are in the order of the blocks."""
    if not len(gains):
        return ranking
    of_block = np.add.reduceat(gains, np.cumsum(ranking.hits) - ranking.hits)
    group = np.repeat(ranking.group, ranking.hits)
    return ranking._replace(gains=of_block, best_gains=gains[np.lexsort((-gains, group))])


def _count(key: np.ndarray) -> Ranking:
    """Return the counts of sorted keys, each a group code, a score code and a label bit."""
    n_rows = len(key)
    places = np.flatnonzero(key & np.uint64(1))  # places of the positives
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
    # `first` counts the positives above a block in all groups, so those of earlier groups are
    # subtracted.
    hits_before = first - (np.cumsum(n_pos) - n_pos)[group]
    return Ranking(sizes, n_pos, group, start - edges[group], length, hits_before, hits)


def _code_scores(scores: np.ndarray) -> np.ndarray:
    """Encode scores as integers below 2**32 in reverse order; equal scores get equal codes."""
    single = _exact_float32(scores)
    if single is None:
        return _descending_ranks(scores)
    bits = (single + np.float32(0)).view(np.uint32)  # adding 0 makes -0.0 equal 0.0
    # The bits of non-negative floats, read as integers, ascend with the float and must be inverted.
    # The bits of negative floats already descend.
    flip = (bits >> np.uint32(31)) - np.uint32(1)  # all ones if the sign bit is unset
    flip &= np.uint32(0x7FFFFFFF)
    return np.bitwise_xor(bits, flip, out=flip)


def _exact_float32(scores: np.ndarray) -> np.ndarray | None:
    """Return scores as float32, or None if the conversion would round them."""
    if scores.dtype == np.float32:
        return scores
    if scores.dtype.kind != "f":
        return None
    with np.errstate(over="ignore", under="ignore"):
        single = scores.astype(np.float32)
    return single if np.array_equal(single, scores) else None


def _descending_ranks(scores: np.ndarray) -> np.ndarray:
    """Return the dense rank of each score; the highest score has rank 0."""
    order = np.argsort(scores)
    ordered = scores[order]
    steps = ordered[1:] != ordered[:-1]
    ranks = np.zeros(len(scores), np.uint32)
    np.cumsum(steps, out=ranks[1:])
    codes = np.empty_like(ranks)
    codes[order] = ranks[-1] - ranks
    return codes
