import copy
import functools
import itertools
import math
import pickle
import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as skm
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import GridSearchCV

from skrec import metrics

GROUPED = {
    "gauc": metrics.gauc,
    "mrr": metrics.mrr,
    "mrr_mind": metrics.mrr_mind,
    "ndcg@3": functools.partial(metrics.ndcg, k=3),
    "hit@2": functools.partial(metrics.hit, k=2),
    "recall@2": functools.partial(metrics.recall, k=2),
    "precision@3": functools.partial(metrics.precision, k=3),
    "lrap": metrics.lrap,
    "map": metrics.mean_average_precision,
}
POINTWISE = ["auc", "logloss", "f1@0.5", "brier", "ece"]


def random_rows(seed=0, n_groups=60, max_size=8, n_scores=4, p=0.4):
    """Return shuffled rows of small groups with many ties; some groups have only one class."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups) * 7 - 30, rng.integers(1, max_size + 1, n_groups))
    rng.shuffle(groups)
    n_rows = len(groups)
    y = (rng.random(n_rows) < p).astype(int)
    return y, rng.integers(0, n_scores, n_rows) / 4 - 0.5, groups


def mean_of(one_group, y, score, groups, both=False):
    """Average a metric of one group over the groups in which it is defined, in a loop."""
    values = []
    for group in np.unique(groups):
        rows = groups == group
        if y[rows].any() and not (both and y[rows].all()):
            values.append(one_group(y[rows], score[rows]))
    return np.mean(values)


def over_permutations(of_ranked):
    """Average a metric of ranked labels over all orders in which the scores are sorted."""

    def one_group(y, score):
        orders = itertools.permutations(range(len(y)))
        ranked = (sorted(order, key=lambda row: -score[row]) for order in orders)
        return np.mean([of_ranked([y[row] for row in order]) for order in ranked])

    return one_group


def ranks(labels):
    return [rank for rank, label in enumerate(labels, 1) if label]


def sklearn_ndcg(k):
    def one_group(y, score):
        if len(y) == 1:  # scikit-learn raises an error
            return 1.0
        return skm.ndcg_score([y], [score], k=k, ignore_ties=False)

    return one_group


REFERENCES = {
    "gauc": skm.roc_auc_score,
    "mrr": over_permutations(lambda labels: 1 / ranks(labels)[0]),
    "mrr_mind": over_permutations(lambda labels: np.mean([1 / r for r in ranks(labels)])),
    "ndcg@1": sklearn_ndcg(1),
    "ndcg@3": sklearn_ndcg(3),
    "ndcg@20": sklearn_ndcg(20),
    "hit@1": over_permutations(lambda labels: any(labels[:1])),
    "hit@3": over_permutations(lambda labels: any(labels[:3])),
    "hit@20": over_permutations(any),
    "recall@3": over_permutations(lambda labels: sum(labels[:3]) / sum(labels)),
    "precision@3": over_permutations(lambda labels: sum(labels[:3]) / 3),
    "precision@20": over_permutations(lambda labels: sum(labels) / 20),
    "lrap": lambda y, s: skm.label_ranking_average_precision_score([y], [s]),
    "map": skm.average_precision_score,
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", REFERENCES)
def test_grouped_metric_equals_its_reference(name, seed):
    # fails if a formula, the handling of ties, or the grouping of unsorted rows is wrong
    brute_force = name[:3] in ("mrr", "hit", "rec", "pre")
    y, score, groups = random_rows(seed, *((25, 6) if brute_force else (60, 8)))
    expected = mean_of(REFERENCES[name], y, score, groups, both=name == "gauc")
    value = metrics.compute([name], y, score, groups)[name]
    assert isinstance(value, float)
    assert_allclose(value, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", GROUPED)
def test_function_equals_name(name):
    # fails if a name is mapped to another function, or its number is ignored
    y, score, groups = random_rows()
    assert GROUPED[name](y, score, groups) == metrics.compute(name, y, score, groups)[name]


@pytest.mark.parametrize("n, p", [(2, 1), (40, 2), (1000, 3), (1000, 997), (5000, 60)])
def test_first_hit_in_a_large_tied_block_is_exact(n, p):
    # fails if binomial coefficients of large blocks lose digits or overflow
    y = np.r_[np.zeros(5 + n - p, int), np.ones(p, int)]
    score = np.r_[np.full(5, 2.0), np.ones(n)]
    total = math.comb(n, p)
    chance = [Fraction(math.comb(n - j, p - 1), total) for j in range(1, n - p + 2)]
    group = np.zeros(5 + n)
    expected_mrr = float(sum(c / (5 + j) for j, c in enumerate(chance, 1)))
    assert_allclose(metrics.mrr(y, score, group), expected_mrr, rtol=1e-12)
    assert_allclose(metrics.hit(y, score, group, k=12), float(sum(chance[:7])), rtol=1e-12)


def test_a_huge_tied_block_with_one_positive_is_cheap():
    # fails if the ranking of a whole catalogue, given as counts, is expanded into ranks
    n, one, none = np.full(1000, 10**6), np.ones(1000, int), np.zeros(1000, int)
    ranking = metrics.Ranking(n, one, np.arange(1000), none, n, none, one)
    values = metrics.compute_ranked(["mrr", "hit@10"], ranking)
    assert_allclose(values["mrr"], np.mean(1 / np.arange(1.0, 10**6 + 1)), rtol=1e-12)
    assert_allclose(values["hit@10"], 1e-5, rtol=1e-12)


@pytest.mark.parametrize("name", GROUPED)
def test_order_of_rows_does_not_matter(name):
    # fails if ties are broken by input order
    y, score, groups = random_rows(n_scores=2)
    order = np.random.default_rng(1).permutation(len(y))
    value = metrics.compute(name, y, score, groups)[name]
    assert metrics.compute(name, y[order], score[order], groups[order])[name] == value


@pytest.mark.parametrize(
    "name, chance",
    {
        "gauc": 0.5,
        "mrr": (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4,
        "mrr_mind": (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4,
        "hit@1": 0.25,
        "recall@3": 0.75,
        "precision@2": 0.25,
        "map": 0.25,
    }.items(),
)
@pytest.mark.parametrize("positive", range(4))
def test_constant_score_gets_chance_level(name, chance, positive):
    # an untrained model must not profit from positives that come first
    y = np.eye(4, dtype=int)[positive]
    value = metrics.compute(name, y, np.zeros(4), np.zeros(4))[name]
    assert_allclose(value, chance, rtol=1e-15)


@pytest.mark.parametrize("name", GROUPED)
def test_groups_of_one_class_are_left_out_and_counted(name):
    # fails if such a group raises an error, or counts as 0 or NaN
    y, score, groups = random_rows()
    per_group = pd.Series(y).groupby(groups)
    usable = per_group.max() == 1
    if name == "gauc":
        usable &= per_group.min() == 0
    keep = np.isin(groups, usable[usable].index)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = metrics.compute(name, y, score, groups)
    assert 0 < usable.sum() < len(usable)
    assert result["n_groups_used"] == usable.sum()
    assert type(result["n_groups_used"]) is int
    assert result[name] == metrics.compute(name, y[keep], score[keep], groups[keep])[name]


def test_n_groups_used_is_the_smallest_count_and_only_returned_for_grouped_metrics():
    y, score, groups = [1, 1, 0, 1, 0], [0.9, 0.8, 0.7, 0.6, 0.5], list("aabbc")
    assert metrics.compute(["mrr", "map"], y, score, groups)["n_groups_used"] == 2
    assert metrics.compute(["mrr", "gauc"], y, score, groups)["n_groups_used"] == 1
    assert metrics.compute(["auc"], y, score, groups).keys() == {"auc"}


@pytest.mark.parametrize("name", GROUPED)
def test_no_usable_group_gives_nan_with_a_warning(name):
    with pytest.warns(UndefinedMetricWarning, match=f"{name} is undefined: none of the 2 groups"):
        result = metrics.compute(name, [0, 0, 0], [0.1, 0.2, 0.3], [1, 1, 2])
    assert math.isnan(result[name])
    assert result["n_groups_used"] == 0
    with pytest.warns(UndefinedMetricWarning, match="is undefined"):
        assert math.isnan(GROUPED[name]([0, 0], [0.1, 0.2], [1, 1]))


@pytest.mark.parametrize(
    "relabel",
    [
        lambda groups: groups,
        np.sort,
        lambda groups: -np.sort(groups),
        lambda groups: groups.astype(np.int8),
        lambda groups: (groups + 30).astype(np.uint16),
        lambda groups: groups * 2**50,
        lambda groups: groups.astype(np.uint64) * np.uint64(2**50),
        lambda groups: groups.astype(float),
        lambda groups: groups.astype(str),
        lambda groups: groups.astype(str).astype(object),
        lambda groups: pd.Series(groups.astype(str)),
        lambda groups: pd.Series(groups, index=groups, dtype="Int64"),
        lambda groups: [int(group) for group in groups],
    ],
)
def test_any_kind_of_group_id(relabel):
    # fails if ids overflow or collide, or if they must be sorted
    y, score, groups = random_rows()
    ids = relabel(groups)
    plain = np.unique(np.asarray(ids).astype(str), return_inverse=True)[1]
    expected = mean_of(skm.roc_auc_score, y, score, plain, both=True)
    assert_allclose(metrics.gauc(y, score, ids), expected, rtol=0, atol=1e-12)


def test_inputs_are_not_modified():
    # fails if the in-place sort is applied to an input array
    y, score, groups = random_rows()
    columns = [y == 1, score.astype(np.float32), groups.astype(np.uint64)]
    for column in columns:
        column.setflags(write=False)
    metrics.compute(list(GROUPED), *columns)


SCORES = np.array([-np.finfo("f4").max, -2.5, -1e-40, -0.0, 0.0, 1e-40, 1.0, 1.0, 3e38], "f4")


@pytest.mark.parametrize("convert", [np.float32, np.float64, np.longdouble, list])
def test_dtype_of_scores_does_not_matter(convert):
    # fails if negative scores, -0.0 or denormals are sorted wrongly in the fast path
    rng = np.random.default_rng(0)
    score, groups = rng.choice(SCORES, 500), rng.integers(0, 60, 500)
    y = rng.integers(0, 2, 500)
    values = metrics.compute(list(GROUPED), y, convert(score), groups)
    assert values == metrics.compute(
        list(GROUPED), y, np.unique(score, return_inverse=True)[1], groups
    )


def test_float64_scores_are_not_rounded():
    # fails if scores are rounded to 32 bits
    score = np.array([1.0, 1.0 + 1e-15, 1e300, 2e300, -1e300, -2e300])
    y = np.array([0, 1, 0, 1, 1, 0])
    assert metrics.gauc(y, score, [0, 0, 1, 1, 2, 2]) == 1.0
    assert metrics.gauc(y, [2**62, 2**62 + 1, 5, 6, 4, 3], [0, 0, 1, 1, 2, 2]) == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_auc_equals_sklearn(dtype):
    rng = np.random.default_rng(0)
    y, score = rng.integers(0, 2, 300), rng.normal(size=300).round(1).astype(dtype)
    assert_allclose(metrics.auc(y, score), skm.roc_auc_score(y, score), rtol=0, atol=1e-12)


def test_auc_of_one_class_is_nan_with_a_warning():
    with pytest.warns(UndefinedMetricWarning, match="y_true has only one class"):
        assert math.isnan(metrics.auc([1, 1], [0.1, 0.2]))


@pytest.mark.parametrize("labels", [None, 0, 1])
def test_probability_metrics_equal_their_formulas(labels):
    # fails also if labels of only one class raise an error
    rng = np.random.default_rng(0)
    proba = rng.random(200).astype(np.float32).astype(float)
    y = (rng.random(200) < proba).astype(int) if labels is None else np.full(200, labels)
    loss = -np.mean(np.where(y, np.log(proba), np.log1p(-proba)))
    assert_allclose(metrics.logloss(y, proba), loss, rtol=1e-12)
    assert_allclose(metrics.brier(y, proba), np.mean((proba - y) ** 2), rtol=1e-12)
    tp = np.sum(y * (proba >= 0.3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        value = metrics.f1(y, proba, threshold=0.3)
    assert_allclose(value, 2 * tp / (np.sum(proba >= 0.3) + y.sum()), rtol=1e-12)


def test_ece_by_hand():
    # two bins, {0.1, 0.3} and {0.5, 1.0}, with one positive each; 0.5 belongs to the upper bin
    value = metrics.ece([0, 1, 0, 1], [0.1, 0.3, 0.5, 1.0], n_bins=2)
    assert_allclose(value, 0.5 * abs(0.2 - 0.5) + 0.5 * abs(0.75 - 0.5))


def test_compute_passes_scores_or_probabilities():
    # fails if scores and probabilities are swapped, or if the threshold of f1 is ignored
    y, score, groups = random_rows()
    proba = 1 / (1 + np.exp(-8 * score - 1))
    values = metrics.compute([*POINTWISE, "f1@.9", "gauc"], y, score, groups, y_proba=proba)
    assert list(values) == [*POINTWISE, "f1@.9", "gauc", "n_groups_used"]
    assert values["auc"] == metrics.auc(y, score)
    assert values["f1@0.5"] == metrics.f1(y, proba) != values["f1@.9"]
    assert values["f1@.9"] == metrics.f1(y, proba, threshold=0.9)
    assert values["brier"] == metrics.brier(y, proba)
    assert metrics.compute(["ece"], y, y_proba=proba) == {"ece": metrics.ece(y, proba)}


@pytest.mark.parametrize(
    "name, message",
    [
        (
            "ngcd@10",
            r"unknown metric 'ngcd@10'; did you mean 'ndcg@10'\? Valid names are auc, .*map",
        ),
        ("recal@7", "did you mean 'recall@7'"),
        ("AUC", "did you mean 'auc'"),
        ("zzz", "unknown metric 'zzz'; Valid names"),
        ("", "unknown metric ''"),
        ("ndcg", "metric 'ndcg' lacks its number, write 'ndcg@10'"),
        ("f1", "write 'f1@0.5'"),
        ("ndcg@0", "k after @ must be a positive int, as in 'ndcg@10'"),
        ("ndcg@x", "k after @ must be a positive int"),
        ("hit@", "k after @ must be a positive int"),
        ("recall@1.5", "k after @ must be a positive int"),
        ("precision@-1", "k after @ must be a positive int"),
        ("hit@1@2", "k after @ must be a positive int"),
        ("f1@1", "threshold after @ must lie between 0 and 1"),
        ("f1@0.0", "threshold after @ must lie between 0 and 1"),
        ("f1@nan", "threshold after @ must lie between 0 and 1"),
        ("auc@3", "auc takes no number, write 'auc'"),
        (3, "must be given by its name, a str such as 'gauc', got 3 of type int"),
        (None, "got None of type NoneType"),
        (["auc"], "of type list"),
    ],
)
@pytest.mark.parametrize("look_up", [metrics.get_metric, metrics.scorer])
def test_invalid_name_raises(look_up, name, message):
    # a misspelled name must be reported before training starts
    with pytest.raises(ValueError, match=message):
        look_up(name)


def test_properties_of_metrics():
    names = [*POINTWISE, *GROUPED]
    found = [metrics.get_metric(name) for name in names]
    assert [metric.name for metric in found] == names
    assert {m.name for m in found if m.kind == "grouped"} == set(GROUPED)
    assert {m.name for m in found if m.response == "proba"} == set(POINTWISE) - {"auc"}
    assert {m.name for m in found if not m.greater_is_better} == {"logloss", "brier", "ece"}
    assert metrics.get_metric("ndcg@3").number == 3
    assert metrics.get_metric("f1@.25").number == 0.25
    assert pickle.loads(pickle.dumps(found)) == found


GOOD = {"y_true": [0, 1, 1], "y_score": [0.1, 0.2, 0.3], "groups": [1, 1, 1]}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"y_true": [0, 1]}, "y_true has 2 rows but y_score has 3"),
        ({"groups": [1, 1]}, "y_true has 3 rows but groups has 2"),
        ({"y_true": [0, 1, -2]}, "y_true has -2 at row 2: labels are 0 or 1, and gains are not"),
        ({"y_true": [0, np.nan, 1]}, "y_true has nan at row 1"),
        ({"y_true": ["a", "b", "a"]}, "y_true has a at row 0"),
        ({"y_score": [0.1, np.nan, 0.3]}, "y_score has nan at row 1: it must be finite"),
        ({"y_score": [0.1, 0.2, -np.inf]}, "y_score has -inf at row 2"),
        ({"y_score": ["x", "y", "z"]}, "y_score must hold numbers"),
        ({"y_score": [1j, 0.5, 1.0]}, "y_score must hold numbers, got dtype complex128"),
        ({"y_score": np.zeros((3, 2))}, r"one-dimensional, got shape \(3, 2\); pass .*\[:, 1\]"),
        ({"y_score": 0.5}, r"one-dimensional, got shape \(\)"),
        ({"groups": [1.0, np.nan, 1.0]}, "groups has a missing id at row 1"),
        ({"groups": ["a", "a", None]}, "groups has a missing id at row 2"),
        ({"groups": pd.Series(["a", pd.NA, "b"], dtype="string")}, "missing id at row 1"),
        ({"groups": pd.Series([1, 1, None], dtype="Int64")}, "missing id at row 2"),
        ({"groups": None}, "metric 'gauc' is computed within groups.*'impression_id'"),
        ({"y_score": None}, "metric 'gauc' needs y_score="),
        ({"y_true": [], "y_score": [], "groups": []}, "y_true is empty"),
    ],
)
def test_invalid_columns_raise(change, message):
    # fails if an invalid input is accepted
    with pytest.raises(ValueError, match=message):
        metrics.compute(["gauc"], **(GOOD | change))


@pytest.mark.parametrize(
    "function", [metrics.logloss, metrics.f1, metrics.brier, metrics.ece], ids=lambda f: f.__name__
)
def test_invalid_probabilities_raise(function):
    with pytest.raises(ValueError, match="y_proba has 1.5 at row 1: probabilities lie between"):
        function([0, 1], [0.5, 1.5])
    with pytest.raises(ValueError, match="y_true has 2 rows but y_proba has 1"):
        function([0, 1], [0.5])
    with pytest.raises(ValueError, match="needs y_proba=, got None"):
        metrics.compute(["brier"], [0, 1], [0.5, 0.5])


@pytest.mark.parametrize("k", [0, -1, 2.0, True, None, "3"])
@pytest.mark.parametrize("function", [metrics.ndcg, metrics.hit, metrics.recall, metrics.precision])
def test_invalid_k_raises(function, k):
    with pytest.raises(ValueError, match="k must be a positive int, got"):
        function(**GOOD, k=k)


def test_invalid_bins_and_threshold_raise():
    with pytest.raises(ValueError, match="n_bins must be a positive int, got 0"):
        metrics.ece([0, 1], [0.5, 0.5], n_bins=0)
    with pytest.raises(ValueError, match="threshold must lie between 0 and 1, got 1"):
        metrics.f1([0, 1], [0.5, 0.5], threshold=1)


class Constant(BaseEstimator):
    """Estimator whose metrics all equal its parameter."""

    def __init__(self, value=0.25, scoring=None):
        self.value = value
        self.scoring = scoring

    def fit(self, X, y=None):
        return self

    def evaluate(self, X, y=None, metrics=()):
        return dict.fromkeys(metrics, self.value) | {"n_groups_used": 1}


@pytest.mark.parametrize("name, sign", [("ndcg@10", 1), ("logloss", -1), ("ece", -1), ("auc", 1)])
@pytest.mark.parametrize(
    "copied", [lambda s: s, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_scorer_survives_copies_and_negates_losses(name, sign, copied):
    scorer = copied(metrics.scorer(name))
    assert repr(scorer) == f"scorer({name!r})"
    assert scorer(Constant(), [[0]]) == sign * 0.25
    assert scorer(Constant(), [[0]], y=[1]) == sign * 0.25


def test_scorer_works_as_parameter_and_in_searches():
    # fails if scikit-learn cannot clone the scorer, or if a loss is maximized
    assert clone(Constant(scoring=metrics.scorer("map"))).scoring == metrics.scorer("map")
    scoring = {name: metrics.scorer(name) for name in ("ndcg@10", "brier")}
    search = GridSearchCV(Constant(), {"value": [0.1, 0.9]}, scoring=scoring, refit="brier", cv=2)
    assert search.fit(np.zeros((4, 1))).best_params_ == {"value": 0.1}
