"""Behavior operators inside a fitted recommender."""

import pickle

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skrec import Items, behavior, predictor


@pytest.mark.parametrize("item_bias", [False, True])
def test_late_fusion_with_dot_trains_to_what_mean_pooling_does(news, make_recommender, item_bias):
    # equal in scores, gradients and top-k lists: fits from one seed stay together
    late, mean = (
        make_recommender(
            behavior=alias,
            predictor=predictor.Dot(item_bias=item_bias),
            precision="float64",
            history_targets=0,
            n_negatives=4,
            negative_sampling="uniform",
            learning_rate=3e-3,
        ).fit(news.train, news.items)
        for alias in ("late_fusion", "mean_pooling")
    )
    np.testing.assert_allclose(late.item_vectors(), mean.item_vectors(), rtol=0, atol=1e-8)
    X = [*news.test.history.head(20), []]
    (ids, scores), (wanted_ids, wanted) = late.recommend(X, k=5), mean.recommend(X, k=5)
    np.testing.assert_array_equal(ids, wanted_ids)
    np.testing.assert_allclose(scores, wanted, rtol=1e-6)
    found, wanted = late.decision_function(news.test), mean.decision_function(news.test)
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(wanted), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["cosine", "mlp", "dcnv2"])
def test_late_fusion_answers_alike_cached_uncached_and_row_by_row(news, make_recommender, name):
    rec = make_recommender(
        behavior="late_fusion", predictor=name, precision="float64", max_epochs=1
    ).fit(news.train, news.items)
    X = news.test.head(6).copy()
    X.at[X.index[0], "history"] = []
    together = rec.decision_function(X)
    uncached = pickle.loads(pickle.dumps(rec)).decision_function(X)
    whole = rec.recommend(X, k=len(news.items), exclude_seen=False)
    for row in range(len(X)):
        alone = rec.decision_function(X.iloc[row : row + 1])[0]
        score_of = dict(zip(*(part[row] for part in whole), strict=True))
        ranked = [score_of[item] for item in X.candidates.iloc[row]]
        np.testing.assert_allclose(together[row], alone, rtol=0, atol=1e-10)
        np.testing.assert_allclose(together[row], uncached[row], rtol=0, atol=1e-10)
        np.testing.assert_allclose(together[row], ranked, rtol=1e-5, atol=1e-6)  # float32 scores


def test_late_fusion_has_no_user_vectors(news, make_recommender):
    rec = make_recommender(behavior="late_fusion", max_epochs=1).fit(news.train, news.items)
    message = r"^LateFusion\(\) scores each click, so users have no vector of their own$"
    with pytest.raises(ValueError, match=message):
        rec.transform(news.test.history)


def test_grid_search_over_behavior_operators(news, make_recommender):
    operators = [operator() for _, operator in sorted(behavior.ALIASES.items())]
    search = GridSearchCV(
        make_recommender(max_epochs=1), {"behavior": operators}, cv=2, error_score="raise"
    ).fit(news.train.head(60), items=Items(news.items))
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == len(operators)
    assert np.isfinite(scores).all()
