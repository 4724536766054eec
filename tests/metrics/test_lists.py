"""Metrics of lists: RecTools' numbers, plain loops, and lists that are too short."""

import itertools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skrec.metrics import by_group, compute, compute_ranked, get_metric, scorer
from skrec.metrics._lists import (
    count_exposures,
    coverage,
    diversity_by_list,
    gini,
    novelty_by_list,
    serendipity_by_list,
)
from skrec.metrics._ranking import rank_groups

# The numbers below were computed by RecTools 0.19.0, which needs numpy < 2: CatalogCoverage(k,
# normalize=True), MeanInvUserFreq(k), IntraListDiversity(k, PairwiseHammingDistanceCalculator) and
# Serendipity(k), with the lists as `reco`, CLICKS as `prev_interactions`, RELEVANT as
# `interactions`, and 10 items as `catalog`.
LISTS = np.array([[0, 1, 2, 3], [4, 0, 5, 1], [6, 7, -1, -1], [2, 8, 0, 4]])
CLICKS = [(0, 4), (1, 4), (2, 4), (3, 4), (0, 5), (1, 5), (2, 5), (0, 6), (1, 6), (2, 0), (3, 0)]
CLICKS += [(0, 1), (3, 2), (4, 4), (4, 3)]  # (user, item)
RELEVANT = [(0, 1), (0, 3), (1, 0), (1, 5), (2, 7), (3, 8), (3, 9)]
TOPICS = "aabbcacbba"
RECTOOLS = {
    2: {
        "coverage": 0.7,
        "miuf": [1.8219280948873622, 0.6609640474436811, 1.8219280948873622, 2.321928094887362],
        "ild": [0.0, 1.0, 1.0, 0.0],
        "serendipity": [0.1, 0.05, 0.45, 0.45],
    },
    4: {
        "coverage": 0.9,
        "miuf": [2.071928094887362, 1.0952054459852327, 1.8219280948873622, 1.4914460711655217],
        "ild": [2 / 3, 0.5, 1.0, 5 / 6],
        "serendipity": [0.05, 0.025, 0.45, 0.225],
    },
}


@pytest.mark.parametrize("k", [2, 4])
def test_the_numbers_are_those_of_rectools(k):
    lists, wanted = LISTS[:, :k], RECTOOLS[k]
    n_clicks = np.bincount([item for _, item in CLICKS], minlength=10).astype(float)
    n_users = len({user for user, _ in CLICKS})
    relevant = np.array([[(u, i) in RELEVANT for i in row] for u, row in enumerate(lists)])
    one_hot = np.array([[topic == other for other in "abc"] for topic in TOPICS], dtype=float)
    assert coverage(count_exposures(lists, 10)) == wanted["coverage"]
    # RecTools divides by the number of users, and we by the number of clicks
    novelty = novelty_by_list(lists, n_clicks) - np.log2(len(CLICKS) / n_users)
    assert_allclose(novelty, wanted["miuf"], rtol=1e-12)
    for vectors in (one_hot, sparse.csr_array(one_hot)):
        assert_allclose(diversity_by_list(lists, vectors), wanted["ild"], atol=1e-12)
    found = serendipity_by_list(lists, relevant, n_clicks)
    assert_allclose(found, wanted["serendipity"], rtol=1e-12)


def random_lists(rng, n_lists=30, n_items=12, k=5):
    lists = np.array([rng.permutation(n_items)[:k] for _ in range(n_lists)])
    lists[np.arange(k) >= rng.integers(0, k + 1, n_lists)[:, None]] = -1
    return lists


def real(row):
    return [int(code) for code in row if code >= 0]


def test_values_are_those_of_plain_loops():
    rng = np.random.default_rng(0)
    lists, n_items = random_lists(rng), 12
    n_clicks = rng.integers(0, 4, n_items).astype(float)
    relevant = rng.random(lists.shape) < 0.5
    vectors = rng.normal(size=(n_items, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0
    ranks = {count: 1 + at for at, count in enumerate(sorted(set(n_clicks), reverse=True))}
    novelty, diversity, serendipity = [], [], []
    for row, hits in zip(lists, relevant, strict=True):
        items = real(row)
        clicks = [max(n_clicks[i], 1) for i in items]
        pairs = list(itertools.combinations(items, 2))
        lead = [
            max((n_items + 1 - rank) / n_items - popular, 0) * hit
            for rank, (i, hit) in enumerate(zip(items, hits, strict=False), start=1)
            for popular in [(n_items + 1 - ranks[n_clicks[i]]) / n_items if n_clicks[i] else 0]
        ]
        novelty.append(np.mean([-np.log2(c / n_clicks.sum()) for c in clicks]) if items else np.nan)
        distances = [1 - vectors[i] @ vectors[j] for i, j in pairs]
        diversity.append(np.mean(distances) if pairs else np.nan)
        serendipity.append(np.mean(lead) if items else np.nan)
    assert np.isnan(novelty).any() and np.isnan(diversity).sum() > np.isnan(novelty).sum()
    assert_allclose(novelty_by_list(lists, n_clicks), novelty, rtol=1e-12)
    assert_allclose(diversity_by_list(lists, vectors), diversity, rtol=1e-12)
    assert_allclose(serendipity_by_list(lists, relevant, n_clicks), serendipity, rtol=1e-12)
    exposures = count_exposures(lists, n_items)
    shown = [i for row in lists for i in real(row)]
    assert exposures.tolist() == [shown.count(i) for i in range(n_items)]
    assert coverage(exposures) == len(set(shown)) / n_items


def test_gini_is_half_the_relative_mean_difference():
    exposures = np.random.default_rng(0).integers(0, 9, 15)
    difference = np.mean([abs(int(a) - int(b)) for a in exposures for b in exposures])
    assert gini(exposures) == pytest.approx(difference / (2 * exposures.mean()), rel=1e-12)
    assert gini(np.full(4, 3)) == 0
    assert gini(np.array([0, 0, 8, 0])) == 1 - 1 / 4
    assert np.isnan(gini(np.zeros(3, dtype=int)))


@pytest.mark.parametrize("name", ["coverage@10", "gini@5", "novelty@10", "ild@2", "ild_topic@3"])
def test_names(name):
    metric = get_metric(name)
    assert metric.of_lists and metric.name == name
    assert metric.greater_is_better == (metric.family != "gini")
    assert metric.column == ("topic" if "topic" in name else None)
    assert pickle.loads(pickle.dumps(scorer(name))) == scorer(name)


def test_a_column_may_contain_any_characters():
    metric = get_metric("ild_main@home_topic@10")
    assert (metric.family, metric.column, metric.number) == ("ild", "main@home_topic", 10)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("coverage", "lacks its number, write 'coverage@10'"),
        ("gini@0", "k after @ must be a positive int"),
        ("ild@1", "k after @ must be at least 2, because ild needs pairs"),
        ("ild_topic", "lacks its number, write 'ild_topic@10'"),
        ("covrage@5", "did you mean 'coverage@5'"),
    ],
)
def test_bad_names(name, match):
    with pytest.raises(ValueError, match=match):
        get_metric(name)


def test_labels_and_scores_are_no_lists():
    with pytest.raises(ValueError, match=r"labels and scores are no lists; use rec\.evaluate"):
        compute(["auc", "gini@5"], [0, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match=r"not computed within groups; use rec\.evaluate"):
        by_group("novelty@5", [0, 1], [0.1, 0.2], [0, 0])
    with pytest.raises(ValueError, match="use a grouped metric"):
        compute_ranked("ild@5", rank_groups(np.array([True, False]), np.array([0.1, 0.2])))
