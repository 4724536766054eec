"""Sampled negatives, which all rows of a batch share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import segment_blocks
from skrec._training.hard_negatives import HardNegatives

# number of times that a pool with replacement may be drawn for one batch
LARGEST_POOL = 64
# codes (S,) of the items that were sampled for a batch
Pool = np.ndarray


@dataclass(frozen=True)
class RowCounts:
    """Numbers of rows that a sampler needs, which add up.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    n_past : int
        Number of clicks in the histories of all rows.
    clicks : ndarray of int64, shape (N,)
        Number of clicks on each item; see `count_row_clicks`.
    """

    n_rows: int
    n_past: int
    clicks: np.ndarray

    @classmethod
    def of(cls, data: CodedInteractions, n_items: int) -> RowCounts:
        """Count rows."""
        return cls(data.n_rows, _n_past(data), count_row_clicks(data, n_items))

    def plus(self, other: RowCounts, sign: int = 1) -> RowCounts:
        """Return the sum of two counts, or with ``sign=-1`` their difference."""
        return RowCounts(
            self.n_rows + sign * other.n_rows,
            self.n_past + sign * other.n_past,
            self.clicks + sign * other.clicks,
        )


def _n_past(data: CodedInteractions) -> int:
    """Return the number of clicks in the histories of all rows."""
    return int(np.diff(data.history_offsets)[data.history_of_row].sum())


class NegativeSampler:
    """Sampler of the pool of items that the rows of a batch share as negatives.

    An item of the pool is encoded once per batch, so a large number of negatives is cheap. Items
    that must not be negatives of a row, such as those in its history, are masked. To make up for
    them, the pool is larger than `n_negatives` by the expected number of masked items. If it is
    still too small for a row, it is extended.

    Parameters
    ----------
    data : CodedInteractions or RowCounts
        The training rows, or their numbers, which don't suffice for hard negatives.
    n_items : int
        N, the number of items in the catalogue.
    n_negatives : int or "all"
        Number of negatives per row. With "all", the pool is the whole catalogue.
    sampling : {"uniform", "popularity", "in_batch"}
        "uniform" samples without replacement. "popularity" samples with replacement, in proportion
        to 1 plus the number of clicks on an item. "in_batch" is the same, but the clicks of the
        batch come first in the pool; see `put_clicks_first`.
    log_popularity : ndarray of float32, shape (N,), default=None
        What is added to the scores of the items, and is therefore not learned.
    n_hard_negatives : int, default=0
        Number of hard negatives per row, in addition to the others.

    Attributes
    ----------
    log_q : ndarray of float32, shape (N,), or None
        What the loss subtracts from the scores: the log of the probability with which each item is
        sampled, relative to uniform sampling, minus `log_popularity`. None if it is 0.
    hard : HardNegatives or None
        Hard negatives of each item. None if there are none.
    hard_log_q : ndarray of float32, shape (N,), or None
        What the loss subtracts from the scores of hard negatives, on the scale of `log_q`.
    in_batch : bool
        Whether the clicks of the batch are negatives of the other rows.
    takes_all : bool
        Whether the pool is the whole catalogue.
    n_missing : int
        Number of negatives that rows lacked because the pool was too small, since this was set
        to 0.
    """

    def __init__(
        self,
        data: CodedInteractions | RowCounts,
        n_items: int,
        n_negatives: int | str,
        sampling: str,
        log_popularity: np.ndarray | None = None,
        n_hard_negatives: int = 0,
    ):
        self.takes_all, self.in_batch = n_negatives == "all", sampling == "in_batch"
        n_negatives = n_items if self.takes_all else int(n_negatives)
        self.n_items, self.n_negatives = n_items, n_negatives
        self.n_missing = 0
        self.log_q = self._cumulative = None
        if self.takes_all:
            self._size = n_items
        else:
            self._choose_size(data, sampling)
        self.hard = self.hard_log_q = None
        if n_hard_negatives:
            assert isinstance(data, CodedInteractions)
            self.hard = HardNegatives(data, n_items, n_hard_negatives)
            # A row is expected to sample item j n * q_j times, and its log_q is log(n * q_j) plus
            # log(N / n), the constant that makes it 0 for uniform sampling. A hard negative is
            # there exactly once, whatever q_j is, so it has log(1) plus the same constant. The row
            # does not sample it as well. So the sum over the negatives estimates that over the
            # catalogue, and hard negatives do not distort the scores that are learned.
            n_sampled = n_negatives if self._cumulative is not None else min(n_negatives, n_items)
            self.hard_log_q = np.full(n_items, math.log(n_items / n_sampled), dtype=np.float32)
            if log_popularity is not None:
                self.hard_log_q -= log_popularity
        if log_popularity is not None:
            self.log_q = (0 if self.log_q is None else self.log_q) - log_popularity

    def _choose_size(self, data: CodedInteractions | RowCounts, sampling: str) -> None:
        """Set the size of the pool and, if items are not equally likely, their probabilities."""
        n_items, n_negatives = self.n_items, self.n_negatives
        n_past = data.n_past if isinstance(data, RowCounts) else _n_past(data)
        # fraction of the items, per row
        masked = min(1.0, n_past / max(1, data.n_rows) / n_items)
        self._size = n_negatives + math.ceil(n_negatives * masked)
        if sampling in ("popularity", "in_batch"):
            if isinstance(data, RowCounts):
                clicks = data.clicks
            else:
                clicks = count_row_clicks(data, n_items)
            weight = clicks + 1.0
            # popular items are in many histories, and are therefore masked more often
            masked = min(1.0, float(clicks @ (weight / weight.sum())) / max(1, data.n_rows))
            self._size = n_negatives + math.ceil(n_negatives * masked)
            # a click of another row is also drawn in proportion to its number of clicks; the 1 is
            # added for the samples that fill up the pool
            self.log_q = np.log(weight * (n_items / weight.sum())).astype(np.float32)
            self._cumulative = np.cumsum(weight) / weight.sum()

    def draw(self, rng: np.random.Generator) -> Pool:
        """Sample the codes (S,) of the pool of one batch."""
        if self.takes_all:
            return np.arange(self.n_items)
        if self._cumulative is None:
            return rng.choice(self.n_items, min(self._size, self.n_items), replace=False)
        at = np.searchsorted(self._cumulative, rng.random(self._size), side="right")
        return np.minimum(at, self.n_items - 1)  # the last cumulative sum may round to less than 1

    def put_clicks_first(self, pool: Pool, clicks: np.ndarray, rng: np.random.Generator) -> Pool:
        """Return a pool that begins with the clicks of the batch, in random order.

        An item that was clicked several times is there several times, as in a pool with
        replacement. The pool has room for clicks that are forbidden in a row. If the batch has
        fewer clicks, the drawn items follow.

        Parameters
        ----------
        pool : ndarray of int64, shape (S,)
            Codes of the pool, as returned by `draw`.
        clicks : ndarray of int, shape (m,)
            Codes of the clicks of the batch.
        rng : numpy.random.Generator
            Generator of the order.

        Returns
        -------
        ndarray of int64, shape (S',)
            S' is at most twice S.
        """
        return np.concatenate([rng.permutation(clicks), pool])[: 2 * len(pool)]

    def extend(self, pool: Pool, rng: np.random.Generator) -> Pool:
        """Return a pool with about twice the items; the same pool if it cannot grow.

        Parameters
        ----------
        pool : ndarray of int64, shape (S,)
            Codes of the pool.
        rng : numpy.random.Generator
            Generator of the new items.

        Returns
        -------
        ndarray of int64, shape (S',)
            The pool, followed by the new items.
        """
        if self._cumulative is not None:
            return pool if len(pool) >= LARGEST_POOL * self._size else self._join(pool, rng)
        n_left = self.n_items - len(pool)
        ranks = rng.choice(n_left, min(n_left, len(pool)), replace=False)
        return np.concatenate([pool, _others(np.sort(pool), ranks)])

    def _join(self, pool: Pool, rng: np.random.Generator) -> Pool:
        """Return a pool followed by as many items drawn with replacement."""
        return np.concatenate([pool, *(self.draw(rng) for _ in range(len(pool) // self._size))])

    def fill(self, pool: Pool, need: np.ndarray, rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Choose items of the pool as negatives of each row: the first ones that are allowed.

        Parameters
        ----------
        pool : ndarray of int64, shape (S,)
            Codes of the pool, as returned by `draw`.
        need : ndarray of int, shape (B,)
            Number of negatives that each row needs.
        rows, codes : ndarray of int, shape (n_forbidden,)
            Pairs of a row and an item that must not be a negative of this row.

        Returns
        -------
        ndarray of bool, shape (B, S)
            Mask of the items that are negatives of a row. If too few items are allowed, a row has
            fewer negatives than it needs.
        """
        if not len(pool):
            return np.zeros((len(need), 0), dtype=bool)
        distinct, inverse = np.unique(pool, return_inverse=True)
        at = np.minimum(np.searchsorted(distinct, codes), len(distinct) - 1)
        drawn = distinct[at] == codes
        allowed = np.ones((len(need), len(distinct)), dtype=bool)
        allowed[rows[drawn], at[drawn]] = False
        allowed = allowed[:, inverse]
        if self.takes_all:
            return allowed & (need > 0)[:, None]
        filled = allowed & (allowed.cumsum(axis=1) <= need[:, None])
        missing = need - filled.sum(axis=1)
        if missing.any():
            self.n_missing += int(np.minimum(missing, self._n_left(rows, codes, filled)).sum())
        return filled

    def choose(
        self,
        pool: Pool,
        need: np.ndarray,
        clicks: np.ndarray,
        forbidden: tuple[np.ndarray, np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose the hard negatives of rows with one click each, and items of the pool.

        Parameters
        ----------
        pool : ndarray of int64, shape (S,)
            Codes of the pool, as returned by `draw`.
        need : ndarray of int, shape (B,)
            Number of negatives that each row needs from the pool.
        clicks : ndarray of int, shape (B,)
            Codes of the clicks.
        forbidden : tuple of (ndarray of int, ndarray of int)
            Pairs of a row and an item that must not be a negative of this row.

        Returns
        -------
        hard : ndarray of int64, shape (B, n_hard_negatives)
            Codes of the hard negatives; -1 where there is none.
        sampled : ndarray of bool, shape (B, S)
            Mask of the items that are negatives of a row, as returned by `fill`. They are no hard
            negatives of the row.
        """
        if self.hard is None:
            return np.empty((len(need), 0), dtype=np.int64), self.fill(pool, need, *forbidden)
        hard = self.hard.of(clicks, np.arange(len(clicks)), forbidden)
        row, column = np.nonzero(hard >= 0)
        rows = np.concatenate([forbidden[0], row])
        codes = np.concatenate([forbidden[1], hard[row, column]])
        return hard, self.fill(pool, need, rows, codes)

    def _n_left(self, rows: np.ndarray, codes: np.ndarray, filled: np.ndarray) -> np.ndarray:
        """Return the number of negatives (B,) that a larger pool could add to each row."""
        row = np.unique(rows * self.n_items + codes) // self.n_items
        n_allowed = self.n_items - np.bincount(row, minlength=len(filled))
        if self._cumulative is not None:  # an item can be sampled any number of times
            return np.where(n_allowed > 0, self.n_negatives, 0)
        return n_allowed - filled.sum(axis=1)


def _others(pool: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the codes with the given ranks among those that are not in the ascending pool.

    The codes of the catalogue are not listed, because there may be very many of them.
    """
    # number of codes below each code of the pool that are not in the pool
    n_below = pool - np.arange(len(pool))
    return ranks + np.searchsorted(n_below, ranks, side="right")


def count_row_clicks(data: CodedInteractions, n_items: int) -> np.ndarray:
    """Return the number of clicks on each item (N,), in the rows' histories and on candidates.

    A history that several rows share counts once per row, because it is learned with each of them.
    In `skrec._data.co_clicks.count_clicks`, it counts once.

    Parameters
    ----------
    data : CodedInteractions
        The rows.
    n_items : int
        N, the number of items in the catalogue.

    Returns
    -------
    ndarray of int64, shape (N,)
    """
    n_rows = np.bincount(data.history_of_row, minlength=len(data.history_offsets) - 1)
    counts = np.zeros(n_items, dtype=np.int64)
    for block in segment_blocks(data.history_offsets):
        edges = data.history_offsets[block.start : block.stop + 1]
        codes = data.history_codes[edges[0] : edges[-1]]
        weight = np.repeat(n_rows[block], np.diff(edges))
        counts += np.bincount(codes, weight, minlength=n_items).astype(np.int64)
    if data.clicked is not None:
        clicked = data.candidate_codes[np.flatnonzero(data.clicked)]
        counts += np.bincount(clicked, minlength=n_items)
    return counts
