"""Scores of items for weighted histories, without a network.

::

    distinct histories --history_weights--> weights (H, N) --Matcher--> scores (H, C)
                                                              |  popularity, if a history says
                                                              |  nothing
                                                              +--> rows, candidates
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from scipy import sparse

from skrec._common.unit_vectors import normalized
from skrec._data.co_clicks import history_weights
from skrec._data.coded import CodedInteractions
from skrec._data.items import Items
from skrec._data.ragged import gather_segments, iterate_blocks, offsets_of
from skrec._inference.ranker import Ranker
from skrec._inference.row_blocks import row_blocks

CELL_BLOCK = 1 << 22  # scores that are computed at a time
HISTORY_BLOCK = 2048  # histories that are scored at a time for their candidates


class Matcher(Protocol):
    """Function of weighted histories that scores items."""

    def __call__(self, weights: Any, among: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Score items for weighted histories.

        Parameters
        ----------
        weights : csr_array of float32, shape (H, N)
            Weights of the items in the histories.
        among : ndarray of int64, shape (C,), or None
            Ascending codes of the items to score. None means all items.

        Returns
        -------
        scores : ndarray of float32, shape (H, C)
            A new array.
        says_something : ndarray of bool, shape (H,)
            False for histories from which no item can be told from another.
        """


@dataclass(frozen=True)
class HistoryRanker(Ranker):
    """What scores items for rows of item codes by their weighted histories.

    Attributes
    ----------
    catalogue : Items
        The N items that the codes refer to.
    calibration : tuple of (float, float)
        a and b of the click probability ``sigmoid(a * score + b)``.
    popularity : ndarray of float32, shape (N,)
        Scores for histories that say nothing.
    match : callable or None
        The scores of histories; see `Matcher`. None scores all rows by popularity.
    decay : float
        Weight of a click relative to the next one.
    n_clicks : ndarray of float, shape (N,), or None
        Number of training clicks on each item, if it is known.
    """

    catalogue: Items
    calibration: tuple[float, float]
    popularity: np.ndarray
    match: Matcher | None = None
    decay: float = 1.0
    n_clicks: np.ndarray | None = None

    @property
    def items(self) -> Items:
        """Items that the codes refer to."""
        return self.catalogue

    def blocks(
        self, data: CodedInteractions, among: np.ndarray | None = None
    ) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield blocks of rows with their scores of all items, or of some items."""
        n_scored = self.items.n_items if among is None else len(among)
        for rows in row_blocks(data.n_rows, n_scored):
            part = data.take(np.arange(rows.start, rows.stop))
            scores, history_of_row = self._score_histories(part, among)
            if not np.array_equal(history_of_row, np.arange(len(scores))):
                scores = scores[history_of_row]
            yield rows, torch.from_numpy(scores)

    @property
    def has_vectors(self) -> bool:
        """Whether items are scored by vectors."""
        return isinstance(self.match, ByVectors)

    def unit_vectors(self) -> Any:
        """Return the item vectors (N, D), which have the length 1 or 0."""
        if not isinstance(self.match, ByVectors):
            return super().unit_vectors()
        vectors = self.match.vectors
        return torch.from_numpy(vectors) if isinstance(vectors, np.ndarray) else vectors

    def score_candidates(self, data: CodedInteractions) -> np.ndarray:
        """Return the scores (P,) of the candidates of impressions or pairs."""
        found = np.empty(len(data.candidate_codes), dtype=np.float32)
        _, first, history_of_row = np.unique(
            data.history_of_row, return_index=True, return_inverse=True
        )
        sorted_rows = np.argsort(history_of_row, kind="stable")
        row_offsets = offsets_of(np.bincount(history_of_row, minlength=len(first)))
        size = max(1, min(HISTORY_BLOCK, CELL_BLOCK // self.items.n_items))
        for block in iterate_blocks(len(first), size):
            rows = sorted_rows[row_offsets[block.start] : row_offsets[block.stop]]
            at, offsets = gather_segments(data.candidate_offsets, rows)
            among, column = np.unique(data.candidate_codes[at], return_inverse=True)
            scores, _ = self._score_histories(data.take(first[block]), among.astype(np.int64))
            row = np.repeat(history_of_row[rows] - block.start, np.diff(offsets))
            found[at] = scores[row, column]
        return found

    def _score_histories(
        self, data: CodedInteractions, among: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores (H, C) of the rows' distinct histories, and the history of each row."""
        _, first, history_of_row = np.unique(
            data.history_of_row, return_index=True, return_inverse=True
        )
        popularity = self.popularity if among is None else self.popularity[among]
        if self.match is None:
            return np.tile(popularity, (len(first), 1)), history_of_row
        weights = history_weights(data.take(first), self.items.n_items, self.decay)
        scores, says_something = self.match(weights, among)
        scores[~says_something] = popularity
        return scores, history_of_row


@dataclass(frozen=True)
class BySimilarity:
    """`Matcher` that adds up the similarities of the items in a history.

    Attributes
    ----------
    similarities : csr_array of float32, shape (N, N)
        Similarity of each item of a history (row) to each item that is scored (column).
    """

    similarities: Any

    def __call__(self, weights: Any, among: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Score items for weighted histories."""
        sums = weights @ self.similarities
        says_something = np.diff(sums.indptr) > 0
        return (sums if among is None else sums[:, among]).toarray(), says_something


@dataclass(frozen=True)
class ByVectors:
    """`Matcher` that computes the cosine of an item with the weighted mean of a history.

    Attributes
    ----------
    vectors : ndarray or csr_array of float32, shape (N, D)
        Item vectors of length 1, or 0 for items without content.
    """

    vectors: Any

    def __call__(self, weights: Any, among: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Score items for weighted histories."""
        users = normalized(weights @ self.vectors)
        if sparse.issparse(users):
            says_something = np.diff(users.indptr) > 0
        else:
            says_something = users.any(axis=1)
        items = self.vectors if among is None else self.vectors[among]
        scores = users @ items.T
        return scores.toarray() if sparse.issparse(scores) else scores, says_something


def extended(matrix: Any, n_items: int) -> Any:
    """Return a csr_array (N, N) with zeros for new items, of shape (n_items, n_items)."""
    n_new = n_items - matrix.shape[0]
    if not n_new:
        return matrix
    offsets = np.concatenate([matrix.indptr, np.full(n_new, matrix.indptr[-1])])
    return sparse.csr_array((matrix.data, matrix.indices, offsets), shape=(n_items, n_items))
