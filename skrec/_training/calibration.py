"""Calibration of scores to probabilities."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit


def fit_sigmoid(
    scores: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None
) -> tuple[float, float]:
    """Fit the click probability ``sigmoid(a * score + b)`` of Platt [1]_, with smoothed targets.

    a is positive, so that the ranking of candidates does not change.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Scores of held-out candidates.
    labels : ndarray of shape (n,)
        Labels, 0 or 1.
    weight : ndarray of shape (n,), default=None
        Weights of the candidates. None means equal weights.

    Returns
    -------
    a, b : float
        1 and 0 if the labels are all equal or the scores are all equal.

    References
    ----------
    .. [1] Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
    """
    positive = labels.astype(bool)
    scores = scores.astype(np.float64)
    centre, scale = scores.mean(), scores.std()
    if positive.all() or not positive.any() or scores.min() == scores.max():
        return 1.0, 0.0
    weight = np.ones(len(scores)) if weight is None else weight / weight.mean()
    n_pos = weight[positive].sum()
    n_neg = weight.sum() - n_pos
    target = np.where(positive, (n_pos + 1) / (n_pos + 2), 1 / (n_neg + 2))
    x = (scores - centre) / scale

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean cross-entropy for (log slope, shift), and its gradient."""
        slope = np.exp(theta[0])
        z = slope * x + theta[1]
        error = weight * (expit(z) - target)
        gradient = np.array([(error * x).mean() * slope, error.mean()])
        return float((weight * (np.logaddexp(0, z) - target * z)).mean()), gradient

    start = np.array([0.0, np.log(n_pos / n_neg)])
    log_slope, shift = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(-10, 10), (None, None)]
    ).x
    a = float(np.exp(log_slope) / scale)
    return a, float(shift - a * centre)
