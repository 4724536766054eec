"""Comparison of recommenders on the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skrec._common.checks import check_int, check_real
from skrec.inspection._axes import get_axes
from skrec.metrics import by_group, get_metric
from skrec.metrics._registry import values_by_group

BLOCK = 1 << 22  # entries of the matrix of resampled rows that is in memory at a time


class ComparisonDisplay:
    """Metrics of several recommenders, and intervals of their differences from one of them.

    :func:`compare` computes it.

    Parameters
    ----------
    values : dict of str to DataFrame of shape (n_groups, n_models)
        Value of each metric in each group (an impression, or a bare history), one column per
        model. Groups in which the metric is undefined are left out.
    reference : str
        Name of the model that the others are compared with.
    low, high : DataFrame of shape (n_models, n_metrics)
        Ends of the bootstrap intervals of the differences.
    confidence : float, default=0.95
        Probability of the intervals.

    Attributes
    ----------
    means_ : DataFrame of shape (n_models, n_metrics)
        Mean of each metric, which equals the result of ``evaluate``.
    differences_ : DataFrame of shape (n_models, n_metrics)
        Mean minus that of the reference.
    table_ : DataFrame of shape (n_models, n_metrics)
        Means and intervals as text, for reading.
    ax_ : matplotlib Axes
        Axes with the intervals.
    figure_ : matplotlib Figure
        Figure of the axes.
    bars_ : list of matplotlib ErrorbarContainer
        Differences and intervals, one entry per metric.
    """

    def __init__(
        self,
        values: dict[str, pd.DataFrame],
        reference: str,
        low: pd.DataFrame,
        high: pd.DataFrame,
        confidence: float = 0.95,
    ) -> None:
        self.values, self.reference = values, reference
        self.low, self.high, self.confidence = low, high, confidence
        self.means_ = pd.DataFrame({name: each.mean() for name, each in values.items()})
        self.differences_ = self.means_ - self.means_.loc[reference]
        self.table_ = self.means_.apply(lambda column: column.map("{:.4f}".format))
        for model in self.table_.index.drop(reference):
            for name in self.table_.columns:
                ends = f"[{low.loc[model, name]:+.4f}, {high.loc[model, name]:+.4f}]"
                self.table_.loc[model, name] += f" {ends}"

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the difference of each model from the reference, with its interval.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are created.
        **kwargs : dict
            Keyword arguments for the intervals, passed to ``Axes.errorbar``.

        Returns
        -------
        ComparisonDisplay
            Display with the drawn intervals.
        """
        ax = get_axes(ax)
        models = self.means_.index.drop(self.reference)
        place = np.arange(len(models))
        names = list(self.means_.columns)
        shifts = (np.arange(len(names)) - (len(names) - 1) / 2) * 0.6 / len(names)
        style = {"fmt": "o", "capsize": 3, **kwargs}
        self.bars_ = []
        for name, shift in zip(names, shifts, strict=True):
            middle = self.differences_.loc[models, name].to_numpy()
            below = np.maximum(middle - self.low.loc[models, name].to_numpy(), 0)
            above = np.maximum(self.high.loc[models, name].to_numpy() - middle, 0)
            bar = ax.errorbar(middle, place + shift, xerr=[below, above], label=name, **style)
            self.bars_.append(bar)
        ax.axvline(0, color="gray", lw=1)
        ax.set_yticks(place, models)
        ax.invert_yaxis()
        label = f"difference from {self.reference}, {self.confidence:.0%} interval"
        ax.set(xlabel=label, ylabel="model")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reference={self.reference!r})\n{self.table_.to_string()}"

    def _repr_html_(self) -> str:
        """Return the table as HTML, for notebooks."""
        return self.table_.to_html()


