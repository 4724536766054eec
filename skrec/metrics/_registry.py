"""Metrics by name: look-up, computation of several at once, and scorers for searches."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from skrec.metrics import _kernels, _pointwise
from skrec.metrics._grouped import check_and_rank, mean_over
from skrec.metrics._ranking import Ranking
from skrec.metrics._validation import check_gains

Kind = Literal["pointwise", "grouped", "list", "catalogue"]

# The keys are examples of names. If the example contains an @, a number follows it.
_POINTWISE: dict[str, Callable[..., float]] = {
    "auc": _pointwise.auc,
    "logloss": _pointwise.logloss,
    "f1@0.5": _pointwise.f1,
    "brier": _pointwise.brier,
    "ece": _pointwise.ece,
}
_GROUPED: dict[str, Callable[..., np.ndarray]] = {
    "gauc": _kernels.gauc_by_group,
    "mrr": _kernels.mrr_by_group,
    "mrr_mind": _kernels.mrr_mind_by_group,
    "ndcg@10": _kernels.ndcg_by_group,
    "hit@10": _kernels.hit_by_group,
    "recall@10": _kernels.recall_by_group,
    "precision@10": _kernels.precision_by_group,
    "lrap": _kernels.average_precision_by_group,
    "map": _kernels.average_precision_by_group,
}
COMPARES = "ild_"  # a column follows, whose name may contain any characters
# Metrics of lists are computed by `skrec._inference.lists`, because they need a recommender.
_LISTS = ("novelty@10", "ild@10", "serendipity@10")
_CATALOGUE = ("coverage@10", "gini@10")
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(_POINTWISE, "pointwise"),
    **dict.fromkeys(_GROUPED, "grouped"),
    **dict.fromkeys(_LISTS, "list"),
    **dict.fromkeys(_CATALOGUE, "catalogue"),
}
_EXAMPLES = {example.partition("@")[0]: example for example in _KINDS}
_FROM_PROBA = {"logloss", "f1", "brier", "ece"}
_LOWER_IS_BETTER = {"logloss", "brier", "ece", "gini"}


@dataclass(frozen=True)
class Metric:
    """Properties of a metric, as returned by :func:`get_metric`.

    Parameters
    ----------
    name : str
        Full name, such as ``"ndcg@5"``.
    family : str
        Name without its number, such as ``"ndcg"``.
    number : int, float or None
        Number after the @: k, or the threshold of f1.
    kind : {"pointwise", "grouped", "list", "catalogue"}
        Whether the metric is computed over all rows, averaged over groups, averaged over lists of
        recommended items, or computed from all lists together.
    response : {"score", "proba"}
        Input of the metric: scores on any scale, or probabilities.
    greater_is_better : bool
        Whether higher values are better. False for losses and for gini.
    column : str or None
        Column of the catalogue that ild compares, such as "topic" in ``"ild_topic@10"``. None
        means item vectors.
    """

    name: str
    family: str
    number: int | float | None
    kind: Kind
    response: Literal["score", "proba"]
    greater_is_better: bool
    column: str | None = None

    @property
    def of_lists(self) -> bool:
        """Whether the metric describes lists of recommended items, instead of ranked labels."""
        return self.kind in ("list", "catalogue")


def get_metric(name: str) -> Metric:
    """Look up a metric by name.

    Parameters
    ----------
    name : str
        One of auc, logloss, f1@0.5, brier, ece, gauc, mrr, mrr_mind, ndcg@10, hit@10, recall@10,
        precision@10, lrap, map, or a metric of lists: coverage@10, gini@10, novelty@10, ild@10,
        serendipity@10. Any number may follow the @: a positive int, or for f1 a threshold between 0
        and 1. ``"ild_topic@10"`` compares the column `topic` instead of item vectors.

    Returns
    -------
    Metric
        Properties of the metric.

    Raises
    ------
    ValueError
        If the metric is unknown, or if its number is missing or invalid.

    Examples
    --------
    >>> from skrec.metrics import get_metric
    >>> get_metric("ndcg@5").kind
    'grouped'
    """
    if not isinstance(name, str):
        raise ValueError(
            f"a metric must be given by its name, a str such as 'gauc', got {name!r} of type "
            f"{type(name).__name__}"
        )
    family, at, text, column = *name.partition("@"), None
    if len(family) > len(COMPARES) and name.startswith(COMPARES):
        column, at, text = name.removeprefix(COMPARES).rpartition("@") if at else (name, "", "")
        family = "ild"
    if family not in _EXAMPLES:
        raise ValueError(_unknown_metric(name, family, text))
    return Metric(
        name=name,
        family=family,
        number=_parse_number(name, family, at, text),
        kind=_KINDS[_EXAMPLES[family]],
        response="proba" if family in _FROM_PROBA else "score",
        greater_is_better=family not in _LOWER_IS_BETTER,
        column=column,
    )


def get_scoring(name: str) -> Metric:
    """Return the metric of the parameter `scoring`, by which a ranking is judged.

    Raises
    ------
    ValueError
        If the metric is unknown, or describes lists without saying how well they are ranked.
    """
    metric = get_metric(name)
    if metric.of_lists:
        raise ValueError(
            f"{name!r} describes lists of recommended items, which vary most before training, so "
            f"training can't be judged by it; use rec.evaluate(X, metrics={name!r}) after fit, or "
            f"skrec.metrics.scorer({name!r}) beside another metric in a search"
        )
    return metric


def compute(
    metrics: str | Iterable[str],
    y_true: ArrayLike,
    y_score: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    y_proba: ArrayLike | None = None,
) -> dict[str, float]:
    """Compute several metrics at once. All grouped metrics share one sort of the rows.

    Parameters
    ----------
    metrics : str or list of str
        Names of metrics. See :func:`get_metric` for the names.
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1, or gains: 0 for negatives, and positive numbers for positives. Only ndcg
        reads the gains.
    y_score : array-like of shape (n_rows,), default=None
        Scores. Required by all metrics except logloss, f1, brier and ece.
    groups : array-like of shape (n_rows,), default=None
        Group ids, int or str, in any order. Required by grouped metrics.
    y_proba : array-like of shape (n_rows,), default=None
        Probabilities of label 1. Required by logloss, f1, brier and ece.

    Returns
    -------
    dict
        Value of each metric under its name. If any metric is grouped, the dict also contains
        ``"n_groups_used"``, an int. If gauc is among the metrics, it is the number of groups with a
        positive and a negative, otherwise the number of groups with a positive.

    Raises
    ------
    ValueError
        If a name is unknown, or if an array is missing, not finite, or differs in length.

    Warns
    -----
    UndefinedMetricWarning
        If a grouped metric has no usable group, or if there is only one class for auc. The value
        is NaN.

    Examples
    --------
    >>> from skrec.metrics import compute
    >>> compute(["gauc", "mrr"], [1, 0, 0, 1], [0.9, 0.1, 0.8, 0.2], groups=[7, 7, 8, 8])
    {'gauc': 0.5, 'mrr': 0.75, 'n_groups_used': 2}
    """
    chosen = _get_metrics(metrics)
    responses = {"score": y_score, "proba": y_proba}
    _check_columns(chosen, responses, groups)
    grouped = [metric for metric in chosen if metric.kind == "grouped"]
    labels = y_true
    if grouped or _are_numbers(y_true):
        labels = check_gains(y_true)[0]
    if not grouped:
        return {metric.name: _compute_pointwise(metric, labels, responses) for metric in chosen}
    ranking = check_and_rank(y_true, y_score, groups, graded=True)
    values = {
        metric.name: _compute_grouped(metric, ranking)
        if metric.kind == "grouped"
        else _compute_pointwise(metric, labels, responses)
        for metric in chosen
    }
    return values | {"n_groups_used": _n_groups_used(grouped, ranking)}


def compute_ranked(metrics: str | Iterable[str], ranking: Ranking) -> dict[str, float]:
    """Compute grouped metrics from groups that are already ranked.

    Parameters
    ----------
    metrics : str or list of str
        Names of grouped metrics. See :func:`get_metric` for the names.
    ranking : Ranking
        Counts of the ranked groups.

    Returns
    -------
    dict
        Value of each metric under its name, and ``"n_groups_used"``, as in :func:`compute`.

    Raises
    ------
    ValueError
        If a name is unknown, or if a metric is not grouped.
    """
    chosen = _get_metrics(metrics)
    for metric in chosen:
        if metric.kind != "grouped":
            raise ValueError(
                f"metric {metric.name!r} needs labelled candidates, but here whole rankings are "
                "evaluated; use a grouped metric such as 'ndcg@10'"
            )
    values = {metric.name: _compute_grouped(metric, ranking) for metric in chosen}
    if not chosen:
        return values
    return values | {"n_groups_used": _n_groups_used(chosen, ranking)}


def scorer(name: str) -> Callable[..., float]:
    """Make a scorer for the `scoring` parameter of scikit-learn's searches and validation.

    Parameters
    ----------
    name : str
        Name of the metric. See :func:`get_metric` for the names.

    Returns
    -------
    callable
        Scorer with the signature ``(estimator, X, y=None)``. It returns
        ``estimator.evaluate(X, y, metrics=[name])[name]``, negated if lower is better, like the
        ``neg_*`` scorers of scikit-learn. It can be pickled and cloned.

    Raises
    ------
    ValueError
        If the metric is unknown.

    Examples
    --------
    >>> from skrec.metrics import scorer
    >>> scorer("ndcg@10")
    scorer('ndcg@10')
    """
    return _Scorer(get_metric(name))


@dataclass(frozen=True, repr=False)
class _Scorer:
    """Callable returned by `scorer`."""

    metric: Metric

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        name = self.metric.name
        value = estimator.evaluate(X, y, metrics=[name])[name]
        return value if self.metric.greater_is_better else -value

    def __repr__(self) -> str:
        return f"scorer({self.metric.name!r})"


def _unknown_metric(name: str, family: str, number: str) -> str:
    """Return the error message for an unknown name, with a guess if a known name is similar."""
    close = difflib.get_close_matches(family.lower(), _EXAMPLES, n=1, cutoff=0.5)
    guess = _EXAMPLES[close[0]] if close else ""
    if "@" in guess and number:
        guess = f"{close[0]}@{number}"
    hint = f"did you mean {guess!r}? " if guess else ""
    return (
        f"unknown metric {name!r}; {hint}Valid names are {', '.join(_EXAMPLES.values())}; "
        "the number after @ is free"
    )


def _parse_number(name: str, family: str, at: str, text: str) -> int | float | None:
    """Return the number after the @, or None for metrics without a number."""
    example = _EXAMPLES[family]
    if "@" not in example:
        if at:
            raise ValueError(f"metric {name!r}: {family} takes no number, write {family!r}")
        return None
    if not at:
        right = name + example[example.index("@") :]
        raise ValueError(f"metric {name!r} lacks its number, write {right!r}")
    if family == "f1":
        if re.fullmatch(r"0?\.\d+", text, re.ASCII) and 0 < float(text) < 1:
            return float(text)
        raise ValueError(
            f"metric {name!r}: the threshold after @ must lie between 0 and 1, as in {example!r}"
        )
    if family == "ild" and text == "1":
        raise ValueError(f"metric {name!r}: k after @ must be at least 2, because ild needs pairs")
    if re.fullmatch(r"[1-9]\d*", text, re.ASCII):
        return int(text)
    raise ValueError(f"metric {name!r}: k after @ must be a positive int, as in {example!r}")


def _get_metrics(names: str | Iterable[str]) -> list[Metric]:
    if not isinstance(names, Iterable):
        raise TypeError(f"metrics must be the name of a metric or a list of names, got {names!r}")
    return [get_metric(name) for name in ([names] if isinstance(names, str) else names)]


def _check_columns(
    chosen: list[Metric], responses: Mapping[str, ArrayLike | None], groups: ArrayLike | None
) -> None:
    """Raise if a metric needs scores, probabilities or groups that were not given."""
    for metric in chosen:
        if metric.of_lists:
            raise ValueError(
                f"metric {metric.name!r} describes lists of recommended items, and labels and "
                f"scores are no lists; use rec.evaluate(X, metrics={metric.name!r})"
            )
        if responses[metric.response] is None:
            raise ValueError(f"metric {metric.name!r} needs y_{metric.response}=, got None")
        if metric.kind == "grouped" and groups is None:
            raise ValueError(
                f"metric {metric.name!r} is computed within groups, but there are none: pass "
                "groups=, the id of each row's group (in a table of pairs: an 'impression_id' "
                "column), or pass impressions"
            )


def _function_of(table: dict[str, Callable[..., Any]], metric: Metric) -> Callable[..., Any]:
    """Return the function of a metric in a table, with the number of the metric as an argument."""
    function = table[_EXAMPLES[metric.family]]
    if metric.number is None:
        return function
    return partial(function, **{"threshold" if metric.family == "f1" else "k": metric.number})


def _compute_pointwise(
    metric: Metric, y_true: ArrayLike, responses: Mapping[str, ArrayLike | None]
) -> float:
    return _function_of(_POINTWISE, metric)(y_true, responses[metric.response])


def _compute_grouped(metric: Metric, ranking: Ranking) -> float:
    values, usable = values_by_group(metric, ranking)
    return mean_over(values, usable, metric.name)


def _are_numbers(y_true: Any) -> bool:
    """Whether labels are an array of numbers; others are checked by the metrics."""
    try:
        return np.asarray(y_true).dtype.kind in "fiu"
    except ValueError:  # lists of several lengths
        return False


def values_by_group(metric: Metric, ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """Return the value of a metric in each group, and a mask of the groups where it is defined."""
    return _function_of(_GROUPED, metric)(ranking), _usable_groups(metric, ranking)


def _usable_groups(metric: Metric, ranking: Ranking) -> np.ndarray:
    return ranking.with_both if metric.family == "gauc" else ranking.with_positive


def _n_groups_used(grouped: list[Metric], ranking: Ranking) -> int:
    """Return the number of groups in which all of the metrics are defined."""
    return min(int(_usable_groups(metric, ranking).sum()) for metric in grouped)
