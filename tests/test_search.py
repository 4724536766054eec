"""Grid search, cross-validation, routing and callbacks around the estimator."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline

from skrec import ContentRecommender, Interactions, Items, behavior, content, predictor
from skrec.metrics import scorer


@pytest.fixture(scope="module")
def trap(news):
    """As many impressions as items: what scikit-learn would slice like X (issue 15805)."""
    n_items = len(news.items)
    return news.train.head(n_items)


def test_grid_search_over_operators_and_nested_parameters(trap, news, make_recommender):
    """REFERENCE bug 11: with n_items == n_samples, Items stays whole in every fold."""
    assert len(trap) == len(news.items)
    rec = make_recommender(predictor=predictor.Dot(), max_epochs=1)
    search = GridSearchCV(
        rec,
        {
            "content": [content.MeanPooling(), content.ID()],
            "behavior": [behavior.MeanPooling(), behavior.AdditiveAttention()],
            "predictor__temperature": [0.5, 1.0],
        },
        cv=3,
        error_score="raise",
    ).fit(trap, items=Items(news.items))
    assert len(search.cv_results_["mean_test_score"]) == 8
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.items_.n_items == len(news.items)


@pytest.mark.slow
def test_grid_search_in_two_processes(trap, news, make_recommender):
    parameters = {"learning_rate": [1e-3, 1e-2]}
    # wrapped, X goes to the other process as an array that joblib can share
    alone, together = (
        GridSearchCV(make_recommender(max_epochs=1), parameters, cv=2, n_jobs=n_jobs).fit(
            X, items=Items(news.items)
        )
        for n_jobs, X in ((None, trap), (2, Interactions(trap)))
    )
    np.testing.assert_array_equal(
        alone.cv_results_["mean_test_score"], together.cv_results_["mean_test_score"]
    )


def test_a_bare_frame_in_a_search_raises_the_error_that_explains_the_trap(
    trap, news, make_recommender
):
    search = GridSearchCV(make_recommender(), {"width": [8]}, cv=3)
    with pytest.raises(ValueError, match=r"items=Items\(df\).*cut into folds"):
        search.fit(trap, items=news.items)


def test_a_catalogue_in_the_place_of_y_is_for_the_bare_estimator_only(trap, news):
    """A search would slice it: the message must send the user to items=."""
    with pytest.raises((ValueError, TypeError)):
        GridSearchCV(ContentRecommender(), {"width": [8]}, cv=3).fit(trap, Items(news.items))


@pytest.mark.parametrize("table", ["pandas", "arrow"])
def test_roc_auc_and_cross_val_predict_on_pairs(table, pairs, news, make_recommender):
    (frame, y), _ = pairs
    if table == "arrow":
        import pyarrow as pa

        frame = pa.Table.from_pandas(frame)
    search = GridSearchCV(
        make_recommender(max_epochs=1), {"width": [8, 16]}, cv=2, scoring="roc_auc"
    ).fit(frame, y, items=Items(news.items))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    probabilities = cross_val_predict(
        make_recommender(max_epochs=1),
        frame,
        y,
        cv=GroupKFold(3),
        groups=np.asarray(frame["impression_id"]),
        method="predict_proba",
        params={"items": Items(news.items)},
    )
    assert probabilities.shape == (len(y), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_cross_val_predict_on_impressions_and_histories(news, make_recommender):
    for X in (news.train, news.train.history.tolist()):
        answers = cross_val_predict(
            make_recommender(max_epochs=1),
            X,
            cv=3,
            method="predict_proba",
            params={"items": Items(news.items)},
        )
        assert len(answers) == len(X)
    assert answers.shape == (len(news.train), len(news.items))


def test_metrics_as_scorers_of_a_search(news, make_recommender):
    search = GridSearchCV(
        make_recommender(max_epochs=1),
        {"width": [8]},
        cv=2,
        scoring={"ndcg": scorer("ndcg@5"), "loss": scorer("logloss")},
        refit="ndcg",
    ).fit(news.train, items=Items(news.items))
    assert search.cv_results_["mean_test_loss"][0] < 0 < search.cv_results_["mean_test_ndcg"][0]


def test_routing_needs_no_call_of_the_user(news, make_recommender):
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(
            make_recommender(max_epochs=1), news.train, cv=2, params={"items": Items(news.items)}
        )
    assert np.isfinite(scores).all()


def test_routing_takes_weights_to_fit_once_they_are_asked_for(news, make_recommender):
    weights = np.linspace(0.5, 1.5, len(news.train))
    params = {"items": Items(news.items), "sample_weight": weights}
    rec = make_recommender(max_epochs=1)
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(ValueError, match="set_fit_request"):
            cross_val_score(rec, news.train, cv=2, params=params)
        rec.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        routed = cross_val_score(rec, news.train, cv=2, params=params)
    assert np.isfinite(routed).all()


def test_routing_through_a_pipeline_that_is_scored(news, make_recommender):
    """Pipeline.score routes `sample_weight` by name even where it is None."""
    pipeline = Pipeline([("rec", make_recommender(max_epochs=1))])
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline.fit(news.train, items=Items(news.items))
        assert np.isfinite(pipeline.score(news.test))


def test_a_fitted_search_pickles(news, make_recommender):
    search = GridSearchCV(make_recommender(max_epochs=1), {"width": [8]}, cv=2)
    search.fit(news.train, items=Items(news.items))
    twin = pickle.loads(pickle.dumps(search))
    assert twin.score(news.test) == search.score(news.test)


def test_true_from_a_callback_stops_training(news, make_recommender):
    rec = make_recommender(max_epochs=5, early_stopping=False)
    rec.set_callbacks(StopAtOnce()).fit(news.train, items=news.items)
    assert rec.n_epochs_ == 1


class StopAtOnce:
    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch"


def test_search_results_make_a_frame(news, make_recommender):
    search = GridSearchCV(
        make_recommender(max_epochs=1), {"content": ["id", content.CNN()]}, cv=2
    ).fit(news.train, items=Items(news.items))
    frame = pd.DataFrame(search.cv_results_)
    assert list(map(str, frame["param_content"])) == ["id", "CNN()"]
