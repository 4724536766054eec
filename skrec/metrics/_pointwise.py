"""Metrics over all rows at once, which ignore groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import brier_score_loss, f1_score, log_loss

from skrec._common.messages import warn
from skrec.metrics._kernels import gauc_by_group
from skrec.metrics._ranking import rank_groups
from skrec.metrics._validation import (
    check_labels,
    check_positive_int,
    check_probabilities,
    check_same_length,
    check_scores,
)


def auc(y_true: ArrayLike, y_score: ArrayLike) -> float:
    """Compute the area under the ROC curve over all rows.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Finite scores. Higher scores mean that a click is more likely.

    Returns
    -------
    float
        Share of (positive, negative) pairs that are in the right order. A tied pair counts half.
        If `y_true` has only one class, the result is NaN and an ``UndefinedMetricWarning`` is
        issued.

    See Also
    --------
    gauc : Area under the ROC curve within each group, averaged over the groups.

    Examples
    --------
    >>> from skrec.metrics import auc
    >>> auc([1, 0, 0], [0.9, 0.4, 0.9])
    0.75
    """
    ranking = rank_groups(*_check_pair(y_true, check_scores(y_score), "y_score"))
    if not ranking.with_both.all():
        warn("auc is undefined: y_true has only one class", UndefinedMetricWarning)
        return float("nan")
    return float(gauc_by_group(ranking)[0])


def logloss(y_true: ArrayLike, y_proba: ArrayLike) -> float:
    """Compute the mean negative log-likelihood of the labels.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_proba : array-like of shape (n_rows,)
        Probabilities of label 1.

    Returns
    -------
    float
        Loss; lower is better. Probabilities are clipped, so a wrong label of probability 1 costs
        about 36 instead of infinity.

    Examples
    --------
    >>> from skrec.metrics import logloss
    >>> logloss([1, 0], [0.5, 0.5])
    0.6931
    """
    positive, proba = _check_pair(y_true, check_probabilities(y_proba), "y_proba")
    return float(log_loss(positive, proba, labels=[False, True]))


def f1(y_true: ArrayLike, y_proba: ArrayLike, threshold: float = 0.5) -> float:
    """Compute the harmonic mean of precision and recall of label 1.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_proba : array-like of shape (n_rows,)
        Probabilities of label 1.
    threshold : float, default=0.5
        Smallest probability at which label 1 is predicted.

    Returns
    -------
    float
        F1 score. If there is no positive among the labels and none among the predictions, the
        score is 0 and an ``UndefinedMetricWarning`` is issued.

    Examples
    --------
    >>> from skrec.metrics import f1
    >>> f1([1, 1, 0], [0.9, 0.1, 0.2])
    0.6667
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must lie between 0 and 1, got {threshold!r}")
    positive, proba = _check_pair(y_true, check_probabilities(y_proba), "y_proba")
    return float(f1_score(positive, proba >= threshold))


def brier(y_true: ArrayLike, y_proba: ArrayLike) -> float:
    """Compute the mean squared difference between probability and label.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_proba : array-like of shape (n_rows,)
        Probabilities of label 1.

    Returns
    -------
    float
        Brier score; lower is better.

    Examples
    --------
    >>> from skrec.metrics import brier
    >>> brier([1, 0], [0.5, 0.5])
    0.25
    """
    positive, proba = _check_pair(y_true, check_probabilities(y_proba), "y_proba")
    return float(brier_score_loss(positive, proba, labels=[False, True], pos_label=True))


def ece(y_true: ArrayLike, y_proba: ArrayLike, n_bins: int = 10) -> float:
    """Compute the expected calibration error over bins of equal width.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_proba : array-like of shape (n_rows,)
        Probabilities of label 1.
    n_bins : int, default=10
        Number of bins. Each bin includes its lower edge. The last bin also includes 1.

    Returns
    -------
    float
        Absolute difference between the mean probability and the share of positives in a bin,
        averaged over the bins, weighted by their number of rows [1]_. Lower is better.

    References
    ----------
    .. [1] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599.

    Examples
    --------
    >>> from skrec.metrics import ece
    >>> ece([1, 0, 1, 1], [0.75, 0.75, 0.75, 0.75])
    0.0
    """
    n_bins = check_positive_int("n_bins", n_bins)
    positive, proba = _check_pair(y_true, check_probabilities(y_proba), "y_proba")
    edges = np.linspace(0, 1, n_bins + 1)
    bins = np.searchsorted(edges[1:-1], proba, side="right")
    gaps = np.bincount(bins, weights=proba - positive, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(proba))


def _check_pair(y_true: ArrayLike, checked: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Validate labels, and return them with the scores or probabilities of the same rows."""
    positive = check_labels(y_true)
    check_same_length(**{"y_true": positive, name: checked})
    return positive, checked
