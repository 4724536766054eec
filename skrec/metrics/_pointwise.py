"""Metrics over all rows at once, whatever their group."""

import warnings

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import brier_score_loss, f1_score, log_loss

from skrec.metrics._kernels import gauc_by_group
from skrec.metrics._ranking import rank_groups
from skrec.metrics._validation import (
    check_labels,
    check_positive_int,
    check_probabilities,
    check_same_length,
    check_scores,
)


def auc(y_true, y_score):
    """Compute the area under the ROC curve over all rows.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Scores, higher for rows more likely to be clicked; any finite numbers.

    Returns
    -------
    float
        The share of (positive, negative) pairs in the right order, a tied pair counting half. NaN
        with an ``UndefinedMetricWarning`` if `y_true` has only one class.

    See Also
    --------
    gauc : The same within each group, then averaged.

    Examples
    --------
    >>> from skrec.metrics import auc
    >>> auc([1, 0, 0], [0.9, 0.4, 0.9])
    0.75
    """
    ranking = rank_groups(*_check_pair(y_true, check_scores(y_score), "y_score"))
    if not ranking.with_both.all():
        warnings.warn(
            "auc is undefined: y_true has only one class", UndefinedMetricWarning, stacklevel=2
        )
        return float("nan")
    return float(gauc_by_group(ranking)[0])


def logloss(y_true, y_proba):
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
        The loss; lower is better. A wrong label of probability 1 costs about 36, not infinity.

    Examples
    --------
    >>> from skrec.metrics import logloss
    >>> logloss([1, 0], [0.5, 0.5])
    0.6931
    """
    positive, proba = _check_pair(y_true, check_probabilities(y_proba), "y_proba")
    return float(log_loss(positive, proba, labels=[False, True]))


def f1(y_true, y_proba, threshold=0.5):
    """Compute the harmonic mean of precision and recall of label 1.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_proba : array-like of shape (n_rows,)
        Probabilities of label 1.
    threshold : float, default=0.5
        Rows with at least this probability are predicted as 1.

    Returns
    -------
    float
        The F1 score; 0 with an ``UndefinedMetricWarning`` where there is no positive, neither in
        the labels nor predicted.

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


def brier(y_true, y_proba):
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
        The Brier score; lower is better.

    Examples
    --------
    >>> from skrec.metrics import brier
    >>> brier([1, 0], [0.5, 0.5])
    0.25
    """
    positive, proba = _check_pair(y_true, check_probabilities(y_proba), "y_proba")
    return float(brier_score_loss(positive, proba, labels=[False, True], pos_label=True))


def ece(y_true, y_proba, n_bins=10):
    """Compute the expected calibration error over bins of equal width.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_proba : array-like of shape (n_rows,)
        Probabilities of label 1.
    n_bins : int, default=10
        Number of bins. A bin holds its lower edge; the last one holds 1 too.

    Returns
    -------
    float
        The gap between mean probability and share of positives in a bin, averaged over the bins
        with their rows as weights [1]_; lower is better.

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


def _check_pair(y_true, checked, name):
    positive = check_labels(y_true)
    check_same_length(**{"y_true": positive, name: checked})
    return positive, checked
