"""Metrics of ranking within groups, such as impressions, averaged over the groups.

Groups count equally, whatever their size. A group that a metric is undefined for is left out, not
averaged in as 0 or NaN; with no group left the value is NaN, with an ``UndefinedMetricWarning``.
The value of tied rows is the mean over all their orders, but for `lrap` and
`mean_average_precision`, which take tied rows together as scikit-learn does.
"""

import warnings

from sklearn.exceptions import UndefinedMetricWarning

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
from skrec.metrics._ranking import rank_groups
from skrec.metrics._validation import (
    check_labels,
    check_positive_int,
    check_same_length,
    check_scores,
)


def gauc(y_true, y_score, groups):
    """Compute the area under the ROC curve in each group, averaged over the groups.

    This is MIND's AUC [1]_. Groups are not weighted, unlike in [2]_, which weights by impressions.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Scores, higher for rows to be ranked first; any finite numbers.
    groups : array-like of shape (n_rows,)
        Id of the group of each row, int or str, in any order.

    Returns
    -------
    float
        The mean AUC; a tied pair counts half, so a constant score gets 0.5. Groups need a positive
        and a negative; others are left out.

    See Also
    --------
    auc : The same over all rows at once.

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


def mrr(y_true, y_score, groups):
    """Compute the reciprocal rank of the first positive, averaged over the groups.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Scores, higher for rows to be ranked first; any finite numbers.
    groups : array-like of shape (n_rows,)
        Id of the group of each row, int or str, in any order.

    Returns
    -------
    float
        The mean reciprocal rank; under ties, its expectation. Groups without a positive are left
        out.

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


def mrr_mind(y_true, y_score, groups):
    """Compute the reciprocal rank of all positives, averaged as MIND's script does.

    The reciprocal ranks of a group's positives are averaged, then the groups [1]_. It equals `mrr`
    where every group has one positive, and is lower elsewhere.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Scores, higher for rows to be ranked first; any finite numbers.
    groups : array-like of shape (n_rows,)
        Id of the group of each row, int or str, in any order.

    Returns
    -------
    float
        The mean; under ties, its expectation. Groups without a positive are left out.

    See Also
    --------
    mrr : Counts only the first positive of a group.

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


def ndcg(y_true, y_score, groups, k=10):
    """Compute the normalised discounted cumulative gain of the first k places.

    A positive at rank r gains 1 / log2(r + 1); the sum is divided by that of the best order [1]_.
    The first k places are all places of a group that has fewer rows.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Scores, higher for rows to be ranked first; any finite numbers.
    groups : array-like of shape (n_rows,)
        Id of the group of each row, int or str, in any order.
    k : int, default=10
        Number of first places that count.

    Returns
    -------
    float
        The mean over the groups; under ties, its expectation. Groups without a positive are left
        out.

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
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(ndcg_by_group(ranking, k), ranking.with_positive, "ndcg")


def hit(y_true, y_score, groups, k=10):
    """Compute the share of the groups with a positive among the first k.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Scores, higher for rows to be ranked first; any finite numbers.
    groups : array-like of shape (n_rows,)
        Id of the group of each row, int or str, in any order.
    k : int, default=10
        Number of first places that count.

    Returns
    -------
    float
        The hit ratio; under ties, its expectation. Groups without a positive are left out.

    Examples
    --------
    >>> from skrec.metrics import hit
    >>> hit([1, 0, 0, 1], [0.9, 0.1, 0.8, 0.3], ["a", "a", "b", "b"], k=1)
    0.5
    """
    k = check_positive_int("k", k)
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(hit_by_group(ranking, k), ranking.with_positive, "hit")


def recall(y_true, y_score, groups, k=10):
    """Compute the share of a group's positives that are among the first k.

    The share is of all positives, so a group with more than k of them can't reach 1.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Scores, higher for rows to be ranked first; any finite numbers.
    groups : array-like of shape (n_rows,)
        Id of the group of each row, int or str, in any order.
    k : int, default=10
        Number of first places that count.

    Returns
    -------
    float
        The mean over the groups; under ties, its expectation. Groups without a positive are left
        out.
    """
    k = check_positive_int("k", k)
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(recall_by_group(ranking, k), ranking.with_positive, "recall")


def precision(y_true, y_score, groups, k=10):
    """Compute the share of the first k places that positives take.

    The count is divided by k always, so a group with fewer than k positives, or than k rows,
    can't reach 1.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Scores, higher for rows to be ranked first; any finite numbers.
    groups : array-like of shape (n_rows,)
        Id of the group of each row, int or str, in any order.
    k : int, default=10
        Number of first places that count.

    Returns
    -------
    float
        The mean over the groups; under ties, its expectation. Groups without a positive are left
        out.
    """
    k = check_positive_int("k", k)
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(precision_by_group(ranking, k), ranking.with_positive, "precision")


def lrap(y_true, y_score, groups):
    """Compute label ranking average precision.

    For each positive, the share of positives among the rows that score at least as high, averaged
    over a group's positives [1]_. With 0/1 labels it is the same as `mean_average_precision`.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Scores, higher for rows to be ranked first; any finite numbers.
    groups : array-like of shape (n_rows,)
        Id of the group of each row, int or str, in any order.

    Returns
    -------
    float
        The mean over the groups. Groups without a positive are left out; scikit-learn's
        :func:`~sklearn.metrics.label_ranking_average_precision_score` counts them as 1.

    References
    ----------
    .. [1] Tsoumakas, Katakis & Vlahavas, "Mining Multi-label Data", 2010.
    """
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(average_precision_by_group(ranking), ranking.with_positive, "lrap")


def mean_average_precision(y_true, y_score, groups):
    """Compute average precision in each group, averaged over the groups.

    The average precision of a group is that of
    :func:`~sklearn.metrics.average_precision_score`: precision at each distinct score, weighted by
    the recall gained there. The metric's name is ``"map"``.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, 0 or 1.
    y_score : array-like of shape (n_rows,)
        Scores, higher for rows to be ranked first; any finite numbers.
    groups : array-like of shape (n_rows,)
        Id of the group of each row, int or str, in any order.

    Returns
    -------
    float
        The mean. Groups without a positive are left out.

    See Also
    --------
    lrap : The same value, under the name of the multilabel metric.
    """
    ranking = check_and_rank(y_true, y_score, groups)
    return mean_over(
        average_precision_by_group(ranking), ranking.with_positive, "mean_average_precision"
    )


def check_and_rank(y_true, y_score, groups):
    """Check the columns and sort them once.

    Parameters
    ----------
    y_true, y_score, groups : array-like of shape (n_rows,)
        Labels, scores and group ids.

    Returns
    -------
    Ranking
        What the kernels take.
    """
    positive, scores, ids = check_labels(y_true), check_scores(y_score), check_groups(groups)
    check_same_length(y_true=positive, y_score=scores, groups=ids)
    return rank_groups(positive, scores, ids)


def mean_over(values, usable, name):
    """Average one value a group over the usable groups.

    Parameters
    ----------
    values : ndarray of shape (n_groups,)
        Finite values.
    usable : ndarray of bool of shape (n_groups,)
        The groups to average over.
    name : str
        Name of the metric, for the warning.

    Returns
    -------
    float
        The mean; NaN with an ``UndefinedMetricWarning`` if no group is usable.
    """
    if usable.any():
        return float(values[usable].mean())
    warnings.warn(
        f"{name} is undefined: none of the {len(usable)} groups holds the classes it needs",
        UndefinedMetricWarning,
        stacklevel=3,
    )
    return float("nan")
