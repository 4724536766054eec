"""Predictors inside a fitted recommender."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skrec import Items, predictor


def test_item_bias_is_part_of_recommendations(news, make_recommender):
    """The fast path of top-k lists, one matrix product, must not leave the bias out."""
    rec = make_recommender(
        predictor=predictor.Dot(0.5, item_bias=True),
        precision="float64",
        learning_rate=0.03,
        early_stopping=False,
    ).fit(news.train, news.items)
    X = [*news.test.history.head(10), []]
    items = rec.item_vectors()
    bias = items @ rec.network_.predictor.bias.detach().numpy()
    assert np.ptp(bias) > 0.1  # learned, and large enough to change the lists
    wanted = rec.transform(X) @ items.T / 0.5 + bias
    ids, scores = rec.recommend(X, k=10, exclude_seen=False)
    best = np.argsort(-wanted, axis=1)[:, :10]
    np.testing.assert_array_equal(ids, rec.items_.ids[best])
    np.testing.assert_allclose(scores, np.take_along_axis(wanted, best, 1), rtol=1e-5)


def test_item_bias_works_for_items_that_are_new(news, make_recommender):
    rec = make_recommender(predictor=predictor.Dot(item_bias=True)).fit(news.train, news.items)
    new = news.items.head(1).assign(item_id=10_000)
    scores = rec.decision_function([news.test.history.iloc[0]], items=new)
    known = list(rec.items_.ids).index(news.items.item_id.iloc[0])
    assert scores[0, -1] == pytest.approx(scores[0, known], rel=1e-5)  # the same content


def test_grid_search_over_predictors_and_their_parameters(news, make_recommender):
    grid = [
        {"predictor": [operator() for _, operator in sorted(predictor.ALIASES.items())]},
        {"predictor": [predictor.Dot()], "predictor__item_bias": [False, True]},
        {
            "predictor": [predictor.DCNv2(1, hidden=(4,))],
            "predictor__structure": ["parallel", "stacked"],
            "predictor__rank": [None, 2],
        },
    ]
    search = GridSearchCV(make_recommender(max_epochs=1), grid, cv=2, error_score="raise")
    search.fit(news.train.head(60), items=Items(news.items))
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == len(predictor.ALIASES) + 6
    assert np.isfinite(scores).all()
