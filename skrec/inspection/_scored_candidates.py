"""Scores and labels of all candidates in some rows, as flat arrays for displays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted


@dataclass(frozen=True)
class ScoredCandidates:
    """Candidates of all rows, concatenated.

    Attributes
    ----------
    clicked : ndarray of int8, shape (n_candidates,)
        Label of each candidate, 0 or 1.
    gains : ndarray of shape (n_candidates,)
        Weight of each click, or the labels if all weights are equal.
    scores : ndarray of shape (n_candidates,)
        Score of each candidate.
    row : ndarray of int64, shape (n_candidates,)
        Row of X that contains the candidate.
    group : ndarray of int64, shape (n_candidates,), or None
        Group within which the candidate is ranked.
    """

    clicked: np.ndarray
    gains: np.ndarray
    scores: np.ndarray
    row: np.ndarray
    group: np.ndarray | None

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, items: Any) -> ScoredCandidates:
        """Score the candidates of labeled impressions or pairs with a fitted recommender."""
        check_is_fitted(estimator, "items_")
        data, scorer = estimator._read(X, items, y, labels="required")
        if data.kind == "histories":
            raise ValueError(
                "bare histories have no candidates that were not clicked; pass impressions or pairs"
            )
        row = data.row_of_candidate()
        group = None if data.group_of_row is None else data.group_of_row[row]
        return cls(data.clicked, data.gains(), scorer.scores(data), row, group)
