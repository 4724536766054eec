"""Metrics by name: look-up, evaluation of several at once, and scorers for searches."""

import difflib
import re
from dataclasses import dataclass
from functools import partial
from typing import Literal

from skrec.metrics import _kernels, _pointwise
from skrec.metrics._grouped import check_and_rank, mean_over

# A name whose example has an @ takes a number there.
_POINTWISE = {
    "auc": _pointwise.auc,
    "logloss": _pointwise.logloss,
    "f1@0.5": _pointwise.f1,
    "brier": _pointwise.brier,
    "ece": _pointwise.ece,
}
_GROUPED = {
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
_EXAMPLES = {example.partition("@")[0]: example for example in [*_POINTWISE, *_GROUPED]}
_FROM_PROBA = {"logloss", "f1", "brier", "ece"}
_LOWER_IS_BETTER = {"logloss", "brier", "ece"}


@dataclass(frozen=True)
class Metric:
    """What a metric's name stands for; made by `get_metric`.

    Parameters
    ----------
    name : str
        The name as given, such as ``"ndcg@5"``.
    family : str
        The name without its number, ``"ndcg"``.
    number : int, float or None
        What follows the @: k, or the threshold of f1.
    kind : {"pointwise", "grouped"}
        Whether the metric is over all rows, or averaged over groups.
    response : {"score", "proba"}
        What the metric reads: scores of any scale, or probabilities.
    greater_is_better : bool
        False for losses.
    """

    name: str
    family: str
    number: int | float | None
    kind: Literal["pointwise", "grouped"]
    response: Literal["score", "proba"]
    greater_is_better: bool


def get_metric(name):
    """Look a metric up by its name.

    Parameters
    ----------
    name : str
        One of auc, logloss, f1@0.5, brier, ece, gauc, mrr, mrr_mind, ndcg@10, hit@10, recall@10,
        precision@10, lrap, map. The number after @ is free: a positive int, or for f1 a threshold
        between 0 and 1.

    Returns
    -------
    Metric
        Its properties.

    Raises
    ------
    ValueError
        If there is no such metric, or the number is missing or wrong.

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
    family, at, text = name.partition("@")
    if family not in _EXAMPLES:
        raise ValueError(_unknown(name, family, text))
    return Metric(
        name=name,
        family=family,
        number=_parse_number(name, family, at, text),
        kind="grouped" if _EXAMPLES[family] in _GROUPED else "pointwise",
        response="proba" if family in _FROM_PROBA else "score",
        greater_is_better=family not in _LOWER_IS_BETTER,
    )


def compute(metrics, y_true, y_score=None, groups=None, y_proba=None):
    """Compute several metrics; the rows are sorted once for all grouped ones.

    Parameters
    ----------
    metrics : list of str
        Names, as `get_metric` takes them.
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,), default=None
        Scores; needed by all metrics but logloss, f1, brier and ece.
    groups : array-like of shape (n_rows,), default=None
        Group ids, int or str, in any order; needed by the grouped metrics.
    y_proba : array-like of shape (n_rows,), default=None
        Probabilities of label 1; needed by logloss, f1, brier and ece.

    Returns
    -------
    dict
        The value of each metric under the name given. If any metric is grouped, also
        ``"n_groups_used"``, an int: the groups with a positive and a negative if gauc is among the
        metrics, else those with a positive.

    Raises
    ------
    ValueError
        If a name is unknown, or a column is missing, not finite, or of another length.

    Warns
    -----
    UndefinedMetricWarning
        If a metric has no usable group, or auc only one class; its value is NaN.

    Examples
    --------
    >>> from skrec.metrics import compute
    >>> compute(["gauc", "mrr"], [1, 0, 0, 1], [0.9, 0.1, 0.8, 0.2], groups=[7, 7, 8, 8])
    {'gauc': 0.5, 'mrr': 0.75, 'n_groups_used': 2}
    """
    chosen = _look_up(metrics)
    responses = {"score": y_score, "proba": y_proba}
    _check_columns(chosen, responses, groups)
    grouped = [metric for metric in chosen if metric.kind == "grouped"]
    ranking = check_and_rank(y_true, y_score, groups) if grouped else None
    values: dict[str, float] = {
        metric.name: _compute_grouped(metric, ranking)
        if metric.kind == "grouped"
        else _bind(_POINTWISE, metric)(y_true, responses[metric.response])
        for metric in chosen
    }
    return values | _count_used(grouped, ranking)


def compute_ranked(metrics, ranking):
    """Compute grouped metrics of groups that are ranked already.

    Parameters
    ----------
    metrics : list of str
        Names of grouped metrics, as `get_metric` takes them.
    ranking : Ranking
        The groups' counts.

    Returns
    -------
    dict
        As `compute` returns it.

    Raises
    ------
    ValueError
        If a name is unknown, or not of a grouped metric.
    """
    chosen = _look_up(metrics)
    for metric in chosen:
        if metric.kind != "grouped":
            raise ValueError(
                f"metric {metric.name!r} needs labelled candidates, but here whole rankings are "
                "judged; take a grouped metric such as 'ndcg@10'"
            )
    values: dict[str, float] = {metric.name: _compute_grouped(metric, ranking) for metric in chosen}
    return values | _count_used(chosen, ranking)


def scorer(name):
    """Make a scorer for the `scoring` of scikit-learn's searches and validation functions.

    Parameters
    ----------
    name : str
        Name of the metric, as `get_metric` takes it.

    Returns
    -------
    callable
        Called with ``(estimator, X, y=None)``, it gives ``estimator.evaluate(X, y,
        metrics=[name])[name]``, negated where lower is better, as scikit-learn's ``neg_*`` scorers
        are. It can be pickled and cloned.

    Raises
    ------
    ValueError
        If there is no metric of that name.

    Examples
    --------
    >>> from skrec.metrics import scorer
    >>> scorer("ndcg@10")
    scorer('ndcg@10')
    """
    return _Scorer(get_metric(name))


@dataclass(frozen=True, repr=False)
class _Scorer:
    metric: Metric

    def __call__(self, estimator, X, y=None):
        name = self.metric.name
        value = estimator.evaluate(X, y, metrics=[name])[name]
        return value if self.metric.greater_is_better else -value

    def __repr__(self):
        return f"scorer({self.metric.name!r})"


def _unknown(name, family, number):
    close = difflib.get_close_matches(family.lower(), _EXAMPLES, n=1, cutoff=0.5)
    guess = _EXAMPLES[close[0]] if close else ""
    if "@" in guess and number:
        guess = f"{close[0]}@{number}"
    hint = f"did you mean {guess!r}? " if guess else ""
    return (
        f"unknown metric {name!r}; {hint}Valid names are {', '.join(_EXAMPLES.values())}; "
        "the number after @ is free"
    )


def _parse_number(name, family, at, text):
    example = _EXAMPLES[family]
    if "@" not in example:
        if at:
            raise ValueError(f"metric {name!r}: {family} takes no number, write {family!r}")
        return None
    if not at:
        raise ValueError(f"metric {name!r} lacks its number, write {example!r}")
    if family == "f1":
        if re.fullmatch(r"0?\.\d+", text, re.ASCII) and 0 < float(text) < 1:
            return float(text)
        raise ValueError(
            f"metric {name!r}: the threshold after @ must lie between 0 and 1, as in {example!r}"
        )
    if re.fullmatch(r"[1-9]\d*", text, re.ASCII):
        return int(text)
    raise ValueError(f"metric {name!r}: k after @ must be a positive int, as in {example!r}")


def _look_up(metrics):
    return [get_metric(name) for name in ([metrics] if isinstance(metrics, str) else metrics)]


def _count_used(grouped, ranking):
    if not grouped:
        return {}
    return {"n_groups_used": min(int(_usable(metric, ranking).sum()) for metric in grouped)}


def _check_columns(chosen, responses, groups):
    for metric in chosen:
        if responses[metric.response] is None:
            raise ValueError(f"metric {metric.name!r} needs y_{metric.response}=, got None")
        if metric.kind == "grouped" and groups is None:
            raise ValueError(
                f"metric {metric.name!r} is computed within groups, but there are none: pass "
                "groups=, the id of each row's group (in a table of pairs: an 'impression_id' "
                "column), or pass impressions"
            )


def _bind(table, metric):
    """Return the function of a metric with its number filled in."""
    function = table[_EXAMPLES[metric.family]]
    if metric.number is None:
        return function
    return partial(function, **{"threshold" if metric.family == "f1" else "k": metric.number})


def _compute_grouped(metric, ranking):
    values, usable = values_by_group(metric, ranking)
    return mean_over(values, usable, metric.name)


def values_by_group(metric, ranking):
    """Return a metric's value for each group, and which of them have what it needs."""
    return _bind(_GROUPED, metric)(ranking), _usable(metric, ranking)


def _usable(metric, ranking):
    return ranking.with_both if metric.family == "gauc" else ranking.with_positive
