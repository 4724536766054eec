"""Loss and validation score during training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skrec.inspection._axes import get_axes


class TrainingCurveDisplay:
    """Training loss and validation score per epoch.

    Parameters
    ----------
    losses : sequence of float, of length n_epochs
        Mean training loss of each epoch.
    scores : sequence of float
        Validation score of each epoch, starting with the first. It may be shorter than `losses`,
        and is empty if no data was held out.
    score_name : str, default="score"
        Name of the validation metric.
    best_score : float, default=None
        Score of the weights that are kept. If it is better than all scores of epochs, the weights
        before training are kept.

    Attributes
    ----------
    epochs_ : ndarray of int, shape (n_epochs,)
        Numbers of the epochs, starting with 1.
    best_epoch_ : int or None
        Epoch with the best validation score, whose weights are kept; 0 if these are the weights
        before training. None if there are no scores.
    ax_ : matplotlib Axes
        Axes with the losses.
    score_ax_ : matplotlib Axes or None
        Axes with the scores. None if there are no scores.
    figure_ : matplotlib Figure
        Figure of the axes.
    lines_ : list of matplotlib Line2D
        Lines of the losses, the scores and the best epoch, if present.

    Examples
    --------
    >>> from skrec.inspection import TrainingCurveDisplay
    >>> display = TrainingCurveDisplay([0.9, 0.7, 0.6], [0.61, 0.66, 0.64], "gauc")
    >>> display.best_epoch_
    2
    """

    def __init__(
        self,
        losses: Sequence[float],
        scores: Sequence[float] = (),
        score_name: str = "score",
        best_score: float | None = None,
    ) -> None:
        if not len(losses):
            raise ValueError("losses is empty: no epoch was run")
        if len(scores) > len(losses):
            raise ValueError(
                f"there are {len(scores)} scores of {len(losses)} epochs; give at most one per "
                "epoch"
            )
        self.losses = np.asarray(losses, dtype=float)
        self.scores = np.asarray(scores, dtype=float)
        self.score_name = score_name
        self.epochs_ = np.arange(1, len(self.losses) + 1)
        # Epochs of partial_fit come last and have no validation score.
        self._scored = self.epochs_[: len(self.scores)]
        known = np.isfinite(self.scores)
        self.best_epoch_ = (
            int(self._scored[known][self.scores[known].argmax()]) if any(known) else None
        )
        if any(known) and best_score is not None and best_score > self.scores[known].max():
            self.best_epoch_ = 0

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the training curves of a fitted recommender.

        Parameters
        ----------
        estimator : ContentRecommender
            Fitted recommender.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        **kwargs : dict
            Keyword arguments for the line of the losses, passed to ``Axes.plot``.

        Returns
        -------
        TrainingCurveDisplay
            Display with the drawn curves.
        """
        check_is_fitted(estimator, "network_")
        e = estimator
        display = cls(e.loss_curve_, e.validation_scores_, e.scoring, e.best_score_)
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw losses on the left axis, scores on the right axis, and mark the best epoch.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        **kwargs : dict
            Keyword arguments for the line of the losses, passed to ``Axes.plot``.

        Returns
        -------
        TrainingCurveDisplay
            Display with the drawn curves.
        """
        from matplotlib.ticker import MaxNLocator

        ax = get_axes(ax)
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
