"""Draws of items that a user never met: uniform, or by popularity."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from skrec._data.ragged import BLOCK, gather_ranges, iterate_blocks, offsets_of

# tries at random before a row is drawn from all items, which is slow and always ends
TRIES = 20


def distinct_pairs(user: np.ndarray, item: np.ndarray, n_items: int) -> np.ndarray:
    """Return who met what, once each, as ``user * n_items + item``, ascending."""
    pairs = user.astype(np.int64) * n_items + item
    pairs.sort()  # numpy's unique puts ints into a table, which takes ten times as long
    return pairs[np.diff(pairs, prepend=-1) != 0]


class NegativeSampler:
    """Draws items that a user never met, all equally likely, without repetition.

    The r-th item that a user did not meet is r plus the number of met items before it. With the
    met ones a_0 < a_1 < ..., a_j - j unmet items stand before a_j, so that number is a binary
    search for r among a_j - j; one search in one sorted array serves all users.

    Parameters
    ----------
    user, item : ndarray of int, shape (n,)
        Who met what, as positions in the ids.
    user_ids, item_ids : pyarrow.Array
    """

    def __init__(self, user: np.ndarray, item: np.ndarray, user_ids: pa.Array, item_ids: pa.Array):
        self.user_ids = user_ids
        self.n_items = len(item_ids)
        met = distinct_pairs(user, item, self.n_items)
        self.n_met = np.bincount(met // self.n_items, minlength=len(user_ids))
        self.first = offsets_of(self.n_met)[:-1]
        self.gaps = met - gather_ranges(np.zeros_like(self.n_met), self.n_met)[0]

    def draw(self, user: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return items of shape (len(user), n)."""
        n_unmet = self.n_items - self.n_met[user]
        short = np.flatnonzero(n_unmet < n)
        if len(short):
            who = self.user_ids[int(user[short[0]])].as_py()
            raise ValueError(
                f"cannot draw {n} negatives for user {who!r}, who never met "
                f"{n_unmet[short[0]]} of {self.n_items} items; lower n_negatives and "
                "n_negatives_eval"
            )
        rank = draw_distinct(n_unmet, n, rng)
        keys = user[:, None] * self.n_items + rank
        return rank + np.searchsorted(self.gaps, keys, side="right") - self.first[user][:, None]


def draw_distinct(size: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n distinct ints below each size, by Floyd's algorithm; shape (len(size), n)."""
    drawn = np.empty((len(size), n), dtype=np.int64)
    for column in range(n):
        last = size - n + column
        new = rng.integers(last, endpoint=True)
        taken = (drawn[:, :column] == new[:, None]).any(axis=1)
        drawn[:, column] = np.where(taken, last, new)
    return drawn


class PopularitySampler:
    """Draws items that a user never met, each with a chance in proportion to its weight.

    Items are drawn one after the other, without repetition. An item that the user met is drawn
    again; users who met nearly all that is popular are drawn from the weights of what is left.

    Parameters
    ----------
    user, item : ndarray of int64, shape (n,)
        Who met what, as positions.
    n_users : int
    weight : ndarray of float64, shape (n_items,)
        Above 0.
    """

    def __init__(self, user: np.ndarray, item: np.ndarray, n_users: int, weight: np.ndarray):
        self.weight = weight
        self.met = distinct_pairs(user, item, len(weight))
        self.offsets = offsets_of(np.bincount(self.met // len(weight), minlength=n_users))
        self.cumulative = np.cumsum(weight) / weight.sum()

    def draw(self, user: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return items of shape (len(user), n)."""
        drawn = np.full((len(user), n), -1)
        going = np.arange(len(user))
        for column in range(n):
            missing = going
            for _ in range(TRIES):
                new = self._any(len(missing), rng)
                good = ~self._is_met(user[missing], new)
                good &= (drawn[missing, :column] != new[:, None]).all(axis=1)
                drawn[missing[good], column] = new[good]
                missing = missing[~good]
                if not len(missing):
                    break
            self._finish(drawn, missing, column, user, rng)
            going = np.setdiff1d(going, missing, assume_unique=True)
        return drawn

    def _any(self, n: int, rng: np.random.Generator) -> np.ndarray:
        at = np.searchsorted(self.cumulative, rng.random(n), side="right")
        return np.minimum(at, len(self.weight) - 1)  # the last sum may round to less than one

    def _is_met(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        if not len(self.met):
            return np.zeros(len(user), dtype=bool)
        key = user * len(self.weight) + item
        at = np.minimum(np.searchsorted(self.met, key), len(self.met) - 1)
        return self.met[at] == key

    def _finish(
        self,
        drawn: np.ndarray,
        rows: np.ndarray,
        column: int,
        user: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        """Draw all that some rows lack, from a column on, out of what they may have.

        Of exponential times with the weights as rates, the first to end is each item's with a
        chance in proportion to its weight, and so is the next among the others.
        """
        n_items = len(self.weight)
        for block in iterate_blocks(len(rows), max(1, BLOCK // n_items)):
            own = rows[block]
            times = rng.exponential(size=(len(own), n_items)) / self.weight
            first, last = self.offsets[user[own]], self.offsets[user[own] + 1]
            met, offsets = gather_ranges(first, last)
            times[np.repeat(np.arange(len(own)), np.diff(offsets)), self.met[met] % n_items] = (
                np.inf
            )
            np.put_along_axis(times, drawn[own, :column], np.inf, axis=1)
            drawn[own, column:] = np.argsort(times, axis=1)[:, : drawn.shape[1] - column]
