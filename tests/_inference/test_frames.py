"""`as_frame=`, `columns=` and `set_output`: the same lists as data frames."""

import builtins
import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import skrec
from skrec import Items
from skrec.baselines import EASE, ContentKNN, Popularity

HISTORIES = [[3, 8, 1], [], [5]]


@pytest.fixture
def rec(fitted):
    return copy.deepcopy(fitted)


@pytest.fixture(scope="module")
def words():
    """Five items with text ids under another name, and a column of each role."""
    return pd.DataFrame(
        {
            "sku": list("abcde"),
            "title": ["sun", "sea", "snow", "sand", "sun"],
            "topic": pd.Categorical(["x", None, "y", "x", "y"]),
            "tags": [["p"], [], ["q", "p"], [], []],
            "price": [1.0, 2.5, 3.0, 4.0, 5.0],
        }
    )


def as_rows(model, X, k, titles, **options):
    """What a user would write without `as_frame`, one loop per row and rank."""
    ids, scores = model.recommend(X, k=k, **options)
    a, b = model.calibration_
    return [
        (
            row,
            rank + 1,
            ids[row, rank],
            score,
            1 / (1 + np.exp(-(a * score + b))),
            titles[ids[row, rank]],
        )
        for row in range(len(ids))
        for rank, score in enumerate(scores[row].tolist())
        if np.isfinite(score)
    ]


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("options", [{}, {"candidates": [3, 4, 5, 6]}, {"exclude_seen": False}])
def test_frames_hold_the_lists_of_the_arrays(rec, news, library, options):
    if library == "polars":
        pytest.importorskip("polars")
    ids = news.items.item_id.tolist()
    X = [[ids[code] for code in row] for row in HISTORIES]
    if "candidates" in options:
        options = {"candidates": [ids[code] for code in options["candidates"]]}
    titles = dict(zip(news.items.item_id, news.items.title, strict=True))
    frame = rec.recommend(X, k=4, as_frame=library, columns=["title"], **options)
    assert type(frame).__module__.startswith(library)
    assert list(frame.columns) == ["row", "rank", "item_id", "score", "probability", "title"]
    wanted = as_rows(rec, X, 4, titles, **options)
    for name, values in zip(frame.columns, zip(*wanted, strict=True), strict=True):
        if name in ("score", "probability"):
            np.testing.assert_allclose(frame[name].to_numpy(), values, rtol=1e-5)
        else:
            assert frame[name].to_list() == list(values)


def test_frames_have_the_probabilities_of_predict_proba(rec, news):
    frame = rec.recommend(news.test, k=3, as_frame=True)
    asked = news.test.iloc[frame["row"]].assign(candidate=frame["item_id"].to_numpy())
    asked = asked.drop(columns=["candidates", "clicked"])
    np.testing.assert_allclose(frame["probability"], rec.predict_proba(asked)[:, 1], rtol=1e-4)


def test_padding_is_left_out(rec, news):
    frame = rec.recommend([[], []], k=500, as_frame=True)
    assert len(frame) == 2 * len(news.items)
    assert frame["row"].value_counts().tolist() == [len(news.items)] * 2
    some = news.items.item_id.tolist()[:2]
    few = rec.recommend([[some[0]], []], k=3, candidates=some, as_frame=True)
    assert few["row"].tolist() == [0, 1, 1]
    assert few["rank"].tolist() == [1, 1, 2]


def test_a_frame_without_rows_has_its_columns(rec, news):
    one = news.items.item_id.tolist()[:1]
    frame = rec.recommend([one], candidates=one, as_frame=True, columns=["title"])
    assert frame.shape == (0, 6)


def test_rows_are_positions_whatever_the_index(rec, news):
    X = news.test.head(3).set_axis([7, 7, 9])
    assert rec.recommend(X, k=1, as_frame=True)["row"].tolist() == [0, 1, 2]


def test_similar_items_in_a_frame(rec, news):
    asked = news.items.item_id.tolist()[4:6]
    ids, scores = rec.similar_items(asked, k=3)
    frame = rec.similar_items(asked, k=3, as_frame=True, columns=["title"])
    assert list(frame.columns) == ["similar_to", "rank", "item_id", "score", "title"]
    assert frame["similar_to"].tolist() == np.repeat(asked, 3).tolist()
    assert frame["item_id"].tolist() == ids.ravel().tolist()
    np.testing.assert_array_equal(frame["score"], scores.ravel())


@pytest.mark.parametrize("model", [Popularity(), EASE(), ContentKNN()], ids=repr)
def test_baselines_give_frames_with_columns_of_every_role(model, words):
    model = model.fit([["a", "b"], ["b", "c"]], items=Items(words, id="sku"))
    columns = ["price", "title", "sku", "tags", "topic"]
    frame = model.recommend([["a"]], k=9, as_frame=True, columns=columns)
    assert list(frame.columns) == ["row", "rank", "sku", "score", "probability"] + [
        name for name in columns if name != "sku"
    ]
    known = words.set_index("sku")
    for record in frame.to_dict("records"):
        item = known.loc[record["sku"]]
        assert (record["title"], record["price"]) == (item.title, item.price)
        assert list(record["tags"]) == item.tags
        assert record["topic"] == item.topic or (pd.isna(record["topic"]) and pd.isna(item.topic))


