"""Validation of labels, scores and probabilities. Each message names the first invalid row."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np


def as_column(name: str, values: Any) -> np.ndarray:
    """Return `values` as a one-dimensional array, and raise if it has no rows."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked entries, which are missing values; drop these rows")
    try:
        column = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be one-dimensional: {error}") from error
    if column.ndim != 1:
        hint = "; pass the column of the positive class, [:, 1]" if column.ndim == 2 else ""
        raise ValueError(f"{name} must be one-dimensional, got shape {column.shape}{hint}")
    if column.size == 0:
        raise ValueError(f"{name} is empty: a metric needs at least one row")
    return column


def check_same_length(**columns: np.ndarray) -> None:
    """Raise if a column has another number of rows than the first column."""
    (first, reference), *others = columns.items()
    for name, column in others:
        if len(column) != len(reference):
            raise ValueError(
                f"{first} has {len(reference)} rows but {name} has {len(column)}; "
                "each row needs one of each"
            )


def check_labels(y_true: Any) -> np.ndarray:
    """Return 0/1 labels as a bool array."""
    labels = as_column("y_true", y_true)
    try:
        positive = np.asarray(labels == 1, dtype=bool)
        zero = np.asarray(labels == 0, dtype=bool)
    except (TypeError, ValueError) as error:  # pandas' NA, or sequences in cells
        raise ValueError(f"y_true: labels must be 0 or 1: {error}") from error
    _raise_at_first(~(positive | zero), labels, "y_true", "labels must be 0 or 1")
    return positive


def check_gains(y_true: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return 0/1 labels as a bool array, and gains as float64, or None if all are 0 or 1."""
    gains = as_column("y_true", y_true)
    if gains.dtype.kind not in "fiub":
        gains = check_labels(y_true)
    wrong = ~np.isfinite(gains) | (gains < 0)
    _raise_at_first(wrong, gains, "y_true", "labels are 0 or 1, and gains are not negative")
    positive = gains > 0
    return positive, None if (gains[positive] == 1).all() else gains.astype(np.float64)


def check_scores(y_score: Any, name: str = "y_score") -> np.ndarray:
    """Return finite scores as a numeric array. Floating types wider than 16 bits are kept."""
    scores = as_column(name, y_score)
    if scores.dtype.kind not in "fiub":
        scores = _to_float(name, scores)
    if scores.dtype == np.float16:
        scores = scores.astype(np.float32)
    _raise_at_first(~np.isfinite(scores), scores, name, "it must be finite")
    return scores


def check_probabilities(y_proba: Any) -> np.ndarray:
    """Return probabilities as float64."""
    proba = check_scores(y_proba, "y_proba").astype(np.float64, copy=False)
    bad = (proba < 0) | (proba > 1)
    _raise_at_first(bad, proba, "y_proba", "probabilities lie between 0 and 1")
    return proba


def check_positive_int(name: str, value: Any) -> int:
    """Return `value` as an int, and raise if it is not a positive whole number."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a positive int, got {value!r}")
    return int(value)


def _to_float(name: str, column: np.ndarray) -> np.ndarray:
    if column.dtype.kind == "c":  # numpy would drop the imaginary parts
        raise ValueError(f"{name} must hold numbers, got dtype {column.dtype}")
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers, got dtype {column.dtype}") from error


def _raise_at_first(bad: np.ndarray, column: np.ndarray, name: str, rule: str) -> None:
    """Raise if any row is bad; the message shows the first one and the rule that it breaks."""
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"{name} has {column[row]} at row {row}: {rule}")
