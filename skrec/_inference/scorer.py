"""A trained network with a catalogue: scores, probabilities and metrics of coded rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit

from skrec._data.coded import CodedInteractions
from skrec._inference import scores as inference
from skrec._inference.item_vectors import EncodedItems
from skrec._inference.top_k import clicks_of, most_similar, rank_last_click, top_k
from skrec._network import Network
from skrec.metrics import compute, compute_ranked, get_metric

MAX_CELLS = 2e8


@dataclass(frozen=True)
class Scorer:
    """Answers for coded rows.

    Attributes
    ----------
    network : Network
    catalogue : EncodedItems
        Whose codes the rows hold.
    max_history : int
        How many of the latest clicks are read.
    calibration : tuple of (float, float)
        a and b of ``sigmoid(a * score + b)``.
    """

    network: Network
    catalogue: EncodedItems
    max_history: int
    calibration: tuple[float, float] = (1.0, 0.0)

    def scores(self, data: CodedInteractions) -> np.ndarray:
        """Return the scores of all candidates (P,), or of bare histories for all items (n, N)."""
        if data.kind != "histories":
            return self._ask(inference.score_candidates, data)
        shape = (data.n_rows, self.catalogue.items.n_items)
        if shape[0] * shape[1] > MAX_CELLS:
            raise ValueError(
                f"scores of {shape[0]} histories for each of {shape[1]} items are more than "
                f"{MAX_CELLS:g} cells; recommend(X, k) gives the best k, or score fewer rows"
            )
        everything = np.empty(shape, dtype=np.float32)
        for rows, scores in self.blocks(data):
            everything[rows] = scores.cpu().numpy()
        return everything

    def logits(self, data: CodedInteractions) -> np.ndarray:
        """Return calibrated scores: the log odds of a click, shaped as `scores`."""
        a, b = self.calibration
        return a * self.scores(data) + b

    def recommend(
        self,
        data: CodedInteractions,
        k: int,
        exclude_seen: bool,
        among: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes and scores (n, k) of the best items; -1 and -inf where there is none.

        The ascending codes `among` name the items to choose from; None takes all.
        """
        seen = partial(clicks_of, data) if exclude_seen else None
        return top_k(self.blocks(data, among), data.n_rows, k, seen, among)

    def similar(
        self, codes: np.ndarray, k: int, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes and cosines (n, k) of the items most like some items (n,)."""
        vectors = self.catalogue.vectors(self.network)
        return most_similar(vectors, codes, k, among)

    def users(self, data: CodedInteractions) -> np.ndarray:
        """Return the user vectors (n, K, D)."""
        users, user_of_row = self._ask(inference.user_vectors, data)
        return users.cpu().numpy()[user_of_row]

    def evaluate(self, names: str | list[str], data: CodedInteractions) -> dict[str, Any]:
        """Compute metrics; of bare histories, those of the last click among all items."""
        names = [names] if isinstance(names, str) else list(names)
        for name in names:
            get_metric(name)  # raises before anything is scored
        if data.kind == "histories":
            shorter, target = data.without_last_click()
            if not len(target):
                raise ValueError("all histories are empty, so there is no last click to predict")
            ranking = rank_last_click(self.blocks(shorter), shorter, target)
            return compute_ranked(names, ranking)
        scores = self.scores(data)
        a, b = self.calibration
        groups = None
        if data.group_of_row is not None:
            groups = data.group_of_row[data.row_of_candidate()]
        return compute(names, data.clicked, scores, groups, expit(a * scores + b))

    def monitor(self, scoring: str, data: CodedInteractions) -> float:
        """Return the one number that `score` gives and early stopping watches."""
        metric = get_metric(scoring)
        if data.kind == "histories":
            metric = get_metric("ndcg@10")
        elif data.group_of_row is None and metric.kind == "grouped":
            metric = get_metric("auc")
        value = self.evaluate(metric.name, data)[metric.name]
        return value if metric.greater_is_better else -value

    def blocks(self, data: CodedInteractions, among: np.ndarray | None = None) -> Any:
        return self._ask(inference.score_catalogue, data, among=among)

    def _ask(self, function: Callable, data: CodedInteractions, **options: Any) -> Any:
        """Call a function of inference with what is kept of items and users."""
        rows, users = self.catalogue.rows(self.network), self.catalogue.users(self.network)
        return function(self.network, rows, data, self.max_history, users, **options)


def in_rows(values: np.ndarray, data: CodedInteractions) -> np.ndarray:
    """Give impressions as an object array of one array a row, everything else as it is."""
    if data.kind != "impressions":
        return values
    rows = np.empty(data.n_rows, dtype=object)
    for row, part in enumerate(np.split(values, data.candidate_offsets[1:-1])):
        rows[row] = part
    return rows
