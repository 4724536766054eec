"""What clicks say of items without a network: their popularity, and which items go together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skrec._data.coded import CodedInteractions
from skrec._data.items import Items
from skrec._data.ragged import segment_ids
from skrec._inference.history_ranker import BySimilarity, HistoryRanker, extended

FLOOR = 0.02  # added to similarities before the logarithm


@dataclass(frozen=True)
class Prior:
    """Terms that are added to the scores of a network.

    The score of an item is ``w0 * network + w1 * log popularity + w2 * log(co-clicks + FLOOR)``,
    where the co-clicks are the similarities of the item to the items of the history, weighted by
    their age and added up. Clicks say nothing of an item that was added after training. Its
    popularity is that of the average item, and its log co-clicks are what is expected of an item
    with its score of the network, by a linear regression over known items. It is immutable, so any
    number of threads may use it.

    Attributes
    ----------
    weights : tuple of (float, float, float)
        w0, w1 and w2.
    log_popularity : ndarray of float32, shape (N,)
        Logarithm of the number of clicks on each item, plus one.
    similarities : csr_array of float32, shape (N, N), or None
        Similarity of each item of a history (row) to each item that is scored (column).
    decay : float
        Weight of a click in a history relative to the next one.
    mean_log_co_clicks : float
        Mean of log(co-clicks + FLOOR) over items and histories.
    mean_score : float
        Mean of the scores of the network over the same items and histories.
    slope : float
        Slope of the regression of the log co-clicks on the scores of the network.
    n_new : int
        Number of items at the end of the catalogue that were added after training.
    """

    weights: tuple[float, float, float]
    log_popularity: np.ndarray
    similarities: Any = None
    decay: float = 1.0
    mean_log_co_clicks: float = 0.0
    mean_score: float = 0.0
    slope: float = 0.0
    n_new: int = 0

    @property
    def n_known(self) -> int:
        """Number of items whose clicks were counted."""
        return len(self.log_popularity) - self.n_new

    def for_items(self, items: Items) -> Prior:
        """Return the prior of a catalogue that begins with the known items."""
        n_items, n_before = items.n_items, len(self.log_popularity)
        if n_items == n_before:
            return self
        popularity = np.empty(n_items, dtype=np.float32)
        popularity[:n_before] = self.log_popularity
        popularity[n_before:] = self.log_popularity[: self.n_known].mean() if self.n_known else 0
        similarities = None if self.similarities is None else extended(self.similarities, n_items)
        return replace(
            self,
            log_popularity=popularity,
            similarities=similarities,
            n_new=self.n_new + n_items - n_before,
        )

    def ranker(self, items: Items) -> HistoryRanker | None:
        """Return what scores items by the co-clicks alone; None if there are none."""
        if self.similarities is None:
            return None
        nothing = np.zeros(items.n_items, dtype=np.float32)
        match = BySimilarity(self.similarities)
        return HistoryRanker(items, (1.0, 0.0), nothing, match, self.decay)

    def add_to_candidates(
        self, scores: np.ndarray, data: CodedInteractions, items: Items
    ) -> np.ndarray:
        """Return the scores (P,) of a network, with the terms of the candidates added."""
        network, popularity, similar = self.weights
        total = network * scores + popularity * self.log_popularity[data.candidate_codes]
        co_clicks = self.log_co_clicks_of_candidates(scores, data, items) if similar else None
        if co_clicks is not None:
            total = total + similar * co_clicks
        return total.astype(scores.dtype)

    def log_co_clicks_of_candidates(
        self, scores: np.ndarray, data: CodedInteractions, items: Items
    ) -> np.ndarray | None:
        """Return the log co-clicks (P,) of the candidates, whose scores of the network are given.

        None if there are no co-clicks.
        """
        ranker = self.ranker(items)
        if ranker is None:
            return None
        found = np.log(ranker.score_candidates(data) + FLOOR)
        if self.n_new:
            row = data.row_of_candidate()
            is_new = (data.candidate_codes >= self.n_known) & self._says_something(data)[row]
            found[is_new] = self._expected(scores[is_new])
        return found

    def _expected(self, scores: Any) -> Any:
        """Return the log co-clicks that are expected of items with some scores of the network."""
        return self.mean_log_co_clicks + self.slope * (scores - self.mean_score)

    def add_to_block(
        self,
        scores: torch.Tensor,
        data: CodedInteractions,
        items: Items,
        among: np.ndarray | None,
    ) -> torch.Tensor:
        """Return the scores (b, C) of a network for b rows, with the terms of the items added."""
        co_clicks = self.log_co_clicks(scores, data, items, among) if self.weights[2] else None
        return self.total(scores, co_clicks, among)

    def log_co_clicks(
        self,
        scores: torch.Tensor,
        data: CodedInteractions,
        items: Items,
        among: np.ndarray | None = None,
    ) -> torch.Tensor | None:
        """Return the log co-clicks (b, C) of the items with b rows, on the device of the scores.

        None if there are no co-clicks.
        """
        ranker = self.ranker(items)
        if ranker is None:
            return None
        parts = [block.add_(FLOOR).log_() for _, block in ranker.blocks(data, among)]
        found = (parts[0] if len(parts) == 1 else torch.cat(parts)).to(scores)
        if self.n_new:
            codes = np.arange(found.shape[1]) if among is None else among
            columns = torch.from_numpy(np.flatnonzero(codes >= self.n_known)).to(scores.device)
            rows = torch.from_numpy(np.flatnonzero(self._says_something(data))).to(scores.device)
            place = rows.unsqueeze(1), columns
            found[place] = self._expected(scores[place])
        return found

    def _says_something(self, data: CodedInteractions) -> np.ndarray:
        """Return the rows (n,) whose history has an item that goes together with others."""
        at, offsets = data.history_positions()
        is_similar = np.diff(self.similarities.indptr)[data.history_codes[at]] > 0
        return np.bincount(segment_ids(offsets)[is_similar], minlength=data.n_rows) > 0

    def total(
        self,
        scores: torch.Tensor,
        log_co_clicks: torch.Tensor | None,
        among: np.ndarray | None = None,
    ) -> torch.Tensor:
        """Return the sum of the terms (b, C): of the network, the popularity and the co-clicks."""
        network, popularity, similar = self.weights
        log_popularity = self.log_popularity if among is None else self.log_popularity[among]
        total = network * scores
        total += popularity * torch.from_numpy(log_popularity).to(scores)
        if log_co_clicks is not None and similar:
            total += similar * log_co_clicks
        return total
