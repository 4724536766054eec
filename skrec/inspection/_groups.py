"""Distribution of a metric over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skrec._data.table import Table, is_table
from skrec.inspection._axes import get_axes
from skrec.inspection._scored_candidates import ScoredCandidates
from skrec.metrics import by_group


class GroupScoreDisplay:
    """Cumulative distribution of a metric over groups, such as impressions.

    Use it to see in how many groups a recommender ranks badly, which a mean does not show.

    Parameters
    ----------
    values : Series of float, shape (n_groups,)
        Value of the metric in each group. NaN in groups in which it is undefined.
    metric : str
        Name of the metric.
    segments : array-like of shape (n_groups,), default=None
        Segment of each group, such as "cold" or "warm". One curve is drawn per segment.

    Attributes
    ----------
    means_ : dict of segment to float
        Mean of each curve, which equals the result of ``evaluate`` for these groups.
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure of the axes.
    lines_ : list of matplotlib Line2D
        One curve per segment.
    """

    def __init__(self, values: Any, metric: str, segments: Any = None) -> None:
        self.values, self.metric = pd.Series(values), metric
        self.segments = None if segments is None else pd.Series(np.asarray(segments))
        if self.segments is not None and len(self.segments) != len(self.values):
            raise ValueError(
                f"segments must have one entry for each of the {len(self.values)} groups, got "
                f"{len(self.segments)}"
            )
        self.means_ = {name: float(part.mean()) for name, part in self._values_by_segment()}

    def _values_by_segment(self) -> list[tuple[Any, pd.Series]]:
        """Return each segment with the defined values of its groups."""
        is_defined = self.values.notna().to_numpy()
        if not is_defined.any():
            raise ValueError(
                f"{self.metric} is defined in no group; a group needs at least one click, and for "
                "gauc also a candidate without a click"
            )
        if self.segments is None:
            return [("all", self.values[is_defined])]
        segments = self.segments[is_defined]
        return list(self.values[is_defined].groupby(segments.to_numpy()))

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
        """Compute a metric of a fitted recommender in each group, and draw its distribution.

        Parameters
        ----------
        estimator : ContentRecommender
            Fitted recommender.
        X : table of n_samples rows
            Impressions with clicks, or pairs with clicks and `impression_id`.
        y : array-like of shape (n_samples,), default=None
            Labels of pairs, if X has no column `clicked`.
        metric : str, default="gauc"
            Name of a grouped metric of :mod:`skrec.metrics`.
        by : str or array-like of shape (n_samples,), default=None
            Segment of each row, such as "cold" or "warm", or the name of a column of X that
            contains it. One curve is drawn per segment.
        items : Items or DataFrame-like, default=None
            Items that extend or replace those of the fitted catalogue.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        **kwargs : dict
            Keyword arguments for the lines, passed to ``Axes.ecdf``.

        Returns
        -------
        GroupScoreDisplay
            Display with the drawn curves.
        """
        candidates = ScoredCandidates.from_estimator(estimator, X, y, items)
        if candidates.group is None:
            raise ValueError("pairs need an 'impression_id', which says what ranks together")
        values = by_group(metric, candidates.gains, candidates.scores, candidates.group)
        segments = None
        if by is not None:
            segment_of_row = np.asarray(_values_of(X, by))
            n_rows = candidates.row[-1] + 1
            if len(segment_of_row) != n_rows:
                raise ValueError(
                    f"by must have one entry for each row of X, got {len(segment_of_row)} of "
                    f"{n_rows}"
                )
            _, first = np.unique(candidates.group, return_index=True)
            # by_group returns groups in order of first appearance.
            segments = segment_of_row[candidates.row[np.sort(first)]]
        return cls(values, metric, segments).plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the share of groups whose metric is at most a value, against that value.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        **kwargs : dict
            Keyword arguments for the lines, passed to ``Axes.ecdf``.

        Returns
        -------
        GroupScoreDisplay
            Display with the drawn curves.
        """
        ax = get_axes(ax)
        self.lines_ = []
        for name, part in self._values_by_segment():
            label = f"{name}: mean {self.means_[name]:.3f} of {len(part):,}"
            line = ax.ecdf(part.to_numpy(), label=label, **kwargs)
            ax.axvline(self.means_[name], color=line.get_color(), ls=":")
            self.lines_.append(line)
        ax.set(xlabel=f"{self.metric} of a group", ylabel="share of groups up to it", ylim=(0, 1))
        ax.legend(loc="upper left")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _values_of(X: Any, by: Any) -> Any:
    """Return `by`, or the column of X that it names."""
    if not isinstance(by, str):
        return by
    if not (is_table(X) and by in Table(X)):
        raise ValueError(f"by={by!r} is no column of X")
    return Table(X).column(by).to_numpy()
