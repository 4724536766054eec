"""Labels, scores and groups of rows, flat, as the pictures need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted


@dataclass(frozen=True)
class Answers:
    """Candidates of all rows, end to end.

    Attributes
    ----------
    clicked : ndarray of int8, shape (P,)
    scores : ndarray of shape (P,)
    row : ndarray of int64, shape (P,)
        The row of X of each.
    group : ndarray of int64, shape (P,), or None
        What ranks together.
    """

    clicked: np.ndarray
    scores: np.ndarray
    row: np.ndarray
    group: np.ndarray | None

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any, items: Any) -> Answers:
        """Score impressions or pairs with clicks."""
        check_is_fitted(estimator, "network_")
        data, scorer = estimator._read(X, items, y, labels="required")
        if data.kind == "histories":
            raise ValueError(
                "bare histories have no candidates that were not clicked; pass impressions or pairs"
            )
        row = data.row_of_candidate()
        group = None if data.group_of_row is None else data.group_of_row[row]
        return cls(data.clicked, scorer.scores(data), row, group)
