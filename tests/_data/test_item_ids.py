"""Methods that receive ids of items: `recommend(candidates=)`, `similar_items`, `add_items`."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skrec import ContentRecommender, Items
from skrec.predictor import Dot


@pytest.fixture
def rec(fitted):
    return copy.deepcopy(fitted)


@pytest.fixture
def new(news):
    return news.items.head(3).assign(item_id=[-1, -2, -3], title=["sea and sun", "red fox", "moon"])


# recommend(candidates=)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_lists_from_a_choice_equal_whole_lists_without_the_rest(rec, news, exclude_seen):
    chosen = news.items.item_id[[50, 3, 77, 3, 20, 119]].tolist()
    ids, scores = rec.recommend(news.test, k=5, candidates=chosen, exclude_seen=exclude_seen)
    everything, all_scores = rec.recommend(news.test, k=120, exclude_seen=exclude_seen)
    for row in range(len(news.test)):
        kept = np.isin(everything[row], chosen)
        wanted = everything[row][kept][:5].tolist()
        assert ids[row].tolist() == wanted + [-1] * (5 - len(wanted))
        np.testing.assert_allclose(scores[row][: len(wanted)], all_scores[row][kept][:5], rtol=1e-4)


@pytest.mark.parametrize(
    "operators",
    [{"behavior": "target_attention"}, {"behavior": "late_fusion"}, {"predictor": "mlp"}],
)
def test_every_family_chooses(news, make_recommender, operators):
    rec = make_recommender(**operators).fit(news.train, news.items)
    chosen = news.items.item_id[10:20]
    ids, scores = rec.recommend(news.test.head(4), k=3, candidates=chosen)
    X = news.test.head(4).assign(candidates=ids.tolist())
    assert np.isin(ids, chosen).all()
    found = np.stack(rec.decision_function(X))
    np.testing.assert_allclose(found, scores, rtol=1e-4, atol=1e-5)


def test_new_items_can_be_the_choice(rec, new):
    ids, _ = rec.recommend([[]], k=3, items=new, candidates=[-3, -1])
    assert sorted(ids[0, :2]) == [-3, -1]
    assert ids[0, 2] == -1 or ids[0, 2] == -1
    everything, _ = rec.recommend([[-2]], k=123, items=new)
    assert -2 not in everything[0]


@pytest.mark.parametrize(
    ("candidates", "error", "message"),
    [
        ([10**9], ValueError, "1 ids in candidates are missing from the catalogue of 120 items"),
        ([], ValueError, "candidates is empty; name the items to choose from, or pass None"),
        (["a"], TypeError, "candidates"),
        ([[1, 2], [3]], ValueError, "candidates has 2 lists, but X has 1 rows; give one list per"),
        ([[1, 2]], ValueError, "2 ids in candidates are missing from the catalogue of 120 items"),
        ([[[1, 2]]], TypeError, "candidates must hold ids, or one list of ids per row, got list"),
    ],
)
def test_choices_that_cannot_work(rec, candidates, error, message):
    with pytest.raises(error, match=message):
        rec.recommend([[]], candidates=candidates)


# similar_items


def test_similar_items_are_those_with_the_greatest_cosine(rec, news):
    vectors = rec.item_vectors()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = news.items.item_id[[5, 90]]
    ids, scores = rec.similar_items(asked, k=4)
    assert ids.shape == scores.shape == (2, 4)
    for row, at in enumerate([5, 90]):
        cosines = unit @ unit[at]
        cosines[at] = -2
        best = np.argsort(-cosines, kind="stable")[:4]
        assert ids[row].tolist() == rec.items_.ids[best].tolist()
        np.testing.assert_allclose(scores[row], cosines[best], rtol=1e-5)


def test_similar_items_of_new_items_and_among_some(rec, news, new):
    twin = news.items.iloc[[7]].assign(item_id=[-9])
    ids, scores = rec.similar_items([-9], k=2, items=twin)
    assert ids[0, 0] == news.items.item_id[7]
    assert scores[0, 0] == pytest.approx(1.0, abs=1e-6)
    some = news.items.item_id[:5].tolist()
    ids, _ = rec.similar_items(some[:2], k=6, candidates=some)
    assert ids[0, :4].tolist() != ids[1, :4].tolist()
    assert (ids[:, 4:] == -1).all()
    with pytest.raises(ValueError, match="1 ids in ids are missing from the catalogue of 120"):
        rec.similar_items([-9])
    with pytest.raises(ValueError, match="k must be a positive int, got 0"):
        rec.similar_items(some, k=0)


def test_an_unfitted_recommender_says_so(new):
    rec = ContentRecommender()
    for call in (lambda: rec.similar_items([1]), lambda: rec.add_items(new)):
        with pytest.raises(NotFittedError):
            call()


# add_items


def test_added_items_are_as_good_as_passed_ones(rec, news, new):
    X = news.test.head(6).assign(candidates=[[-1, -2, -3, 5]] * 6, history=[[-1]] * 6)
    X["candidates"] = [[-1, -2, -3, news.items.item_id[5]]] * 6
    passed = rec.decision_function(X, items=new)
    before = rec.decision_function(news.test)
    assert rec.add_items(new) is rec
    assert rec.items_.n_items == 123
    assert all(map(np.array_equal, passed, rec.decision_function(X)))
    assert all(map(np.array_equal, before, rec.decision_function(news.test)))  # of known items
    again = pickle.loads(pickle.dumps(rec))
    for a, b in zip(passed, again.decision_function(X), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert rec.item_vectors().shape == (123, 16)
    ids, _ = rec.recommend([[]], k=123)
    assert set(new.item_id) <= set(ids[0])


def test_added_versions_take_the_place_of_old_ones(rec, news):
    changed = news.items.head(1).assign(title=["something else"])
    before = rec.item_vectors()
    after = rec.add_items(changed).item_vectors()
    assert rec.items_.n_items == 120
    assert not np.allclose(before[0], after[0])
    np.testing.assert_array_equal(before[1:], after[1:])


def test_bad_items_leave_the_catalogue_alone(rec, news):
    before = rec.items_
    with pytest.raises(ValueError, match="title"):
        rec.add_items(pd.DataFrame({"item_id": [-1], "topic": ["a"]}))
    assert rec.items_ is before
    assert rec.item_vectors().shape == (120, 16)


def test_a_refit_starts_from_the_catalogue_it_is_given(rec, news, new):
    rec.add_items(new).fit(news.train, Items(news.items))
    assert rec.items_.n_items == 120


def test_string_ids(make_recommender):
    items = {"a": "red sun", "b": "blue sea", "c": "red fox"}
    rec = make_recommender().fit([["a", "b"], ["b", "c", "a"]], items)
    rec.add_items({"d": "red sun"})
    ids, scores = rec.similar_items(["d", "b"], k=4)
    assert ids[0, 0] == "a"
    assert ids[0, 3] is None
    assert scores[0, 3] == -np.inf
    assert rec.recommend([["a"]], candidates=["d"], k=2)[0].tolist() == [["d", None]]


# The guide's example of an index for maximum inner product search


def test_scores_are_products_that_an_index_can_search(news, make_recommender):
    histories = news.test.history.head(4)
    for predictor in ("dot", "cosine", "bilinear", Dot(0.5, item_bias=True)):
        rec = make_recommender(predictor=predictor).fit(news.train, news.items)
        users, items = rec.transform(histories), rec.item_vectors()
        module = rec.network_.predictor
        temperature = getattr(rec.predictor_, "temperature", 1.0)
        if predictor == "cosine":
            users, items = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (users, items))
        if predictor == "bilinear":
            users = users @ module.weight.detach().numpy()
        users = users / temperature
        if getattr(module, "bias", None) is not None:
            users = users + module.bias.detach().numpy()
        ids, scores = rec.recommend(histories, k=5, exclude_seen=False)
        best = np.argsort(-(users @ items.T), axis=1)[:, :5]
        assert (rec.items_.ids[best] == ids).all()
        np.testing.assert_allclose(np.sort(users @ items.T)[:, :-6:-1], scores, rtol=1e-3)
