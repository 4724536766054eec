"""Saved baselines answer as before, and a changed folder is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer

import skrec
from skrec import content
from skrec._common.files import sha256
from skrec._saving.folder import CONTENTS, _own_digest
from skrec.baselines import EASE, ContentKNN, ItemKNN, Popularity

HISTORIES = [[], [0], [1, 2, 3]]


@pytest.fixture
def items():
    titles = ["red shoe", "blue shoe", "red hat", "green coat", "blue coat"]
    return pd.DataFrame({"item_id": range(5), "title": titles})


@pytest.fixture
def train():
    return [[0, 1, 2], [1, 2], [3, 4], [0, 2]]


MODELS = [
    Popularity(),
    ItemKNN(decay=0.5),
    EASE(2.0),
    ContentKNN(),
    ContentKNN(TfidfVectorizer(), columns=None, decay=0.5),
    ContentKNN(content.Features(TfidfVectorizer())),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: repr(model))
def test_a_loaded_baseline_is_the_saved_one(model, items, train, tmp_path):
    model.fit(train, items)
    assert model.save(tmp_path / "model") is model
    loaded = skrec.load(tmp_path / "model")
    assert type(loaded) is type(model) and repr(loaded) == repr(model)
    np.testing.assert_array_equal(
        loaded.decision_function(HISTORIES), model.decision_function(HISTORIES)
    )
    new = pd.DataFrame({"item_id": [9], "title": ["red coat"]})
    np.testing.assert_allclose(
        loaded.decision_function(HISTORIES, items=new),
        model.decision_function(HISTORIES, items=new),
        atol=1e-6,
    )
    assert loaded.fit(train, items).score(train) == model.score(train)
    assert type(model).__name__ in (tmp_path / "model" / "README.md").read_text()


def test_a_language_model_is_saved_by_name_or_whole(news, tiny_bert, tmp_path):
    operator = content.LanguageModel(str(tiny_bert), trainable_layers=0, pooling="mean")
    model = ContentKNN(operator).fit(news.train, news.items)
    model.save(tmp_path / "model")
    loaded = skrec.load(tmp_path / "model")
    X = news.test["history"].tolist()
    np.testing.assert_allclose(loaded.decision_function(X), model.decision_function(X), atol=1e-6)
    assert not list((tmp_path / "model").glob("base*"))
    model.save(tmp_path / "whole", include_base=True)
    assert list((tmp_path / "whole").glob("base*"))


def test_a_window_in_time_is_saved(items, tmp_path):
    X = pd.DataFrame({"history": [[0], [1]], "time": pd.to_datetime(["2026-01-01", "2026-01-09"])})
    model = Popularity(pd.Timedelta(2, "D")).fit(X, items)
    model.save(tmp_path / "model")
    loaded = skrec.load(tmp_path / "model")
    assert loaded.window == pd.Timedelta(2, "D")
    assert loaded.fit(X, items).popularity_.tolist() == model.popularity_.tolist()


def test_subclasses_are_refused(items, train, tmp_path):
    class Mine(Popularity):
        pass

    with pytest.raises(TypeError, match="save can hold a Popularity, not its subclass Mine"):
        Mine().fit(train, items).save(tmp_path / "model")


def test_another_folder_is_left_alone(items, train, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not a saved recommender"):
        Popularity().fit(train, items).save(tmp_path)


def test_trained_recommenders_and_baselines_replace_each_other(fitted, items, train, tmp_path):
    fitted.save(tmp_path / "model")
    Popularity().fit(train, items).save(tmp_path / "model")
    assert isinstance(skrec.load(tmp_path / "model"), Popularity)
    fitted.save(tmp_path / "model")
    assert isinstance(skrec.load(tmp_path / "model"), skrec.ContentRecommender)


def rewrite(folder, change_state=None, change_arrays=None, change_about=None):
    """Change a saved folder as an attacker would, with the right checksums."""
    state = json.loads((folder / "recommender.json").read_text())
    if change_state:
        change_state(state)
    (folder / "recommender.json").write_text(json.dumps(state))
    arrays = load_file(folder / "arrays.safetensors")
    if change_arrays:
        change_arrays(arrays)
        save_file(arrays, folder / "arrays.safetensors")
    about = json.loads((folder / CONTENTS).read_text())
    if change_about:
        change_about(about)
    about["files"] = {name: sha256(folder / name) for name in about["files"]}
    about["checksum"] = _own_digest(about)
    (folder / CONTENTS).write_text(json.dumps(about))


def changing(name, function):
    return lambda arrays: arrays.update({name: np.ascontiguousarray(function(arrays[name]))})


def setting(name, value):
    return lambda each: each.update({name: value})


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"change_about": setting("class", "Sequential")}, "unknown class 'Sequential'"),
        ({"change_about": setting("class", ["ItemKNN"])}, "unknown class"),
        ({"change_about": setting("class", "Popularity")}, "Popularity has no attribute"),
        ({"change_state": setting("k", 0)}, "k must be a positive int"),
        ({"change_state": setting("decay", 2)}, "decay must be a number in"),
        ({"change_state": setting("scoring", "acc")}, "unknown metric"),
        ({"change_state": setting("_vectors", 1)}, "has no attribute _vectors"),
        ({"change_state": setting("popularity_", None)}, "popularity_ must be one finite number"),
        ({"change_state": setting("calibration_", 1)}, "calibration_ must be two finite numbers"),
        ({"change_state": setting("classes_", 1)}, r"classes_ must be \[0, 1\]"),
        ({"change_state": setting("items_", 1)}, "items_ must be a catalogue"),
        ({"change_state": lambda state: state.pop("similarities_")}, "similarities_ is missing"),
        ({"change_state": setting("similarities_", 3)}, "similarities_ must be a finite csr"),
        (
            {"change_state": lambda state: state["similarities_"].update(shape=[5, 4])},
            "sparse matrix is damaged",
        ),
        (
            {"change_state": lambda state: state["similarities_"].update(shape=[5, 50])},
            "similarities_ must be a finite csr",
        ),
        (
            {
                "change_arrays": lambda a: a.update(
                    {"similarities_.data": a["similarities_.data"] * np.nan}
                )
            },
            "similarities_ must be a finite csr",
        ),
        (
            {
                "change_arrays": lambda a: a.update(
                    {"similarities_.indices": a["similarities_.indices"] + 99}
                )
            },
            "sparse matrix is damaged",
        ),
        (
            {
                "change_arrays": lambda a: a.update(
                    {"similarities_.indptr": a["similarities_.indptr"][::-1].copy()}
                )
            },
            "sparse matrix is damaged",
        ),
    ],
)
def test_changed_folders_are_refused(items, train, tmp_path, changes, match):
    ItemKNN(shrinkage=0.5).fit(train, items).save(tmp_path / "model")
    rewrite(tmp_path / "model", **changes)
    with pytest.raises(ValueError, match=match):
        skrec.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"change_state": setting("columns_", 3)}, "columns_ must be roles"),
        ({"change_state": setting("vectorizer_", 3)}, "vectorizer_ must be a transformer"),
        ({"change_state": lambda s: s["columns_"].update(keys=["a"])}, "can't read the catalogue"),
    ],
)
def test_changed_vectorizers_are_refused(items, train, tmp_path, changes, match):
    ContentKNN().fit(train, items).save(tmp_path / "model")
    rewrite(tmp_path / "model", **changes)
    with pytest.raises(ValueError, match=match):
        skrec.load(tmp_path / "model")
