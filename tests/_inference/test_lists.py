"""Metrics of recommended lists: against `recommend` and plain loops, for all kinds of rows."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import GridSearchCV

import skrec
from skrec import ContentRecommender, Items, explode
from skrec.baselines import ContentKNN, ItemKNN, Popularity
from skrec.metrics import scorer

NAMES = ["coverage@4", "gini@4", "novelty@4", "ild@4", "ild_topic@3", "serendipity@5"]


def lists_of(rec, X, kind, k):
    """Return the lists, as ids, and what was clicked, in plain Python."""
    if kind == "histories":
        return rec.recommend([h[:-1] for h in X], k)[0], [{h[-1]} for h in X]
    if kind == "pairs":
        groups = [part for _, part in X.groupby("impression_id")]
        clicked = [set(part["candidate"][part["clicked"] == 1]) for part in groups]
        return rec.recommend([part["history"].iloc[0] for part in groups], k)[0], clicked
    chosen = zip(X["candidates"], X["clicked"], strict=True)
    clicked = [{c for c, hit in zip(*row, strict=True) if hit} for row in chosen]
    return rec.recommend(X["history"], k)[0], clicked


def rows_of(kind, news):
    if kind == "histories":
        return [h for h in news.test["history"].tolist() if len(h)]
    if kind == "pairs":
        X, y = explode(news.test)
        return X.assign(clicked=y)
    return news.test


@pytest.mark.parametrize("kind", ["impressions", "pairs", "histories"])
def test_values_are_those_of_the_lists_of_recommend(fitted, news, kind, monkeypatch):
    X = rows_of(kind, news)
    lists, clicked = lists_of(fitted, X, kind, 5)
    n_items = len(news.items)
    vector = dict(zip(fitted.items_.ids, fitted.item_vectors().astype(float), strict=True))
    vector = {i: v / np.linalg.norm(v) for i, v in vector.items()}
    topic = dict(zip(news.items["item_id"], news.items["topic"], strict=True))
    clicks = dict(zip(fitted.items_.ids, fitted.n_clicks_, strict=True))
    ranks = {c: 1 + at for at, c in enumerate(sorted(set(clicks.values()), reverse=True))}
    shown = [i for row in lists for i in row[:4]]

    def serendipity(row, hits):
        lead = []
        for rank, i in enumerate(row, start=1):
            popular = (n_items + 1 - ranks[clicks[i]]) / n_items if clicks[i] else 0
            lead.append(max((n_items + 1 - rank) / n_items - popular, 0) * (i in hits))
        return np.mean(lead)

    def ild(row, distance):
        return np.mean([distance(i, j) for i in row for j in row if i != j])

    total = sum(clicks.values())
    wanted = {
        "coverage@4": len(set(shown)) / n_items,
        "novelty@4": np.mean([-np.log2(max(clicks[i], 1) / total) for i in shown]),
        "ild@4": np.mean([ild(row[:4], lambda i, j: 1 - vector[i] @ vector[j]) for row in lists]),
        "ild_topic@3": np.mean([ild(row[:3], lambda i, j: topic[i] != topic[j]) for row in lists]),
        "serendipity@5": np.mean([serendipity(*row) for row in zip(lists, clicked, strict=True)]),
    }
    found = fitted.evaluate(X, metrics=NAMES)
    assert list(found) == NAMES  # no metric of labels, so no number of groups
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-12), name
    monkeypatch.setattr("skrec._inference.lists.LIST_BLOCK", 7)
    assert fitted.evaluate(X, metrics=NAMES) == pytest.approx(found, rel=1e-12)


def test_one_list_per_row_serves_all_metrics(fitted, news, monkeypatch):
    from skrec._inference.scorer import Scorer

    asked = []
    whole = Scorer.recommend

    def recommend(self, data, k, *args, **kwargs):
        asked.append((data.n_rows, k))
        return whole(self, data, k, *args, **kwargs)

    monkeypatch.setattr(Scorer, "recommend", recommend)
    values = fitted.evaluate(news.test, metrics=["gauc", *NAMES, "novelty@9"])
    assert asked == [(len(news.test), 9)]
    assert values["n_groups_used"] == fitted.evaluate(news.test)["n_groups_used"]
    assert list(values)[0] == "gauc"


def test_rows_with_one_history_share_a_list_unless_they_are_impressions(fitted, news):
    X, y = explode(news.test)
    without = X.drop(columns="impression_id")
    once = {"history": news.test["history"].map(tuple).drop_duplicates().map(list).tolist()}
    wanted = fitted.recommend(once["history"], 4)[0]
    found = fitted.evaluate(without, y, metrics="gini@4")["gini@4"]
    exposures = pd.Series(wanted.ravel()).value_counts()
    exposures = np.sort(exposures.reindex(news.items["item_id"], fill_value=0).to_numpy())
    n = len(exposures)
    gini = (2 * np.arange(1, n + 1) - n - 1) @ exposures / (n * exposures.sum())
    assert found == pytest.approx(gini, rel=1e-12)


def test_new_items_count_as_clicked_once(fitted, news):
    new = news.items.head(2).assign(item_id=[10_000, 10_001])
    values = fitted.evaluate(news.test, metrics=["coverage@500", "novelty@500"], items=new)
    assert values["coverage@500"] == 1  # all lists together hold every item, also new ones
    assert np.isfinite(values["novelty@500"])


def test_removed_items_are_not_part_of_the_catalogue(fitted, news):
    rec = copy.deepcopy(fitted)
    shown = rec.recommend(news.test["history"], 4)[0]
    gone = pd.Series(shown.ravel()).value_counts().index[:3]
    rec.remove_items(gone)
    lists = rec.recommend(news.test["history"], 4)[0]
    assert not np.isin(lists, gone).any()
    found = rec.evaluate(news.test, metrics="coverage@4")["coverage@4"]
    assert found == pytest.approx(len(set(lists.ravel())) / (len(news.items) - 3), rel=1e-12)


def test_columns_of_all_fitting_roles(mixed):
    histories = [[0, 1, 2], [3, 4], [5, 6, 7], [0, 7]]
    knn = ContentKNN(columns=["title"]).fit(histories, mixed)
    names = ["ild@3", "ild_topic@3", "ild_tags@3", "ild_vector@3"]
    found = knn.evaluate(histories, metrics=names)
    lists, _ = knn.recommend([h[:-1] for h in histories], 3)
    topics = [str(t) for t in mixed["topic"]]  # a missing topic is a topic of its own

    def tags(i, j):
        a, b = set(mixed["tags"][i]), set(mixed["tags"][j])
        return 1 - len(a & b) / np.sqrt(len(a) * len(b)) if a and b else 1

    def angle(i, j):
        a, b = np.array(mixed["vector"][i]), np.array(mixed["vector"][j])
        return 1 - a @ b / np.sqrt((a @ a) * (b @ b))

    for name, distance in [
        ("ild_topic@3", lambda i, j: topics[i] != topics[j]),
        ("ild_tags@3", tags),
        ("ild_vector@3", angle),
    ]:
        each = [[distance(i, j) for i in row for j in row if i != j] for row in lists]
        assert found[name] == pytest.approx(np.mean(np.mean(each, axis=1)), rel=1e-6), name
    assert 0 < found["ild@3"] <= 1


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("ild_title@3", "'title' has the role 'text'; fitting columns of the catalogue: 'topic'"),
        ("ild_topics@3", "'topics' does not exist .did you mean 'topic'"),
        ("ild@3", "compares item vectors, which this recommender does not have"),
    ],
)
def test_missing_vectors_raise(news, name, match):
    knn = ItemKNN().fit(news.train, news.items)
    with pytest.raises(ValueError, match=match):
        knn.evaluate(news.test, metrics=["gauc", name])


def test_lists_of_one_item_have_no_pairs(news):
    knn = ItemKNN().fit(news.train, news.items)
    two = Items(news.items).take([0, 1])
    popular = Popularity(unknown_items="ignore").fit([[two.ids[0]] * 2], items=two)
    with pytest.warns(UndefinedMetricWarning, match="ild_topic@2 is undefined: no list"):
        found = popular.evaluate([[two.ids[0], two.ids[1]]], metrics="ild_topic@2")
    assert np.isnan(found["ild_topic@2"])
    with pytest.raises(ValueError, match="all histories are empty"):
        knn.evaluate([[]], metrics="coverage@2")


@pytest.mark.parametrize("name", ["coverage@10", "gini@10", "serendipity@5"])
def test_training_is_not_judged_by_lists(news, name):
    for model in (ContentRecommender(scoring=name), Popularity(scoring=name)):
        with pytest.raises(ValueError, match="describes lists of recommended items"):
            model.fit(news.train, news.items)
    fitted = Popularity().fit(news.train, news.items).set_params(scoring=name)
    with pytest.raises(ValueError, match=r"use rec\.evaluate"):
        fitted.score(news.test)


def test_scorers_work_in_a_search(news):
    scoring = {name: scorer(name) for name in ("gauc", "gini@5", "coverage@5")}
    search = GridSearchCV(ItemKNN(), {"k": [2, 20]}, scoring=scoring, refit="gini@5", cv=2)
    search.fit(news.train, items=Items(news.items))
    assert (search.cv_results_["mean_test_gini@5"] < 0).all()  # lower is better, so it is negated
    assert (search.cv_results_["mean_test_coverage@5"] > 0).all()


# What a recommender knows of the training clicks


def count(news):
    """Count the clicks of the training rows: distinct histories, and clicked candidates."""
    counts = dict.fromkeys(news.items["item_id"], 0.0)
    for history in set(news.train["history"].map(tuple)):
        for item in history:
            counts[item] += 1
    for candidates, clicked in zip(news.train["candidates"], news.train["clicked"], strict=True):
        for item, hit in zip(candidates, clicked, strict=True):
            counts[item] += hit
    return [counts[i] for i in news.items["item_id"]]


def test_counts_of_fit_and_partial_fit(news, make_recommender):
    rec = make_recommender(max_epochs=1).fit(news.train, news.items)
    assert rec.n_clicks_.tolist() == count(news)
    assert ItemKNN().fit(news.train, news.items).n_clicks_.tolist() == count(news)
    new = news.items.head(1).assign(item_id=10_000)
    rec.partial_fit([[10_000, int(news.items["item_id"][0])]], items=new)
    wanted = [*count(news), 1.0]
    wanted[0] += 1
    assert rec.n_clicks_.tolist() == wanted
    first = make_recommender().partial_fit(news.train, news.items)
    assert first.n_clicks_.tolist() == count(news)
    rec.fit(news.train, news.items)
    assert rec.n_clicks_.tolist() == count(news)


def test_weights_count(news, make_recommender):
    weight = np.zeros(len(news.train))
    weight[:3] = 2.0
    rec = make_recommender(max_epochs=1, early_stopping=False)
    rec.fit(news.train, news.items, sample_weight=weight)
    alike = ItemKNN().fit(news.train.head(3), news.items)
    assert rec.n_clicks_.tolist() == (2 * alike.n_clicks_).tolist()


def test_counts_are_saved_pickled_and_copied(fitted, news, tmp_path):
    knn = ItemKNN().fit(news.train, news.items)
    for name, model in (("rec", fitted), ("knn", knn)):
        loaded = skrec.load(model.save(tmp_path / name) and tmp_path / name)
        for other in (loaded, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert other.n_clicks_.tolist() == model.n_clicks_.tolist()
            names = ["novelty@5", "serendipity@5", "gini@5"]
            assert other.evaluate(news.test, metrics=names) == pytest.approx(
                model.evaluate(news.test, metrics=names), rel=1e-12
            )


def test_recommenders_of_earlier_versions_say_what_is_missing(fitted, news):
    for model in (copy.deepcopy(fitted), ItemKNN().fit(news.train, news.items)):
        del model.n_clicks_
        assert model.evaluate(news.test, metrics="coverage@5")["coverage@5"] > 0
        with pytest.raises(ValueError, match="needs the numbers of training clicks"):
            model.evaluate(news.test, metrics="novelty@5")
