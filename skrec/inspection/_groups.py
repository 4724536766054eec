"""How much a metric differs from group to group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skrec._data.table import Table, is_table
from skrec.inspection._answers import Answers
from skrec.inspection._axes import axes
from skrec.metrics import by_group


class GroupScoreDisplay:
    """Distribution of a metric over groups, such as impressions: for how many it is bad.

    Parameters
    ----------
    values : Series of float, shape (n_groups,)
        The metric of each group; NaN where it is not defined.
    metric : str
        Its name.
    segments : array-like of shape (n_groups,), default=None
        What kind each group is of; each kind gets a curve of its own.

    Attributes
    ----------
    means_ : dict of segment to float
        The mean of each curve, which is what ``evaluate`` gives of the metric.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
    """

    def __init__(self, values: Any, metric: str, segments: Any = None):
        self.values, self.metric = pd.Series(values), metric
        self.segments = None if segments is None else pd.Series(np.asarray(segments))
        if self.segments is not None and len(self.segments) != len(self.values):
            raise ValueError(
                f"segments must have one entry for each of the {len(self.values)} groups, got "
                f"{len(self.segments)}"
            )
        self.means_ = {name: float(part.mean()) for name, part in self._parts()}

    def _parts(self) -> list[tuple[Any, pd.Series]]:
        known = self.values.notna().to_numpy()
        if not known.any():
            raise ValueError(f"{self.metric} is defined in no group: each needs a click and more")
        if self.segments is None:
            return [("all", self.values[known])]
        kinds = self.segments[known]
        return list(self.values[known].groupby(kinds.to_numpy()))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        metric: str = "gauc",
        by: Any = None,
        items: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Draw how a metric of a fitted recommender is distributed.

        Parameters
        ----------
        estimator : ContentRecommender
            A fitted one.
        X : table of n_samples rows
            Impressions, or pairs with an `impression_id`, with clicks.
        y : array-like of shape (n_samples,), default=None
            Labels of pairs, where X has no `clicked` column.
        metric : str, default="gauc"
            A grouped metric of :mod:`skrec.metrics`.
        by : str or array-like of shape (n_samples,), default=None
            A column of X, or values, that say which curve a row belongs to, such as cold or warm.
        items : Items or DataFrame-like, default=None
            New or changed items.
        ax : matplotlib Axes, default=None
            Where to draw; None makes new ones.
        **kwargs : dict
            For the lines, as ``Axes.plot`` takes them.

        Returns
        -------
        GroupScoreDisplay
        """
        answers = Answers.of(estimator, X, y, items)
        if answers.group is None:
            raise ValueError("pairs need an 'impression_id', which says what ranks together")
        values = by_group(metric, answers.clicked, answers.scores, answers.group)
        segments = None
        if by is not None:
            kinds = np.asarray(_column(X, by))
            if len(kinds) != answers.row[-1] + 1:
                raise ValueError(
                    f"by must have one entry for each row of X, got {len(kinds)} of "
                    f"{answers.row[-1] + 1}"
                )
            _, first = np.unique(answers.group, return_index=True)
            segments = kinds[answers.row[np.sort(first)]]  # groups come in this order, too
        return cls(values, metric, segments).plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the share of groups up to each value.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes new ones.
        **kwargs : dict
            For the lines, as ``Axes.plot`` takes them.

        Returns
        -------
        GroupScoreDisplay
        """
        ax = axes(ax)
        self.lines_ = []
        for name, part in self._parts():
            label = f"{name}: mean {self.means_[name]:.3f} of {len(part):,}"
            line = ax.ecdf(part.to_numpy(), label=label, **kwargs)
            ax.axvline(self.means_[name], color=line.get_color(), ls=":")
            self.lines_.append(line)
        ax.set(xlabel=f"{self.metric} of a group", ylabel="share of groups up to it", ylim=(0, 1))
        ax.legend(loc="upper left")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _column(X: Any, by: Any) -> Any:
    if not isinstance(by, str):
        return by
    if not (is_table(X) and by in Table(X)):
        raise ValueError(f"by={by!r} is no column of X")
    return Table(X).column(by).to_numpy()
