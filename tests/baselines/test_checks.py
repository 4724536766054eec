"""The public checks of recommenders pass for all baselines."""

import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from skrec import baselines, content
from skrec.utils.estimator_checks import check_recommender, parametrize_with_checks

ALL = [
    baselines.Popularity(),
    baselines.ItemKNN(k=5, decay=0.7),
    baselines.EASE(regularization=10.0, decay=0.7),
    baselines.ContentKNN(decay=0.7),
    baselines.ContentKNN(HashingVectorizer(n_features=64)),
    baselines.ContentKNN(content.Features()),
]


@parametrize_with_checks(ALL)
def test_contract(estimator, check):
    check(estimator)


def test_all_baselines_are_checked():
    assert {type(each).__name__ for each in ALL} == set(baselines.__all__)


def test_check_recommender_takes_baselines():
    check_recommender(baselines.Popularity())


def test_a_baseline_with_a_wrong_answer_fails():
    class Broken(baselines.Popularity):
        def recommend(self, X, k=10, **options):
            ids, scores = super().recommend(X, k, **options)
            return ids[:, :-1], scores

    with pytest.raises(AssertionError, match="recommend"):
        check_recommender(Broken())
