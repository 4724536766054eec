"""Shares of clicks are differences of scores; nothing is left behind; what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import skrec
from skrec import ContentRecommender, Items, behavior, content
from skrec.baselines import ContentKNN, ItemKNN, Popularity
from skrec.inspection import Explanation


@pytest.fixture(scope="module")
def with_prior(news):
    """Fit to bare histories, so that scores contain popularity and co-clicks."""
    histories = news.train.drop_duplicates("user_id")["history"].tolist()
    rec = ContentRecommender("mean_pooling", width=8, max_epochs=1, random_state=0)
    return rec.fit(histories, news.items)


@pytest.fixture(scope="module")
def history(news):
    return list(max(news.test["history"], key=len))[:7]


def score(rec, history, item, **columns):
    X = {"history": [history], "candidate": [item]} | columns
    return rec.decision_function(X)[0]


def shares_in_a_loop(rec, history, item, **columns):
    whole = score(rec, history, item, **columns)
    shorter = [history[:at] + history[at + 1 :] for at in range(len(history))]
    return [whole - score(rec, h, item, **columns) for h in shorter]


@pytest.mark.parametrize("name", ["fitted", "with_prior", "knn", "content_knn", "popular"])
def test_shares_of_clicks_are_differences_of_scores(name, news, history, request):
    baselines = {"knn": ItemKNN(decay=0.8), "content_knn": ContentKNN(), "popular": Popularity()}
    if name in baselines:
        rec = baselines[name].fit(news.train, news.items)
    else:
        rec = request.getfixturevalue(name)
    history = [*history, history[0]]  # each of two clicks on an item has a share of its own
    item = int(news.items["item_id"].iloc[5])
    found = rec.explain(history, item)
    assert isinstance(found, Explanation) and found.item == item
    assert found.score == pytest.approx(score(rec, history, item), rel=1e-4)
    assert found.clicks["position"].tolist() == list(range(len(history)))
    assert found.clicks["item_id"].tolist() == history
    wanted = shares_in_a_loop(rec, history, item)
    np.testing.assert_allclose(found.clicks["share"], wanted, rtol=1e-4, atol=1e-5)
    assert (found.words is None) == (name in baselines)


def test_blocks_change_nothing(fitted, history, monkeypatch):
    whole = fitted.explain(history, history[0])
    monkeypatch.setattr("skrec._inference.explain.CLICK_BLOCK", 1)
    parts = fitted.explain(history, history[0])
    np.testing.assert_allclose(parts.clicks["share"], whole.clicks["share"], atol=1e-6)


def test_clicks_before_the_window_have_no_share(news, history, make_recommender):
    rec = make_recommender(max_history=3, max_epochs=1, co_clicks=False)
    rec.fit(news.train, news.items)
    shares = rec.explain(history, history[0]).clicks["share"]
    assert np.abs(shares[:-4]).max() < 1e-6
    assert np.abs(shares[-3:]).max() > 0


def test_columns_of_the_catalogue(fitted, news, history):
    found = fitted.explain(history, history[0], columns=["topic", "title"])
    assert found.clicks.columns.tolist() == ["position", "item_id", "share", "topic", "title"]
    titles = news.items.set_index("item_id")["title"]
    assert found.clicks["title"].tolist() == [titles[item] for item in history]
    with pytest.raises(ValueError, match="columns names 'titel', which the catalogue lacks"):
        fitted.explain(history, history[0], columns=["titel"])


def test_an_empty_history_has_no_shares(fitted, news):
    item = int(news.items["item_id"].iloc[5])
    found = fitted.explain([], item, columns=["title"])
    assert len(found.clicks) == 0
    assert found.clicks.columns.tolist() == ["position", "item_id", "share", "title"]
    assert found.score == pytest.approx(score(fitted, [], item), rel=1e-5)
    assert "no clicks" in repr(found)


def test_unknown_ids(fitted, news, history, make_recommender):
    with pytest.raises(ValueError, match="missing from the catalogue"):
        fitted.explain([*history, 99_999], history[0])
    with pytest.raises(ValueError, match="1 ids in item are missing from the catalogue"):
        fitted.explain(history, 99_999)
    ignoring = make_recommender(unknown_items="ignore", max_epochs=1)
    ignoring.fit(news.train, items=Items(news.items))
    found = ignoring.explain([99_999, *history], history[0])
    assert found.clicks["position"].tolist() == list(range(1, len(history) + 1))
    assert found.clicks["item_id"].tolist() == history


def test_new_items(fitted, news, history):
    new = news.items.head(1).assign(item_id=10_000)
    found = fitted.explain(history, 10_000, items=new)
    alike = fitted.explain(history, int(news.items["item_id"].iloc[0]))
    assert found.item == 10_000 and found.score == pytest.approx(alike.score, rel=1e-5)
    assert found.words["word"].tolist() == alike.words["word"].tolist()


@pytest.mark.parametrize(
    ("given", "item", "error", "match"),
    [
        ([[1, 2]], 1, TypeError, "explain takes one history, a flat list of item ids"),
        ("abc", 1, TypeError, "history must be a list of item ids, got 'abc'"),
        (5, 1, TypeError, "history must be a list of item ids, got 5"),
        (pd.DataFrame({"history": [[], []]}), 1, ValueError, "a table of 2 rows"),
        ([], [1, 2], TypeError, "explain takes the id of one item"),
    ],
)
def test_bad_input(fitted, given, item, error, match):
    with pytest.raises(error, match=match):
        fitted.explain(given, item)


def test_an_unfitted_recommender_raises():
    with pytest.raises(NotFittedError):
        ContentRecommender().explain([], 1)


def test_a_row_says_whose_history_it_is(news, history, make_recommender):
    rec = make_recommender(
        behavior=behavior.PersonalizedAttention(), max_epochs=1, learning_rate=0.05
    )
    rec.fit(news.train, news.items)
    user, item = news.train["user_id"].iloc[0], history[0]
    row = pd.DataFrame({"history": [history], "user_id": [user], "topic": ["x"]})
    found = rec.explain(row[["history", "user_id"]], item)
    wanted = shares_in_a_loop(rec, history, item, user_id=[user])
    np.testing.assert_allclose(found.clicks["share"], wanted, rtol=1e-4, atol=1e-5)
    assert found.score != pytest.approx(rec.explain(history, item).score, rel=1e-3)


def test_reloaded_recommenders_explain_alike(fitted, history, tmp_path):
    wanted = fitted.explain(history, history[0])
    loaded = skrec.load(fitted.save(tmp_path / "rec") and tmp_path / "rec")
    for other in (loaded, pickle.loads(pickle.dumps(fitted))):
        found = other.explain(history, history[0])
        pd.testing.assert_frame_equal(found.clicks, wanted.clicks, atol=1e-6)
        pd.testing.assert_frame_equal(found.words, wanted.words, atol=1e-6)


def test_html_is_escaped():
    titles = ["<b>bold</b> & red", "plain words"]
    items = pd.DataFrame({"item_id": ["<i>", "b"], "title": titles})
    rec = ContentRecommender("mean_pooling", width=4, max_epochs=1, early_stopping=False)
    rec.fit([["<i>", "b"], ["b", "<i>"], ["<i>", "b"]], items)
    page = rec.explain(["b", "<i>"], "<i>", columns=["title"])._repr_html_()
    assert "<b>" not in page and "<i>" not in page
    assert "&lt;" in page and "&amp;" in page and "rgba(" in page


def test_no_words_without_tokens(news, history, make_recommender):
    rec = make_recommender(content=content.ID(), max_epochs=1).fit(news.train, news.items)
    found = rec.explain(history, history[0])
    assert found.words is None and found.score_without_words is None
    assert "words" not in repr(found)
