"""Whether probabilities are what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from skrec.inspection._answers import Answers
from skrec.inspection._axes import axes
from skrec.metrics import compute


class ReliabilityDisplay:
    """Share of clicks against predicted probability, in bins, with how many fall into each.

    Clicks are rare, so bins hold equal numbers of candidates: of equal width, nearly all
    candidates would be in the first.

    Parameters
    ----------
    prob_true, prob_pred : ndarray of shape (n_bins,)
        Share of clicks and mean probability in each bin.
    ece : float
        Expected calibration error: the mean distance of share and probability, in 10 bins of
        equal width, as :func:`skrec.metrics.ece` computes it.
    y_proba : ndarray of shape (n_candidates,)
        All probabilities, for the histogram.
    name : str, default=None
        For the legend.

    Attributes
    ----------
    ax_, histogram_ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : The same for two-dimensional data.
    """

    def __init__(
        self,
        prob_true: np.ndarray,
        prob_pred: np.ndarray,
        ece: float,
        y_proba: np.ndarray,
        *,
        name: str | None = None,
    ):
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
        """Draw the probabilities of a fitted recommender.

        Parameters
        ----------
        estimator : ContentRecommender
            A fitted one.
        X : table of n_samples rows
            Impressions or pairs with clicks.
        y : array-like of shape (n_samples,), default=None
            Labels of pairs, where X has no `clicked` column.
        items : Items or DataFrame-like, default=None
            New or changed items.
        calibrated : bool, default=True
            Whether to draw ``predict_proba``, or the sigmoid of the bare scores.
        n_bins : int, default=10
            Bins, of equal numbers of candidates.
        name : str, default=None
            For the legend; None says whether it is calibrated.
        ax : matplotlib Axes, default=None
            Where to draw; None makes new ones.
        **kwargs : dict
            For the line, as ``Axes.plot`` takes them.

        Returns
        -------
        ReliabilityDisplay
        """
        answers = Answers.of(estimator, X, y, items)
        a, b = estimator.calibration_ if calibrated else (1.0, 0.0)
        proba = expit(a * answers.scores.astype(np.float64) + b)
        name = name or ("calibrated" if calibrated else "not calibrated")
        made = cls.from_predictions
        return made(answers.clicked, proba, n_bins=n_bins, name=name, ax=ax, **kwargs)

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
        """Draw probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_candidates,)
            1 for clicked candidates, 0 for others.
        y_proba : array-like of shape (n_candidates,)
            Probabilities of a click.
        n_bins : int, default=10
            Bins, of equal numbers of candidates.
        name : str, default=None
            For the legend.
        ax : matplotlib Axes, default=None
            Where to draw; None makes new ones.
        **kwargs : dict
            For the line, as ``Axes.plot`` takes them.

        Returns
        -------
        ReliabilityDisplay
        """
        from sklearn.calibration import calibration_curve

        y_true, y_proba = np.asarray(y_true), np.asarray(y_proba, dtype=float)
        error = compute(["ece"], y_true, y_proba=y_proba)["ece"]
        true, predicted = calibration_curve(y_true, y_proba, n_bins=n_bins, strategy="quantile")
        return cls(true, predicted, error, y_proba, name=name).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, histogram: bool = True, **kwargs: Any) -> Any:
        """Draw the curve over a histogram of all probabilities.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes new ones.
        histogram : bool, default=True
            Whether to draw how many candidates have which probability, on the right axis.
        **kwargs : dict
            For the line, as ``Axes.plot`` takes them.

        Returns
        -------
        ReliabilityDisplay
        """
        ax = axes(ax)
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
