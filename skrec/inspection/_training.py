"""How training went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skrec.inspection._axes import axes


class TrainingCurveDisplay:
    """Loss and validation score of each epoch.

    Parameters
    ----------
    losses : sequence of float, of length n_epochs
        Mean training losses.
    scores : sequence of float
        Validation scores of the last epochs; empty where nothing was held out.
    score_name : str, default="score"
        What they measure.

    Attributes
    ----------
    epochs_ : ndarray of int, shape (n_epochs,)
        1, 2, ...
    best_epoch_ : int or None
        The epoch whose weights were kept: the one with the best score, if there are scores.
    ax_, score_ax_ : matplotlib Axes
        Those of the losses and of the scores; the latter None where there are none.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D

    Examples
    --------
    >>> from skrec.inspection import TrainingCurveDisplay
    >>> display = TrainingCurveDisplay([0.9, 0.7, 0.6], [0.61, 0.66, 0.64], "gauc")
    >>> display.best_epoch_
    2
    """

    def __init__(
        self, losses: Sequence[float], scores: Sequence[float] = (), score_name: str = "score"
    ):
        if not len(losses):
            raise ValueError("losses is empty: no epoch was run")
        if len(scores) > len(losses):
            raise ValueError(
                f"there are {len(scores)} scores of {len(losses)} epochs; give at most one an epoch"
            )
        self.losses = np.asarray(losses, dtype=float)
        self.scores = np.asarray(scores, dtype=float)
        self.score_name = score_name
        self.epochs_ = np.arange(1, len(self.losses) + 1)
        # epochs of partial_fit have losses alone
        self._scored = self.epochs_[: len(self.scores)]
        known = np.isfinite(self.scores)
        self.best_epoch_ = (
            int(self._scored[known][self.scores[known].argmax()]) if any(known) else None
        )

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the training of a fitted recommender.

        Parameters
        ----------
        estimator : ContentRecommender
            A fitted one.
        ax : matplotlib Axes, default=None
            Where to draw; None makes new ones.
        **kwargs : dict
            For the line of the losses, as ``Axes.plot`` takes them.

        Returns
        -------
        TrainingCurveDisplay
        """
        check_is_fitted(estimator, "network_")
        made = cls(estimator.loss_curve_, estimator.validation_scores_, estimator.scoring)
        return made.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw losses on the left axis, scores on the right one, and the epoch that was kept.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes new ones.
        **kwargs : dict
            For the line of the losses, as ``Axes.plot`` takes them.

        Returns
        -------
        TrainingCurveDisplay
        """
        from matplotlib.ticker import MaxNLocator

        ax = axes(ax)
        style = {"color": "C0", "marker": ".", "label": "training loss", **kwargs}
        lines = ax.plot(self.epochs_, self.losses, **style)
        ax.set(xlabel="epoch", ylabel="training loss")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        other = None
        if len(self.scores):
            other = ax.twinx()
            label = f"validation {self.score_name}"
            lines += other.plot(self._scored, self.scores, color="C1", marker=".", label=label)
            other.set_ylabel(label)
            if self.best_epoch_ is not None:
                label = f"kept: epoch {self.best_epoch_}"
                lines.append(ax.axvline(self.best_epoch_, color="0.6", ls=":", label=label))
        ax.legend(handles=lines, loc="center right")
        self.ax_, self.score_ax_, self.figure_, self.lines_ = ax, other, ax.figure, lines
        return self