def test_new_items_have_their_columns(rec, news):
    new = news.items.head(1).assign(item_id=-1, title="brand new")
    frame = rec.recommend([[]], k=500, items=new, as_frame=True, columns=["title"])
    assert frame.set_index("item_id").title[-1] == "brand new"


# errors


def test_invalid_requests(rec, news):
    for ask in (
        lambda **more: rec.recommend([[]], **more),
        lambda **more: rec.similar_items(news.items.item_id[:1], **more),
    ):
        with pytest.raises(ValueError, match=r"'titel'.* lacks \(did you mean 'title'\?\)"):
            ask(as_frame=True, columns=["titel"])
        with pytest.raises(ValueError, match="columns names 3, which the catalogue lacks"):
            ask(as_frame=True, columns=[3])
        with pytest.raises(ValueError, match="'title' twice"):
            ask(as_frame=True, columns=["title", "title"])
        with pytest.raises(TypeError, match=r"write \['title'\]"):
            ask(as_frame=True, columns="title")
        with pytest.raises(TypeError, match="list of names, got 3"):
            ask(as_frame=True, columns=3)
        with pytest.raises(ValueError, match="needs as_frame=True"):
            ask(columns=["title"])
        for wrong in ("arrow", 1, None):
            with pytest.raises(ValueError, match="as_frame must be True, False, 'pandas' or"):
                ask(as_frame=wrong)


def test_columns_that_a_frame_has_already(words):
    items = Items(words.rename(columns={"price": "score"}), id="sku")
    model = Popularity().fit([["a", "b"]], items=items)
    assert "title" in model.recommend([[]], as_frame=True, columns=["title"])
    with pytest.raises(ValueError, match="'score' has the name of another column of the frame"):
        model.recommend([[]], as_frame=True, columns=["score"])
    model = Popularity().fit(
        [["a", "b"]], items=Items(words.rename(columns={"sku": "rank"}), id="rank")
    )
    with pytest.raises(ValueError, match="rename it in the catalogue$"):
        model.recommend([[]], as_frame=True)


def test_polars_is_optional(rec, monkeypatch):
    real = builtins.__import__

    def without_polars(name, *args, **kwargs):
        if name == "polars":
            raise ImportError("no polars here")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_polars)
    with pytest.raises(ImportError, match="pip install polars"):
        rec.recommend([[]], as_frame="polars")
    assert len(rec.recommend([[]], k=2, as_frame=True)) == 2


# set_output


def test_set_output_chooses_the_library(rec, news):
    polars = pytest.importorskip("polars")
    X = news.test.head(4)
    vectors = rec.transform(X)
    assert isinstance(vectors, np.ndarray)
    found = rec.set_output(transform="polars").transform(X)
    assert isinstance(found, polars.DataFrame)
    assert found.columns == rec.get_feature_names_out().tolist()
    assert found.columns[:2] == ["contentrecommender0", "contentrecommender1"]
    np.testing.assert_array_equal(found.to_numpy(), vectors)
    assert isinstance(rec.recommend(X, as_frame=True), polars.DataFrame)
    assert isinstance(rec.recommend(X, as_frame="pandas"), pd.DataFrame)
    assert isinstance(rec.recommend(X)[0], np.ndarray)  # set_output alone changes no lists
    rec.set_output(transform="pandas")
    assert rec.transform(X).index.equals(X.index)
    with sklearn.config_context(transform_output="polars"):
        assert isinstance(
            Popularity().fit(news.train, news.items).recommend(X, as_frame=True), polars.DataFrame
        )
        assert isinstance(rec.recommend(X, as_frame=True), pd.DataFrame)  # its own choice counts


def test_set_output_of_clones_copies_and_saved_folders(rec, news, tmp_path):
    rec.set_output(transform="pandas")
    loaded = skrec.load(rec.save(tmp_path / "rec") and tmp_path / "rec")
    for twin in (pickle.loads(pickle.dumps(rec)), copy.deepcopy(rec), loaded):
        pd.testing.assert_frame_equal(twin.transform(news.test), rec.transform(news.test))
    fresh = clone(rec).fit(news.train, news.items)
    assert isinstance(fresh.transform(news.test), pd.DataFrame)


def test_set_output_in_a_pipeline(news, make_recommender):
    rec = make_recommender(max_epochs=1)
    pipe = make_pipeline(rec).set_output(transform="pandas")
    found = pipe.fit(news.train, contentrecommender__items=Items(news.items)).transform(news.test)
    assert found.shape == (len(news.test), 16)
    again = make_recommender(max_epochs=1).fit_transform(news.train, items=Items(news.items))
    alone = make_recommender(max_epochs=1).fit(news.train, news.items).transform(news.train)
    np.testing.assert_array_equal(again, alone)


def test_several_vectors_per_user_fit_no_frame(news, make_recommender):
    rec = make_recommender(behavior="poly_attention", max_epochs=1).fit(news.train, news.items)
    assert rec.transform(news.test).ndim == 3
    with pytest.raises(ValueError, match="vectors per user, which a data frame can't hold"):
        rec.set_output(transform="pandas").transform(news.test)
