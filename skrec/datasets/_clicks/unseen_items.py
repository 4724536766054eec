"""Samplers of items that a user has not seen: uniform, or by popularity."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from skrec._data.ragged import BLOCK, gather_ranges, iterate_blocks, offsets_of

# number of random draws before an item is drawn from all unseen items, which is slow
MAX_TRIES = 20


def distinct_pairs(user: np.ndarray, item: np.ndarray, n_items: int) -> np.ndarray:
    """Return the distinct pairs of user and item as ``user * n_items + item``, ascending."""
    pairs = user.astype(np.int64) * n_items + item
    pairs.sort()  # ten times as fast as np.unique, which builds a hash table of ints
    return pairs[np.diff(pairs, prepend=-1) != 0]


class UnseenItemSampler:
    """Uniform sampler, without replacement, of items that a user has not seen.

    The unseen item of rank r is r plus the number of seen items before it. Let the seen items be
    a_0 < a_1 < ... There are a_j - j unseen items before a_j, so the number of seen items is found
    by a binary search for r in the sequence a_j - j. The sequences of all users are in one sorted
    array, so one search serves all users.

    Parameters
    ----------
    user, item : ndarray of int, shape (n,)
        Pairs of a user and an item that the user has seen, as positions in the ids.
    user_ids, item_ids : pyarrow.Array
    """

    def __init__(self, user: np.ndarray, item: np.ndarray, user_ids: pa.Array, item_ids: pa.Array):
        self.user_ids = user_ids
        self.n_items = len(item_ids)
        seen = distinct_pairs(user, item, self.n_items)
        self.n_seen = np.bincount(seen // self.n_items, minlength=len(user_ids))
        self.first = offsets_of(self.n_seen)[:-1]
        self.gaps = seen - gather_ranges(np.zeros_like(self.n_seen), self.n_seen)[0]

    def draw(self, user: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw n items per user.

        Parameters
        ----------
        user : ndarray of int, shape (n_rows,)
        n : int
        rng : numpy.random.Generator

        Returns
        -------
        ndarray of int64, shape (n_rows, n)

        Raises
        ------
        ValueError
            If a user has fewer than n unseen items.
        """
        n_unseen = self.n_items - self.n_seen[user]
        short = np.flatnonzero(n_unseen < n)
        if len(short):
            name = self.user_ids[int(user[short[0]])].as_py()
            raise ValueError(
                f"cannot draw {n} negatives for user {name!r}, who never met "
                f"{n_unseen[short[0]]} of {self.n_items} items; lower n_negatives and "
                "n_negatives_eval"
            )
        rank = draw_distinct(n_unseen, n, rng)
        keys = user[:, None] * self.n_items + rank
        return rank + np.searchsorted(self.gaps, keys, side="right") - self.first[user][:, None]


def draw_distinct(size: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n distinct ints below each size, by Floyd's algorithm. The shape is (len(size), n)."""
    drawn = np.empty((len(size), n), dtype=np.int64)
    for column in range(n):
        last = size - n + column
        new = rng.integers(last, endpoint=True)
        is_taken = (drawn[:, :column] == new[:, None]).any(axis=1)
        drawn[:, column] = np.where(is_taken, last, new)
    return drawn


class PopularUnseenItemSampler:
    """Sampler, without replacement, of unseen items in proportion to their weights.

    Items are drawn one after the other. A seen item is rejected and drawn again. For users who
    have seen nearly all popular items, the last items are drawn from the weights of their unseen
    items.

    Parameters
    ----------
    user, item : ndarray of int64, shape (n,)
        Pairs of a user and an item that the user has seen, as positions.
    n_users : int
    weight : ndarray of float64, shape (n_items,)
        Positive weights.
    """

    def __init__(self, user: np.ndarray, item: np.ndarray, n_users: int, weight: np.ndarray):
        self.weight = weight
        self.seen = distinct_pairs(user, item, len(weight))
        self.offsets = offsets_of(np.bincount(self.seen // len(weight), minlength=n_users))
        self.cumulative = np.cumsum(weight) / weight.sum()

    def draw(self, user: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw n items per user.

        Parameters
        ----------
        user : ndarray of int, shape (n_rows,)
            Users who have at least n unseen items.
        n : int
        rng : numpy.random.Generator

        Returns
        -------
        ndarray of int64, shape (n_rows, n)
        """
        drawn = np.full((len(user), n), -1)
        active = np.arange(len(user))
        for column in range(n):
            missing = active
            for _ in range(MAX_TRIES):
                new = self._draw_any(len(missing), rng)
                is_valid = ~self._is_seen(user[missing], new)
                is_valid &= (drawn[missing, :column] != new[:, None]).all(axis=1)
                drawn[missing[is_valid], column] = new[is_valid]
                missing = missing[~is_valid]
                if not len(missing):
                    break
            self._draw_from_unseen(drawn, missing, column, user, rng)
            active = np.setdiff1d(active, missing, assume_unique=True)
        return drawn

    def _draw_any(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw n items, seen or not, in proportion to their weights."""
        at = np.searchsorted(self.cumulative, rng.random(n), side="right")
        return np.minimum(at, len(self.weight) - 1)  # rounding can make the last sum less than one

    def _is_seen(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Return whether each user has seen the item at the same position."""
        if not len(self.seen):
            return np.zeros(len(user), dtype=bool)
        key = user * len(self.weight) + item
        at = np.minimum(np.searchsorted(self.seen, key), len(self.seen) - 1)
        return self.seen[at] == key

    def _draw_from_unseen(
        self,
        drawn: np.ndarray,
        rows: np.ndarray,
        column: int,
        user: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        """Fill the columns from `column` on of some rows of `drawn`, from unseen items only.

        Each item gets an exponential waiting time whose rate is its weight. The item with the
        shortest time is a draw in proportion to the weights, and so is each next item among the
        rest.
        """
        n_items = len(self.weight)
        for block in iterate_blocks(len(rows), max(1, BLOCK // n_items)):
            own = rows[block]
            times = rng.exponential(size=(len(own), n_items)) / self.weight
            first, last = self.offsets[user[own]], self.offsets[user[own] + 1]
            seen, offsets = gather_ranges(first, last)
            seen_row = np.repeat(np.arange(len(own)), np.diff(offsets))
            times[seen_row, self.seen[seen] % n_items] = np.inf
            np.put_along_axis(times, drawn[own, :column], np.inf, axis=1)
            drawn[own, column:] = np.argsort(times, axis=1)[:, : drawn.shape[1] - column]
