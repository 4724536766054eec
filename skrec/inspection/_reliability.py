"""Calibration of predicted probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from skrec.inspection._axes import get_axes
from skrec.inspection._scored_candidates import ScoredCandidates
from skrec.metrics import compute


class ReliabilityDisplay:
    """Share of clicks against predicted probability, in bins, with a histogram.

    Each bin contains the same number of candidates. Clicks are rare, so with bins of equal width
    nearly all candidates would be in the first bin.

    Parameters
    ----------
    prob_true, prob_pred : ndarray of shape (n_bins,)
        Share of clicks and mean predicted probability in each bin.
    ece : float
        Expected calibration error in 10 bins of equal width, as computed by
        :func:`skrec.metrics.ece`.
    y_proba : ndarray of shape (n_candidates,)
        Predicted probabilities of all candidates, for the histogram.
    name : str, default=None
        Name of the curve in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curve.
    histogram_ax_ : matplotlib Axes or None
        Axes with the histogram. None if it was not drawn.
    figure_ : matplotlib Figure
        Figure of the axes.
    line_ : matplotlib Line2D
        Curve.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : A similar display for classifiers of scikit-learn.
    """

    def __init__(
        self,
        prob_true: np.ndarray,
        prob_pred: np.ndarray,
        ece: float,
        y_proba: np.ndarray,
        *,
        name: str | None = None,
    ) -> None:
        self.prob_true, self.prob_pred = prob_true, prob_pred
        self.ece, self.y_proba, self.name = ece, y_proba, name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        items: Any = None,
        calibrated: bool = True,
        n_bins: int = 10,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Compute the probabilities of a fitted recommender and draw their calibration.

        Parameters
        ----------
        estimator : ContentRecommender
            Fitted recommender.
        X : table of n_samples rows
            Impressions or pairs with clicks.
        y : array-like of shape (n_samples,), default=None
            Labels of pairs, if X has no column `clicked`.
        items : Items or DataFrame-like, default=None
            Items that extend or replace those of the fitted catalogue.
        calibrated : bool, default=True
            Whether to use the probabilities of ``predict_proba``. If False, the sigmoid of the
            uncalibrated scores is used.
        n_bins : int, default=10
            Number of bins. All bins contain the same number of candidates.
        name : str, default=None
            Name of the curve in the legend. If None, it is "calibrated" or "not calibrated".
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        **kwargs : dict
            Keyword arguments for the line, passed to ``Axes.plot``.

        Returns
        -------
        ReliabilityDisplay
            Display with the drawn curve.
        """
        candidates = ScoredCandidates.from_estimator(estimator, X, y, items)
        a, b = estimator.calibration_ if calibrated else (1.0, 0.0)
        proba = expit(a * candidates.scores.astype(np.float64) + b)
        name = name or ("calibrated" if calibrated else "not calibrated")
        return cls.from_predictions(
            candidates.clicked, proba, n_bins=n_bins, name=name, ax=ax, **kwargs
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: Any,
        *,
        n_bins: int = 10,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Draw the calibration of given probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_candidates,)
            Labels: 1 for clicked candidates, 0 for others.
        y_proba : array-like of shape (n_candidates,)
            Probabilities of a click.
        n_bins : int, default=10
            Number of bins. All bins contain the same number of candidates.
        name : str, default=None
            Name of the curve in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        **kwargs : dict
            Keyword arguments for the line, passed to ``Axes.plot``.

        Returns
        -------
        ReliabilityDisplay
            Display with the drawn curve.
        """
        from sklearn.calibration import calibration_curve

        y_true, y_proba = np.asarray(y_true), np.asarray(y_proba, dtype=float)
        error = compute(["ece"], y_true, y_proba=y_proba)["ece"]
        true, predicted = calibration_curve(y_true, y_proba, n_bins=n_bins, strategy="quantile")
        return cls(true, predicted, error, y_proba, name=name).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, histogram: bool = True, **kwargs: Any) -> Any:
        """Draw the curve, and a histogram of all probabilities.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        histogram : bool, default=True
            Whether to draw the histogram of the probabilities, with its own axis on the right.
        **kwargs : dict
            Keyword arguments for the line, passed to ``Axes.plot``.

        Returns
        -------
        ReliabilityDisplay
            Display with the drawn curve.
        """
        ax = get_axes(ax)
        label = f"ECE {self.ece:.3f}" if self.name is None else f"{self.name}, ECE {self.ece:.3f}"
        (line,) = ax.plot(
            self.prob_pred, self.prob_true, **{"marker": "o", "label": label, **kwargs}
        )
        top = 1.05 * max(self.prob_pred.max(), self.prob_true.max(), ax.get_xlim()[1] / 1.05)
        if not any(each.get_label() == "perfect" for each in ax.lines):
            ax.axline((0, 0), slope=1, color="0.5", ls=":", label="perfect")
        ax.set(
            xlabel="predicted probability of a click",
            ylabel="share of clicks",
            xlim=(0, min(1, top)),
            ylim=(0, min(1, top)),
        )
        ax.legend(loc="upper left")
        other = None
        if histogram:
            other = ax.twinx()
            bins = np.linspace(0, min(1, top), 41)
            other.hist(self.y_proba, bins, color=line.get_color(), alpha=0.2, log=True)
            other.set_ylabel("candidates")
        self.ax_, self.histogram_ax_, self.figure_, self.line_ = ax, other, ax.figure, line
        return self