def compare(
    models: Mapping[str, Any],
    X: Any,
    y: Any = None,
    *,
    items: Any = None,
    metrics: str | Iterable[str] = ("gauc", "ndcg@10"),
    reference: str | None = None,
    confidence: float = 0.95,
    n_bootstrap: int = 1000,
    random_state: Any = None,
) -> ComparisonDisplay:
    """Compare fitted recommenders on the same rows.

    The interval of a difference is a paired bootstrap: groups (impressions, or bare histories) are
    drawn with replacement, and all models are compared on the same drawn groups. A difference whose
    interval does not contain 0 is unlikely to be due to the choice of the rows. The interval does
    not cover the randomness of training; for that, compare fits with several seeds.

    Parameters
    ----------
    models : dict of str to estimator
        Fitted recommenders by name: ``ContentRecommender``, baselines, pipelines with one of them
        as their only step, or searches over these.
    X : table or list of id lists, of n_samples rows
        Impressions with clicks, pairs with clicks and `impression_id`, or bare histories. The last
        click of a bare history is hidden and ranked among all items of the catalogue.
    y : array-like of shape (n_samples,), default=None
        Labels of pairs, if X has no column `clicked`.
    items : Items or DataFrame-like, default=None
        Items that extend or replace those of the fitted catalogues.
    metrics : str or list of str, default=("gauc", "ndcg@10")
        Names of metrics of :mod:`skrec.metrics` that have a value per group, such as "ndcg@10", or
        per list of recommended items, such as "novelty@10".
    reference : str, default=None
        Name of the model that the others are compared with, or "best" for the model with the
        highest mean of the first metric. None selects the first model.
    confidence : float, default=0.95
        Probability of the intervals.
    n_bootstrap : int, default=1000
        Number of times that groups are drawn.
    random_state : int, RandomState or None, default=None
        Seed of the draws.

    Returns
    -------
    ComparisonDisplay
        Means, differences and intervals, as data frames; ``plot()`` draws them.

    Raises
    ------
    ValueError
        If there is no model, if a metric has no value per row or is undefined in all groups, or if
        the models rank different rows, for example because one drops unknown items.

    Examples
    --------
    >>> from skrec.baselines import ItemKNN, Popularity
    >>> from skrec.datasets import make_headlines
    >>> from skrec.inspection import compare
    >>> news = make_headlines(n_users=50, n_items=200, n_impressions=300, random_state=0)
    >>> models = {"popular": Popularity(), "knn": ItemKNN()}
    >>> for model in models.values():
    ...     model = model.fit(news.train, news.items)
    >>> found = compare(models, news.test, metrics=["gauc", "mrr"], random_state=0)
    >>> found.means_.shape
    (2, 2)
    """
    if not isinstance(models, Mapping) or not models:
        raise ValueError(
            f"models must be a dict of names and fitted recommenders, such as {{'knn': knn}}, got "
            f"{models!r}"
        )
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    check_int("n_bootstrap", n_bootstrap)
    check_real("confidence", confidence, 0, 1, closed="none")
    values = _values(models, X, y, items, names)
    if reference is None:
        reference = next(iter(models))
    elif reference == "best" and reference not in models:
        reference = str(values[names[0]].mean().idxmax())
    elif reference not in models:
        raise ValueError(
            f"reference must be 'best' or the name of a model, {list(models)}, got {reference!r}"
        )
    seed = check_random_state(random_state).randint(2**31)
    low, high = (pd.DataFrame(index=list(models), columns=names, dtype=float) for _ in range(2))
    for name, frame in values.items():
        rng = np.random.default_rng(seed)  # the same draws for all metrics of the same groups
        differences = frame.sub(frame[reference], axis=0).to_numpy()
        drawn = _bootstrap(differences, n_bootstrap, rng)
        tail = (1 - confidence) / 2
        low[name], high[name] = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return ComparisonDisplay(values, reference, low, high, confidence)


def _values(
    models: Mapping[str, Any], X: Any, y: Any, items: Any, names: list[str]
) -> dict[str, pd.DataFrame]:
    """Return the values of each metric by group and model."""
    if not names:
        raise ValueError("metrics must name at least one metric, got []")
    for name in names:
        if get_metric(name).kind not in ("grouped", "list"):
            raise ValueError(
                f"compare needs grouped metrics, which have a value per row, such as 'ndcg@10' or "
                f"'novelty@10'; got {name!r}, which has one value for all rows; use rec.evaluate"
            )
    of_model, rows_of_model = {}, {}
    for model, estimator in models.items():
        of_model[model], rows_of_model[model] = _values_of(estimator, X, y, items, names)
    first = next(iter(models))
    for model, rows in rows_of_model.items():
        if not np.array_equal(rows, rows_of_model[first]):
            raise ValueError(
                f"{first!r} and {model!r} rank different rows; give them the same catalogue and "
                "the same unknown_items"
            )
    values = {}
    for name in names:
        frame = pd.DataFrame({model: found[name] for model, found in of_model.items()}).dropna()
        if not len(frame):
            raise ValueError(
                f"{name} is defined in no group; a group needs at least one click, for gauc also a "
                "candidate without a click, and for metrics of lists enough items"
            )
        values[name] = frame
    return values


def _values_of(
    estimator: Any, X: Any, y: Any, items: Any, names: list[str]
) -> tuple[dict[str, pd.Series], np.ndarray]:
    """Return the values of each metric by group, and what was ranked, to compare with others."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline) and len(estimator) == 1:  # searches over models are of these
        estimator = estimator[0]
    if not hasattr(estimator, "_read"):
        raise TypeError(
            f"models must be recommenders or baselines of skrec, or searches over them, got "
            f"{type(estimator).__name__}"
        )
    check_is_fitted(estimator, "items_")
    data, scorer = estimator._read(X, items, y, labels="required")
    if data.kind != "histories" and data.group_of_row is None:
        raise ValueError("pairs need an 'impression_id', which says what ranks together")
    metrics = [get_metric(name) for name in names]
    of_lists = scorer.evaluate_lists([metric for metric in metrics if metric.of_lists], data)
    found = {name: pd.Series(values) for name, values in of_lists.items()}
    grouped = [metric for metric in metrics if not metric.of_lists]
    if data.kind == "histories":
        ranking: Any = scorer.rank_last_clicks(data) if grouped else None
        for metric in grouped:
            value, usable = values_by_group(metric, ranking)
            found[metric.name] = pd.Series(np.where(usable, value, np.nan))
        return found, scorer.items.ids[data.without_last_click()[1]]
    if grouped:
        scored = data.gains(), scorer.scores(data), data.group_of_row[data.row_of_candidate()]
        found |= {metric.name: by_group(metric.name, *scored) for metric in grouped}
    return found, data.clicked


def _bootstrap(values: np.ndarray, n_bootstrap: int, rng: np.random.Generator) -> np.ndarray:
    """Return means (n_bootstrap, n_models) of values (n, n_models) over rows that are resampled."""
    n_rows = len(values)
    means = np.empty((n_bootstrap, values.shape[1]))
    size = max(1, BLOCK // n_rows)
    for start in range(0, n_bootstrap, size):
        stop = min(start + size, n_bootstrap)
        counts = np.empty((stop - start, n_rows))
        for row in counts:
            row[:] = np.bincount(rng.integers(0, n_rows, n_rows), minlength=n_rows)
        means[start:stop] = counts @ values / n_rows
    return means
