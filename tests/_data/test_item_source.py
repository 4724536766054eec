"""Catalogues that are pickled as the path and hash of their files."""

import copy
import os
import pickle
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from joblib import Parallel, delayed

from skrec import Items
from skrec._data import item_source
from skrec._data.items import are_equal


def frame(n=2000):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "item_id": [f"item {i}" for i in range(n)],
            "title": [" ".join(rng.choice(["sun", "sea", "fox"], 6)) for _ in range(n)],
            "topic": pd.Categorical(rng.choice(["a", "b"], n)),
            "tags": [["x", "y"][: i % 3] for i in range(n)],
            "price": rng.random(n),
            "vector": list(rng.random((n, 3)).astype(np.float32)),
        }
    )


@pytest.fixture(params=["file", "folder", "list", "memory"])
def made(request, tmp_path):
    """Return a catalogue with files, the same one without, and its first file."""
    data, whole = frame(), Items(frame())
    if request.param == "memory":
        items = Items(data, memory=tmp_path / "memory")
        return items, whole, next((tmp_path / "memory" / "items").iterdir())
    folder = tmp_path / "parts"
    folder.mkdir()
    paths = [folder / f"{number}.parquet" for number in range(2)]
    data.iloc[:500].to_parquet(paths[0])
    data.iloc[500:].to_parquet(paths[1])
    if request.param == "file":
        data.to_parquet(paths[0])
        return Items(paths[0]), whole, paths[0]
    return Items(folder if request.param == "folder" else paths), whole, paths[0]


def test_a_pickle_is_a_path_and_a_hash(made):
    items, whole, _ = made
    pickled = pickle.dumps(items)
    assert len(pickled) < 1500
    assert len(pickle.dumps(whole)) > 100_000
    again = pickle.loads(pickled)
    assert are_equal(again, whole)
    assert again.roles == whole.roles and again.id == whole.id
    assert len(pickle.dumps(again)) < 1500
    # the tasks of one worker share it
    assert pickle.loads(pickled) is again


def test_a_changed_file_is_refused(made):
    items, _, path = made
    pickled = pickle.dumps(items)
    with open(path, "r+b") as file:
        file.seek(200)
        file.write(b"?")
    os.utime(path, ns=(0, 0))
    with pytest.raises(ValueError, match="which has changed since; restore the file"):
        pickle.loads(pickled)


def test_a_missing_file_is_named(made):
    items, whole, path = made
    pickled = pickle.dumps(items)
    shutil.rmtree(path.parent)
    with pytest.raises(FileNotFoundError, match=f"in '{path}'.*which does not exist here"):
        pickle.loads(pickled)
    # without its files, the catalogue itself is pickled
    assert are_equal(pickle.loads(pickle.dumps(items)), whole)


def test_a_file_that_has_changed_since_it_was_read_is_not_referred_to(tmp_path):
    path = tmp_path / "items.parquet"
    frame(5).to_parquet(path)
    items = Items(path)
    frame(7).to_parquet(path)
    assert pickle.loads(pickle.dumps(items)).n_items == 5


def test_roles_and_the_id_column_are_kept(tmp_path):
    path = tmp_path / "items.parquet"
    data = frame(5).rename(columns={"item_id": "sku"})
    data.to_parquet(path)
    roles = {"title": "category"}
    for items in (
        Items(path, id="sku", roles=roles),
        Items(data, id="sku", roles=roles, memory=tmp_path),
    ):
        again = pickle.loads(pickle.dumps(items))
        assert again.id == "sku" and again.roles["title"] == "category"
        assert are_equal(again, items)


def test_equal_catalogues_share_a_file(tmp_path):
    for _ in range(2):
        Items(frame(5), memory=tmp_path)
    Items(frame(6), memory=str(tmp_path))
    assert len(list((tmp_path / "items").iterdir())) == 2


def test_the_memory_is_mapped(tmp_path):
    before = pa.total_allocated_bytes()
    items = Items(frame(), memory=tmp_path)
    assert pa.total_allocated_bytes() - before < 1000
    assert items.take([1]).column("title").to_pylist() == [frame().title[1]]


def test_other_catalogues_made_of_it_are_pickled_whole(tmp_path):
    items = Items(frame(9), memory=tmp_path)
    longer = items.extend(frame(10))
    taken = items.take([3, 1])
    shutil.rmtree(tmp_path / "items")
    assert pickle.loads(pickle.dumps(longer)).n_items == 10
    assert pickle.loads(pickle.dumps(taken)).ids.tolist() == ["item 3", "item 1"]
    assert copy.deepcopy(items) is copy.copy(items) is items


def test_a_fitted_recommender_is_pickled_with_its_items(make_recommender, news, tmp_path):
    items = Items(news.items, memory=tmp_path)
    rec = make_recommender(max_epochs=1).fit(news.train, items)
    pickled = pickle.dumps(rec)
    shutil.rmtree(tmp_path / "items")
    assert are_equal(pickle.loads(pickled).items_, items)


@pytest.mark.parametrize(
    ("memory", "error", "message"),
    [
        (3, TypeError, "memory must be the path of a folder, a str or a Path, got 3"),
        (__file__, ValueError, "memory must be the path of a folder, got the file"),
    ],
)
def test_memory_must_be_a_folder(memory, error, message):
    with pytest.raises(error, match=message):
        Items(frame(3), memory=memory)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(item_source.pa.ipc, "new_file", fail)
    with pytest.raises(OSError, match="No space left"):
        Items(frame(3), memory=tmp_path)
    assert not list((tmp_path / "items").iterdir())


def seen(items):
    return os.getpid(), id(items)


@pytest.mark.slow
def test_workers_read_a_catalogue_once(tmp_path):
    items = Items(frame(), memory=tmp_path)
    found = Parallel(n_jobs=2)(delayed(seen)(items) for _ in range(24))
    pids = {pid for pid, _ in found}
    assert os.getpid() not in pids
    assert len(set(found)) == len(pids)
