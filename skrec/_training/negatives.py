"""Sampled negatives: one draw of items that all rows of a batch share."""

from __future__ import annotations

import math

import numpy as np

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import segment_blocks

# a draw: codes (S,), of which each row uses those that it may
Pool = np.ndarray


class NegativeSampler:
    """Draws the items that the rows of a batch share as negatives.

    A shared item is encoded once a batch, so that many negatives cost little. A row leaves out
    what it must not draw; the pool is larger than `n_negatives` by about as much as that is.

    Parameters
    ----------
    data : CodedInteractions
        The training rows.
    n_items : int
        N, items of the catalogue.
    n_negatives : int
        Negatives that a row is to have.
    sampling : {"uniform", "popularity"}
        "uniform" draws without replacement. "popularity" draws with replacement, in proportion
        to one more than an item's clicks.

    Attributes
    ----------
    log_q : ndarray of float32, shape (N,), or None
        Log of each item's chance to be drawn, relative to a uniform draw; None where it is one.
    """

    def __init__(self, data: CodedInteractions, n_items: int, n_negatives: int, sampling: str):
        self.n_items, self.n_negatives = n_items, n_negatives
        lengths = np.diff(data.history_offsets)[data.history_of_row]
        forbidden = min(1.0, float(lengths.mean()) / n_items)  # share, of a row
        self._size = n_negatives + math.ceil(n_negatives * forbidden)
        self.log_q = self._cumulative = None
        if sampling == "popularity":
            weight = count_clicks(data, n_items) + 1.0
            self.log_q = np.log(weight * (n_items / weight.sum())).astype(np.float32)
            self._cumulative = np.cumsum(weight) / weight.sum()

    def draw(self, rng: np.random.Generator) -> Pool:
        """Return the codes (S,) for one batch."""
        if self._cumulative is None:
            return rng.choice(self.n_items, min(self._size, self.n_items), replace=False)
        at = np.searchsorted(self._cumulative, rng.random(self._size), side="right")
        return np.minimum(at, self.n_items - 1)  # the last sum may round to less than one

    def fill(self, pool: Pool, need: np.ndarray, rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Give each row as many of the pool as it needs.

        Parameters
        ----------
        pool : ndarray of int64, shape (S,)
            What `draw` returned.
        need : ndarray of int, shape (B,)
            Negatives that each row lacks.
        rows, codes : ndarray of int, shape (n_forbidden,)
            Pairs of a row and a code that must not be its negative.

        Returns
        -------
        ndarray of bool, shape (B, S)
            Which of the pool are a row's negatives: the first that it may have.
        """
        distinct, inverse = np.unique(pool, return_inverse=True)
        at = np.minimum(np.searchsorted(distinct, codes), len(distinct) - 1)
        drawn = distinct[at] == codes
        allowed = np.ones((len(need), len(distinct)), dtype=bool)
        allowed[rows[drawn], at[drawn]] = False
        allowed = allowed[:, inverse]
        return allowed & (allowed.cumsum(axis=1) <= need[:, None])


def count_clicks(data: CodedInteractions, n_items: int) -> np.ndarray:
    """Count each item's clicks (N,): in the distinct histories, and among the candidates."""
    used = np.zeros(len(data.history_offsets) - 1, dtype=bool)
    used[data.history_of_row] = True
    counts = np.zeros(n_items, dtype=np.int64)
    for block in segment_blocks(data.history_offsets):
        edges = data.history_offsets[block.start : block.stop + 1]
        counted = np.repeat(used[block], np.diff(edges))
        codes = data.history_codes[edges[0] : edges[-1]][counted]
        counts += np.bincount(codes, minlength=n_items)
    if data.clicked is not None:
        clicked = data.candidate_codes[np.flatnonzero(data.clicked)]
        counts += np.bincount(clicked, minlength=n_items)
    return counts
