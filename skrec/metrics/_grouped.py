"""Ranking metrics computed within groups, such as impressions, and averaged over the groups.

All groups have the same weight, whatever their size. A group in which the metric is undefined is
excluded from the average. If no group remains, the result is NaN and an
``UndefinedMetricWarning`` is issued.

If rows are tied, a metric is the mean over all orders of the tied rows. The exceptions are `lrap`
and `mean_average_precision`, which treat tied rows as one block, as scikit-learn does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import UndefinedMetricWarning

from skrec._common.messages import warn
from skrec.metrics._groups import check_groups
from skrec.metrics._kernels import (
    average_precision_by_group,
    gauc_by_group,
    hit_by_group,
    mrr_by_group,
    mrr_mind_by_group,
    ndcg_by_group,
    precision_by_group,
    recall_by_group,
)
from skrec.metrics._ranking import Ranking, rank_groups
from skrec.metrics._validation import (
    check_gains,
    check_labels,
    check_positive_int,
    check_same_length,
    check_scores,
)


def gauc(y_true: ArrayLike, y_score: ArrayLike, groups: ArrayLike) -> float:
    """Compute the area under the ROC curve within each group, averaged over the groups.

    This is the AUC of the MIND benchmark [1]_. All groups have the same weight, in contrast to
    [2]_, which weights them by impressions.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Finite scores. Rows with higher scores rank first.
    groups : array-like of shape (n_rows,)
        Group id of each row, int or str, in any order.

    Returns
    -------
    float
        Mean AUC. A tied pair counts half, therefore a constant score gives 0.5. Groups without a
        positive or without a negative are excluded.

    See Also
    --------
    auc : Area under the ROC curve over all rows at once.

    References
    ----------
    .. [1] Wu et al., "MIND: A Large-scale Dataset for News Recommendation", ACL 2020.
    .. [2] Zhu et al., "Optimized Cost per Click in Taobao Display Advertising", KDD 2017,
       arXiv 1703.02091.

    Examples
    --------
    >>> from skrec.metrics import gauc
    >>> gauc([1, 0, 0, 0, 1], [0.9, 0.1, 0.9, 0.8, 0.2], ["a", "a", "a", "b", "b"])
    0.375
    """
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(gauc_by_group(ranking), ranking.with_both, "gauc")


def mrr(y_true: ArrayLike, y_score: ArrayLike, groups: ArrayLike) -> float:
    """Compute the reciprocal rank of the first positive, averaged over the groups.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Finite scores. Rows with higher scores rank first.
    groups : array-like of shape (n_rows,)
        Group id of each row, int or str, in any order.

    Returns
    -------
    float
        Mean reciprocal rank. If rows are tied, this is its expectation over their orders. Groups
        without a positive are excluded.

    See Also
    --------
    mrr_mind : Averages over all positives of a group.

    Examples
    --------
    >>> from skrec.metrics import mrr
    >>> mrr([0, 1, 1], [0.9, 0.5, 0.1], ["a", "a", "a"])
    0.5
    """
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(mrr_by_group(ranking), ranking.with_positive, "mrr")


def mrr_mind(y_true: ArrayLike, y_score: ArrayLike, groups: ArrayLike) -> float:
    """Compute the mean reciprocal rank of all positives, as in the MIND evaluation script.

    The reciprocal ranks are averaged over the positives of each group, then over the groups [1]_.
    The result equals `mrr` if every group has one positive, and is lower otherwise.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Finite scores. Rows with higher scores rank first.
    groups : array-like of shape (n_rows,)
        Group id of each row, int or str, in any order.

    Returns
    -------
    float
        Mean reciprocal rank. If rows are tied, this is its expectation over their orders. Groups
        without a positive are excluded.

    See Also
    --------
    mrr : Uses only the first positive of each group.

    References
    ----------
    .. [1] Wu et al., "MIND: A Large-scale Dataset for News Recommendation", ACL 2020.

    Examples
    --------
    >>> from skrec.metrics import mrr_mind
    >>> mrr_mind([0, 1, 0, 1], [0.9, 0.5, 0.3, 0.1], ["a", "a", "a", "a"])
    0.375
    """
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(mrr_mind_by_group(ranking), ranking.with_positive, "mrr_mind")


def ndcg(y_true: ArrayLike, y_score: ArrayLike, groups: ArrayLike, k: int = 10) -> float:
    """Compute the normalized discounted cumulative gain of the top k ranks.

    A positive at rank r counts 1 / log2(r + 1), times its gain if it has one. The sum is divided by
    that of the best possible order [1]_. If a group has fewer than k rows, all its rows count.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1, or gains: 0 for negatives, and positive numbers for positives.
    y_score : array-like of shape (n_rows,)
        Finite scores. Rows with higher scores rank first.
    groups : array-like of shape (n_rows,)
        Group id of each row, int or str, in any order.
    k : int, default=10
        Number of top ranks that count.

    Returns
    -------
    float
        Mean over the groups. If rows are tied, this is its expectation over their orders. Groups
        without a positive are excluded.

    References
    ----------
    .. [1] Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS
       20(4), 2002.

    Examples
    --------
    >>> from skrec.metrics import ndcg
    >>> ndcg([0, 1, 0], [0.9, 0.5, 0.1], ["a", "a", "a"], k=5)
    0.6309
    """
    k = check_positive_int("k", k)
    ranking = check_and_rank(y_true, y_score, groups, graded=True)
    return mean_over(ndcg_by_group(ranking, k), ranking.with_positive, "ndcg")


def hit(y_true: ArrayLike, y_score: ArrayLike, groups: ArrayLike, k: int = 10) -> float:
    """Compute the share of groups that have a positive in the top k ranks.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Finite scores. Rows with higher scores rank first.
    groups : array-like of shape (n_rows,)
        Group id of each row, int or str, in any order.
    k : int, default=10
        Number of top ranks that count.

    Returns
    -------
    float
        Hit ratio. If rows are tied, this is its expectation over their orders. Groups without a
        positive are excluded.

    Examples
    --------
    >>> from skrec.metrics import hit
    >>> hit([1, 0, 0, 1], [0.9, 0.1, 0.8, 0.3], ["a", "a", "b", "b"], k=1)
    0.5
    """
    k = check_positive_int("k", k)
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(hit_by_group(ranking, k), ranking.with_positive, "hit")


def recall(y_true: ArrayLike, y_score: ArrayLike, groups: ArrayLike, k: int = 10) -> float:
    """Compute the share of the positives of a group that are in the top k ranks.

    The count is divided by the number of all positives. A group with more than k positives
    therefore cannot reach 1.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Finite scores. Rows with higher scores rank first.
    groups : array-like of shape (n_rows,)
        Group id of each row, int or str, in any order.
    k : int, default=10
        Number of top ranks that count.

    Returns
    -------
    float
        Mean over the groups. If rows are tied, this is its expectation over their orders. Groups
        without a positive are excluded.
    """
    k = check_positive_int("k", k)
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(recall_by_group(ranking, k), ranking.with_positive, "recall")


def precision(y_true: ArrayLike, y_score: ArrayLike, groups: ArrayLike, k: int = 10) -> float:
    """Compute the share of the top k ranks that are positives.

    The count is always divided by k. A group with fewer than k positives, or fewer than k rows,
    therefore cannot reach 1.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Finite scores. Rows with higher scores rank first.
    groups : array-like of shape (n_rows,)
        Group id of each row, int or str, in any order.
    k : int, default=10
        Number of top ranks that count.

    Returns
    -------
    float
        Mean over the groups. If rows are tied, this is its expectation over their orders. Groups
        without a positive are excluded.
    """
    k = check_positive_int("k", k)
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(precision_by_group(ranking, k), ranking.with_positive, "precision")


def lrap(y_true: ArrayLike, y_score: ArrayLike, groups: ArrayLike) -> float:
    """Compute label ranking average precision.

    For each positive, compute the share of positives among the rows with the same or a higher
    score. Average it over the positives of each group, then over the groups [1]_. With 0/1 labels
    the result equals `mean_average_precision`.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Finite scores. Rows with higher scores rank first.
    groups : array-like of shape (n_rows,)
        Group id of each row, int or str, in any order.

    Returns
    -------
    float
        Mean over the groups. Groups without a positive are excluded, whereas
        :func:`~sklearn.metrics.label_ranking_average_precision_score` counts them as 1.

    References
    ----------
    .. [1] Tsoumakas, Katakis & Vlahavas, "Mining Multi-label Data", 2010.
    """
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(average_precision_by_group(ranking), ranking.with_positive, "lrap")


def mean_average_precision(y_true: ArrayLike, y_score: ArrayLike, groups: ArrayLike) -> float:
    """Compute the average precision of each group, averaged over the groups.

    Within a group this is :func:`~sklearn.metrics.average_precision_score`: the precision at each
    distinct score, weighted by the increase in recall. The name of the metric is ``"map"``.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Finite scores. Rows with higher scores rank first.
    groups : array-like of shape (n_rows,)
        Group id of each row, int or str, in any order.

    Returns
    -------
    float
        Mean over the groups. Groups without a positive are excluded.

    See Also
    --------
    lrap : The same value under the name of the multilabel metric.
    """
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(
        average_precision_by_group(ranking), ranking.with_positive, "mean_average_precision"
    )


def check_and_rank(y_true: Any, y_score: Any, groups: Any, graded: bool = False) -> Ranking:
    """Validate labels, scores and group ids, and sort the rows once.

    Parameters
    ----------
    y_true, y_score, groups : array-like of shape (n_rows,)
        Labels, scores and group ids.
    graded : bool, default=False
        Whether labels may be gains.

    Returns
    -------
    Ranking
        Counts from which all grouped metrics are computed.
    """
    positive, gains = check_gains(y_true) if graded else (check_labels(y_true), None)
    scores, ids = check_scores(y_score), check_groups(groups)
    check_same_length(y_true=positive, y_score=scores, groups=ids)
    return rank_groups(positive, scores, ids, gains)


def mean_over(values: np.ndarray, usable: np.ndarray, name: str) -> float:
    """Average the values of the usable groups.

    Parameters
    ----------
    values : ndarray of shape (n_groups,)
        One finite value per group.
    usable : ndarray of bool of shape (n_groups,)
        Groups in which the metric is defined.
    name : str
        Name of the metric, for the warning.

    Returns
    -------
    float
        Mean of the usable values. If no group is usable, the mean is NaN and an
        ``UndefinedMetricWarning`` is issued.
    """
    if usable.any():
        return float(values[usable].mean())
    warn(
        f"{name} is undefined: none of the {len(usable)} groups contains the classes it needs",
        UndefinedMetricWarning,
    )
    return float("nan")
