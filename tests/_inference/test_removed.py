"""Removed items are in no list, and everything else answers as before."""

import copy
import json
import pickle
import threading

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import skrec
from skrec import ContentRecommender, Items
from skrec._common.files import sha256
from skrec._saving.folder import CONTENTS, _own_digest


@pytest.fixture
def rec(fitted):
    return copy.deepcopy(fitted)


@pytest.fixture
def gone(news):
    return news.items.item_id[[4, 50, 7]].tolist()


def listed(rec, X, **rules):
    return set(rec.recommend(X, k=120, exclude_seen=False, **rules)[0].ravel()) - {-1}


def test_removed_items_are_in_no_list(rec, news, gone):
    X = [gone, [], news.items.item_id[:3].tolist()]
    assert rec.removed_.tolist() == []
    everything, before = listed(rec, X), rec.decision_function(X)
    metrics, n_items = rec.evaluate(news.test), rec.items_.n_items
    assert rec.remove_items(gone) is rec
    assert sorted(rec.removed_) == sorted(gone)
    assert listed(rec, X) == everything - set(gone)
    ids, _ = rec.similar_items(news.items.item_id[:60], k=120)
    assert not np.isin(ids, gone).any()
    # they stay in the catalogue, for histories and candidates
    np.testing.assert_array_equal(rec.decision_function(X), before)
    assert rec.evaluate(news.test) == metrics
    assert rec.items_.n_items == n_items
    assert listed(rec, [gone], candidates=[gone]) == set()
    assert listed(rec, [gone], candidates=[*gone, everything.difference(gone).pop()])
    impressions = {"history": [gone], "candidates": [gone]}
    assert len(rec.decision_function(impressions)[0]) == 3
    assert listed(rec, impressions, candidates="row") == set()


def test_lists_equal_those_without_the_items(rec, news, gone):
    wanted = rec.recommend(news.test, 10, exclude=gone)
    found = rec.remove_items(gone).recommend(news.test, 10)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_added_items_are_listed_again(rec, news, gone):
    rec.remove_items(gone)
    row = news.items[news.items.item_id == gone[0]]
    assert gone[0] in listed(rec, [[]], items=row)  # for this call
    assert gone[0] not in listed(rec, [[]])
    rec.add_items(row)
    assert gone[0] in listed(rec, [[]]) and set(rec.removed_) == set(gone[1:])
    rec.add_items(news.items)
    assert rec.removed_.tolist() == []


def test_repeated_unknown_and_all_ids(rec, news, gone):
    rec.remove_items([gone[0], gone[0]]).remove_items([gone[0]]).remove_items([])
    assert rec.removed_.tolist() == [gone[0]]
    for ids, error, message in (
        ([gone[1], 10**9], ValueError, "1 ids in ids are missing from the catalogue of 120"),
        (gone[0], TypeError, "ids must be a flat sequence of item ids"),
        ([[gone[0]]], TypeError, "ids must be a flat sequence of item ids"),
        (["a"], TypeError, "ids are str ids"),
    ):
        with pytest.raises(error, match=message):
            rec.remove_items(ids)
    assert rec.removed_.tolist() == [gone[0]]
    rec.remove_items(news.items.item_id)
    assert listed(rec, [[]]) == set()
    assert (rec.similar_items(gone, 2)[0] == -1).all()
    with pytest.raises(NotFittedError):
        ContentRecommender().remove_items(gone)


def test_they_are_kept_by_partial_fit_and_forgotten_by_fit(rec, news, gone):
    rec.remove_items(gone).partial_fit(news.test)
    assert set(rec.removed_) == set(gone)
    rec.partial_fit(news.test, items=news.items[news.items.item_id == gone[0]])
    assert set(rec.removed_) == set(gone[1:])
    rec.set_params(warm_start=True, max_epochs=1).fit(news.train, Items(news.items).take([0]))
    assert set(rec.removed_) == set(gone[1:])
    rec.set_params(warm_start=False).fit(news.train, news.items)
    assert rec.removed_.tolist() == []
    assert not hasattr(clone(rec.remove_items(gone)), "removed_")


@pytest.mark.parametrize("kind", ["int", "str"])
@pytest.mark.parametrize("n_removed", [0, 2])
def test_saved_and_pickled(make_recommender, tmp_path, kind, n_removed):
    ids = [3, 1, 2, 9] if kind == "int" else list("cabz")
    items = dict(zip(ids, ["red fox", "blue sea", "red sea", "sun"], strict=True))
    rec = make_recommender().fit([ids[:2], ids[1:]], items).remove_items(ids[:n_removed])
    rec.save(tmp_path / "model")
    for again in (skrec.load(tmp_path / "model"), pickle.loads(pickle.dumps(rec))):
        assert again.removed_.tolist() == rec.removed_.tolist() == ids[:n_removed]
        assert again.removed_.dtype == rec.removed_.dtype
        assert listed(again.remove_items(ids[3:]), [[]]) - {None} == set(ids[n_removed:3])


def test_a_changed_folder_is_refused(rec, gone, tmp_path):
    rec.remove_items(gone).save(tmp_path / "model")
    path = tmp_path / "model" / "arrays.safetensors"
    arrays = load_file(path)
    [name] = [name for name in arrays if "removed_" in name]
    save_file(arrays | {name: np.array([10**9])}, path)
    about = json.loads((tmp_path / "model" / CONTENTS).read_text())
    about["files"]["arrays.safetensors"] = sha256(path)
    about["checksum"] = _own_digest(about)
    (tmp_path / "model" / CONTENTS).write_text(json.dumps(about))
    with pytest.raises(ValueError, match="removed_ has ids that are missing from the catalogue"):
        skrec.load(tmp_path / "model")


def test_readers_see_the_catalogue_before_or_after(rec, news, gone):
    rows = [news.items[news.items.item_id == each] for each in gone]
    errors, found = [], []

    def read():
        try:
            for _ in range(20):
                found.append(frozenset(gone) - listed(rec, [[]]))
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    for row in rows * 3:
        rec.remove_items(gone)
        rec.add_items(row)
    for thread in readers:
        thread.join()
    assert not errors
    possible = {frozenset(gone) - {each} for each in gone} | {frozenset(), frozenset(gone)}
    assert set(found) <= possible
