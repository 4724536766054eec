"""Baselines and trained recommenders go into the same searches, pipelines and validations."""

import numpy as np
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline

from skrec import ContentRecommender, Items, explode
from skrec.baselines import EASE, ContentKNN, ItemKNN, Popularity
from skrec.metrics import scorer


@pytest.fixture(scope="module")
def grid():
    trained = ContentRecommender("mean_pooling", width=8, max_epochs=1, random_state=0)
    return [
        {"model": [Popularity()]},
        {"model": [ItemKNN()], "model__decay": [1.0, 0.7], "model__k": [5, 20]},
        {"model": [EASE()], "model__regularization": [10.0, 100.0]},
        {"model": [ContentKNN(), trained]},
    ]


@pytest.mark.parametrize("routing", [False, True])
def test_one_search_over_baselines_and_trained_models(news, grid, routing):
    pipeline = Pipeline([("model", Popularity())])
    scoring = {name: scorer(name) for name in ("gauc", "ndcg@10")}
    with sklearn.config_context(enable_metadata_routing=routing):
        search = GridSearchCV(pipeline, grid, cv=2, refit=False, error_score="raise")
        name = "items" if routing else "model__items"
        search.fit(news.train, **{name: Items(news.items)})
        assert len(search.cv_results_["params"]) == 9
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    if not routing:
        search.set_params(scoring=scoring)
        best = search.set_params(estimator=ItemKNN(), param_grid={"k": [5, 20]}, refit="gauc")
        best.fit(news.train, items=Items(news.items))
        assert best.best_estimator_.recommend(news.test, k=3)[0].shape == (len(news.test), 3)


def test_scikit_learns_scorers_and_validation_on_pairs(news):
    X, y = explode(news.train)
    params = {"items": Items(news.items)}
    values = cross_val_score(ItemKNN(), X, y, cv=2, scoring="roc_auc", params=params)
    assert (values > 0.4).all()
    proba = cross_val_predict(EASE(), X, y, cv=2, method="predict_proba", params=params)
    assert proba.shape == (len(X), 2)


def test_a_bare_frame_in_a_search_raises_the_error_that_explains_the_trap(news):
    trap = news.train.head(len(news.items))
    search = GridSearchCV(ItemKNN(), {"k": [5]}, cv=3)
    with pytest.raises(ValueError, match=r"items=Items\(df\).*cut into folds"):
        search.fit(trap, items=news.items)


def test_score_is_that_of_the_chosen_metric(news):
    model = ItemKNN(scoring="ndcg@5").fit(news.train, news.items)
    wanted = model.evaluate(news.test, metrics="ndcg@5")["ndcg@5"]
    assert model.score(news.test) == wanted
    # several rows of bare histories: the last click is ranked among all items
    histories = news.test["history"].tolist()
    assert 0 < model.score(histories) < 1
