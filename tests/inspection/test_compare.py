"""Comparison of models: means, paired bootstrap intervals, and what is refused."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skrec import Items, explode
from skrec.baselines import ContentKNN, ItemKNN, Popularity
from skrec.inspection import ComparisonDisplay, compare

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def models(news, fitted):
    popular = Popularity().fit(news.train, news.items)
    return {"trained": fitted, "popular": popular, "knn": ItemKNN().fit(news.train, news.items)}


def rows_of(kind, news):
    if kind == "histories":
        return news.test["history"].tolist()
    if kind == "pairs":
        X, y = explode(news.test)
        return X.assign(clicked=y)
    return news.test


@pytest.mark.parametrize("kind", ["impressions", "pairs", "histories"])
def test_means_are_those_of_evaluate(models, news, kind):
    X, names = rows_of(kind, news), ["ndcg@5", "mrr", "gauc"]
    found = compare(models, X, metrics=names, n_bootstrap=5, random_state=0)
    assert isinstance(found, ComparisonDisplay) and found.reference == "trained"
    assert list(found.means_.columns) == names and list(found.means_.index) == list(models)
    for model, estimator in models.items():
        wanted = estimator.evaluate(X, metrics=names)
        for name in names:
            assert found.means_.loc[model, name] == pytest.approx(wanted[name], abs=1e-12)


@pytest.mark.parametrize("kind", ["impressions", "pairs", "histories"])
def test_metrics_of_lists(models, news, kind):
    X, names = rows_of(kind, news), ["novelty@5", "ndcg@5", "ild_topic@5", "serendipity@5"]
    found = compare(models, X, metrics=names, n_bootstrap=5, random_state=0)
    for model, estimator in models.items():
        wanted = estimator.evaluate(X, metrics=names)
        for name in names:
            assert found.means_.loc[model, name] == pytest.approx(wanted[name], abs=1e-12)
    only = compare(models, X, metrics="novelty@5", n_bootstrap=5)
    assert only.means_["novelty@5"].tolist() == found.means_["novelty@5"].tolist()


def test_intervals_are_those_of_a_plain_bootstrap(models, news):
    found = compare(models, news.test, metrics="mrr", n_bootstrap=200, random_state=3)
    values = found.values["mrr"]
    rng = np.random.default_rng(np.random.RandomState(3).randint(2**31))
    drawn = {model: [] for model in models}
    for _ in range(200):
        rows = rng.integers(0, len(values), len(values))
        for model in models:
            some = values[model].to_numpy()[rows] - values["trained"].to_numpy()[rows]
            drawn[model].append(some.mean())
    for model in models:
        low, high = np.quantile(drawn[model], [0.025, 0.975])
        assert found.low.loc[model, "mrr"] == pytest.approx(low, abs=1e-12)
        assert found.high.loc[model, "mrr"] == pytest.approx(high, abs=1e-12)
        assert low <= found.differences_.loc[model, "mrr"] <= high
    again = compare(models, news.test, metrics="mrr", n_bootstrap=200, random_state=3)
    pd.testing.assert_frame_equal(found.low, again.low)


def test_blocks_change_nothing(models, news, monkeypatch):
    whole = compare(models, news.test, n_bootstrap=20, random_state=0)
    monkeypatch.setattr("skrec.inspection._comparison.BLOCK", 1)
    parts = compare(models, news.test, n_bootstrap=20, random_state=0)
    pd.testing.assert_frame_equal(whole.high, parts.high, atol=1e-14)


def test_reference(models, news):
    best = compare(models, news.test, reference="best", n_bootstrap=5)
    assert best.reference == best.means_["gauc"].idxmax()
    assert compare(models, news.test, reference="knn", n_bootstrap=5).reference == "knn"
    with pytest.raises(ValueError, match="reference must be 'best' or the name of a model"):
        compare(models, news.test, reference="naml")


def test_searches_and_pipelines_are_unwrapped(models, news):
    search = GridSearchCV(Pipeline([("model", ItemKNN())]), {"model__k": [5]}, cv=2)
    search.fit(news.train, model__items=Items(news.items))
    knn = ItemKNN(k=5).fit(news.train, news.items)
    found = compare({"search": search, "knn": knn}, news.test, n_bootstrap=5)
    assert (found.differences_ == 0).all(axis=None)


def test_plot_and_table(models, news):
    found = compare(models, news.test, metrics=["gauc", "mrr"], n_bootstrap=10)
    _, ax = plt.subplots()
    assert found.plot(ax) is found and found.ax_ is ax and len(found.bars_) == 2
    assert [label.get_text() for label in ax.get_yticklabels()] == ["popular", "knn"]
    assert "trained" in ax.get_xlabel()
    assert "popular" in repr(found) and "<table" in found._repr_html_()
    assert found.table_.shape == (3, 2) and "[" in found.table_.loc["knn", "mrr"]
    assert "[" not in found.table_.loc["trained", "mrr"]


def test_new_items(news):
    few = Items(news.items.head(150))
    shared = {"unknown_items": "ignore"}
    models = {
        "content": ContentKNN(columns=["title"], **shared).fit(news.train, items=few),
        "popular": Popularity(**shared).fit(news.train, items=few),
    }
    found = compare(models, news.test, items=news.items, n_bootstrap=5)
    assert found.means_.notna().all(axis=None)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"metrics": "auc"}, ValueError, "compare needs grouped metrics"),
        ({"metrics": "gini@5"}, ValueError, "'gini@5', which has one value for all rows"),
        ({"metrics": "ild@5"}, ValueError, "compares item vectors, which this recommender"),
        ({"metrics": []}, ValueError, "at least one metric"),
        ({"metrics": ["ndgc@3"]}, ValueError, "did you mean"),
        ({"n_bootstrap": 0}, ValueError, "n_bootstrap must be a positive int"),
        ({"confidence": 95}, ValueError, "confidence must be a number in"),
        ({"models": {}}, ValueError, "models must be a dict"),
        ({"models": [Popularity()]}, ValueError, "models must be a dict"),
        ({"models": {"a": Popularity()}}, NotFittedError, "not fitted"),
        ({"models": {"a": "popularity"}}, TypeError, "recommenders or baselines"),
    ],
)
def test_bad_input(models, news, change, error, match):
    given = {"models": models, "X": news.test} | change
    with pytest.raises(error, match=match):
        compare(**given)


def test_pairs_without_groups_raise(models, news):
    X, y = explode(news.test)
    with pytest.raises(ValueError, match="impression_id"):
        compare(models, X.drop(columns="impression_id"), y)


def test_models_that_drop_other_clicks_raise(models, news):
    few = Items(news.items.head(60))
    ignoring = Popularity(unknown_items="ignore").fit(news.train, items=few)
    with pytest.raises(ValueError, match="'popular' and 'few' rank different rows"):
        compare({"popular": models["popular"], "few": ignoring}, news.test["history"].tolist())
