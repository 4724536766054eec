"""Checks of labels, scores and probabilities; each message names the first bad row."""

from numbers import Integral

import numpy as np


def as_column(name, values):
    """Return `values` as a one-dimensional array with at least one row."""
    column = np.asarray(values)
    if column.ndim != 1:
        hint = "; pass the column of the positive class, [:, 1]" if column.ndim == 2 else ""
        raise ValueError(f"{name} must be one-dimensional, got shape {column.shape}{hint}")
    if column.size == 0:
        raise ValueError(f"{name} is empty: a metric needs at least one row")
    return column


def check_same_length(**columns):
    """Raise unless all columns have as many rows as the first one."""
    (first, reference), *others = columns.items()
    for name, column in others:
        if len(column) != len(reference):
            raise ValueError(
                f"{first} has {len(reference)} rows but {name} has {len(column)}; "
                "each row needs one of each"
            )


def check_labels(y_true):
    """Return 0/1 labels as a bool array."""
    labels = as_column("y_true", y_true)
    positive = np.asarray(labels == 1, dtype=bool)
    _raise_at_first(~(positive | (labels == 0)), labels, "y_true", "labels must be 0 or 1")
    return positive


def check_scores(y_score, name="y_score"):
    """Return finite scores as an array of numbers; a floating type wider than 16 bits is kept."""
    scores = as_column(name, y_score)
    if scores.dtype.kind not in "fiub":
        scores = _to_float(name, scores)
    if scores.dtype == np.float16:
        scores = scores.astype(np.float32)
    _raise_at_first(~np.isfinite(scores), scores, name, "it must be finite")
    return scores


def check_probabilities(y_proba):
    """Return probabilities as float64."""
    proba = check_scores(y_proba, "y_proba").astype(np.float64, copy=False)
    bad = (proba < 0) | (proba > 1)
    _raise_at_first(bad, proba, "y_proba", "probabilities lie between 0 and 1")
    return proba


def check_positive_int(name, value):
    """Return `value` as an int if it is a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a positive int, got {value!r}")
    return int(value)


def _to_float(name, column):
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers, got dtype {column.dtype}") from error


def _raise_at_first(bad, column, name, rule):
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"{name} has {column[row]} at row {row}: {rule}")
