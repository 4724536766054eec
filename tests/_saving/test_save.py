"""Saved recommenders give the same predictions, and only registered classes are loaded."""

import copy
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from tiny_models import save_tiny, tiny_model, tiny_tokenizer

import skrec
from _combinations import (
    SETTINGS,
    TWO_STEPS,
    operators_with_options,
    registered_operators,
    scores_of,
)
from skrec import ContentRecommender, content, predictor

PLAIN = {"content": "mean_pooling", "behavior": "mean_pooling", "predictor": "dot"}


def operators():
    """Return the family and name of each operator to save."""
    made = registered_operators({"model": "", "word_vectors": ""})
    options = operators_with_options({"model": "", "word_vectors": ""})
    return [(family, name) for family in made for name in made[family] | options[family]]


@pytest.fixture
def fit(data, given):
    def fit(family=None, name=None, **parameters):
        chosen = dict(PLAIN)
        if family:
            known = registered_operators(given)[family] | operators_with_options(given)[family]
            chosen[family] = known[name]
        rec = ContentRecommender(**(chosen | SETTINGS | TWO_STEPS | parameters))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about words without a vector
            return rec.fit(data.impressions, data.items)

    return fit


def assert_same_answers(rec, other, data):
    new = data.frame.head(2).assign(item_id=[-1, -2])
    X = data.impressions.assign(candidates=[[-1, 3, -2]] * len(data.impressions), clicked=None)
    X = X.drop(columns="clicked")
    for ask in (
        lambda rec: np.concatenate(rec.decision_function(data.impressions)),
        lambda rec: np.concatenate(rec.predict_proba(data.impressions)),
        lambda rec: np.concatenate(rec.decision_function(X, items=new)),
        lambda rec: rec.recommend(data.impressions, k=3)[0],
        lambda rec: rec.item_vectors(),
    ):
        np.testing.assert_array_equal(ask(rec), ask(other))


@pytest.mark.parametrize(("family", "name"), operators())
def test_every_operator_answers_as_before(family, name, fit, data, tmp_path):
    if name == "Features":
        pytest.importorskip("skops")
    rec = fit(family, name)
    rec.save(tmp_path / "model")
    other = skrec.load(tmp_path / "model", trusted=foreign_types(tmp_path / "model"))
    assert_same_answers(rec, other, data)
    assert repr(other) == repr(rec)
    assert other.items_.roles == rec.items_.roles
    again = clone(other)
    assert repr(again) == repr(rec)
    assert not hasattr(again, "network_")
    # added items don't change other scores, and have the scores of items that are passed
    new = data.frame.head(2).assign(item_id=[-1, -2])
    X = data.impressions.assign(candidates=[[-1, 3, -2, 5]] * len(data.impressions))
    passed, before = scores_of(rec, X, items=new), scores_of(rec, data.impressions)
    np.testing.assert_array_equal(scores_of(other.add_items(new), X), passed)
    np.testing.assert_array_equal(scores_of(other, data.impressions), before)


def foreign_types(folder):
    """Return the types that skops does not trust, all of which the test trusts."""
    found = list(folder.glob("*.skops"))
    if not found:
        return []
    from skops.io import get_untrusted_types

    return get_untrusted_types(file=found[0])


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_number_types_are_kept(fit, data, tmp_path, precision):
    rec = fit(precision=precision)
    other = rec.save(tmp_path / "model").load(tmp_path / "model")
    assert_same_answers(rec, other, data)
    for name, weight in rec.network_.state_dict().items():
        assert other.network_.state_dict()[name].dtype == weight.dtype


def test_fitted_attributes_come_back(fit, tmp_path):
    rec = fit(random_state=np.random.RandomState(3), early_stopping=True, max_epochs=3)
    other = skrec.load(rec.save(tmp_path / "m") and tmp_path / "m")
    assert other.loss_curve_ == rec.loss_curve_
    np.testing.assert_array_equal(other.validation_scores_, rec.validation_scores_)  # NaN included
    np.testing.assert_array_equal(other.classes_, rec.classes_)
    assert other.calibration_ == rec.calibration_
    assert other.random_state.randint(10**6) == rec.random_state.randint(10**6)
    assert type(other.n_epochs_) is int


def test_a_loaded_recommender_can_be_saved_pickled_and_fitted(fit, data, tmp_path):
    rec = fit()
    other = skrec.load(rec.save(tmp_path / "a") and tmp_path / "a")
    third = skrec.load(other.save(tmp_path / "b") and tmp_path / "b")
    assert_same_answers(rec, third, data)
    assert_same_answers(rec, pickle.loads(pickle.dumps(third)), data)
    assert_same_answers(rec, copy.deepcopy(other).fit(data.impressions, data.items), data)


def test_another_process_gives_the_same_answers(fit, data, tmp_path):
    rec = fit()
    rec.save(tmp_path / "model")
    histories = data.impressions.history.tolist()
    code = (
        "import json, sys, torch, skrec; torch.set_num_threads(1);"
        "rec = skrec.load(sys.argv[1]);"
        "print(json.dumps(rec.decision_function(json.loads(sys.argv[2])).tolist()))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model"), json.dumps(histories)]
    answer = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    np.testing.assert_array_equal(
        np.array(json.loads(answer), np.float32), rec.decision_function(histories)
    )


def test_what_the_folder_says(fit, tmp_path):
    rec = fit()
    rec.save(tmp_path / "deep" / "model")
    names = {path.name for path in (tmp_path / "deep" / "model").iterdir()}
    assert names == {
        "README.md",
        "arrays.safetensors",
        "items-1.parquet",
        "recommender.json",
        "skrec.json",
    }
    about = json.loads((tmp_path / "deep" / "model" / "skrec.json").read_text())
    assert about["format"] == 1
    assert set(about["versions"]) == {"skrec", "torch", "scikit-learn", "transformers"}
    text = (tmp_path / "deep" / "model" / "README.md").read_text()
    assert 'rec = skrec.load("model")' in text
    assert "16 items with the columns title, topic, tags, length, vector" in text
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "model"]  # no leftovers


# Language models


def test_a_model_is_saved_by_name_and_refused_when_it_has_changed(fit, data, given, tmp_path):
    folder = Path(save_tiny(tmp_path / "lm", data.frame.title))
    rec = fit(content=content.LanguageModel(str(folder), trainable_layers=1))
    rec.save(tmp_path / "model")
    sizes = {p.name: p.stat().st_size for p in (tmp_path / "model").iterdir()}
    assert not (tmp_path / "model" / "base-1").exists()
    assert_same_answers(rec, skrec.load(tmp_path / "model"), data)
    whole = fit(content=content.LanguageModel(str(folder)))
    whole.save(tmp_path / "whole")
    assert (
        sizes["arrays.safetensors"] < 0.8 * (tmp_path / "whole/arrays.safetensors").stat().st_size
    )
    other = Path(save_tiny(tmp_path / "other", data.frame.title, seed=1))
    folder.rename(tmp_path / "gone")
    other.rename(folder)
    with pytest.raises(ValueError, match="is not the one that this was trained with"):
        skrec.load(tmp_path / "model")


@pytest.mark.parametrize(
    "make",
    [
        lambda model: content.LanguageModel(model, trainable_layers=1, lora=2),
        lambda model: content.WithID(content.SideNetwork(model)),
    ],
)
def test_weights_of_a_model_can_be_saved_too(fit, data, tmp_path, make):
    folder = Path(save_tiny(tmp_path / "lm", data.frame.title))
    rec = fit(content=make(str(folder)))
    rec.save(tmp_path / "model", include_base=True)
    folder.rename(tmp_path / "gone")
    (tmp_path / "model").rename(tmp_path / "moved")
    other = skrec.load(tmp_path / "moved")
    assert_same_answers(rec, other, data)
    other.fit(data.impressions, data.items)  # reads the language model from the folder
    assert_same_answers(rec, other, data)


def test_a_model_object_needs_its_weights_saved(fit, data, tmp_path):
    model = content.LanguageModel(tiny_model("BERT"), tokenizer=tiny_tokenizer(data.frame.title))
    rec = fit(content=model)
    with pytest.raises(ValueError, match=r"content.*\.model was given as an object.*include_base"):
        rec.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
    rec.save(tmp_path / "model", include_base=True)
    assert_same_answers(rec, skrec.load(tmp_path / "model"), data)


def test_code_of_a_model_is_not_run_unasked(fit, data, tmp_path):
    folder = Path(save_tiny(tmp_path / "lm", data.frame.title))
    rec = fit(content=content.LanguageModel(str(folder), trust_remote_code=True))
    rec.save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"runs code .* trusted=\['trust_remote_code'\]"):
        skrec.load(tmp_path / "model")
    skrec.load(tmp_path / "model", trusted=["trust_remote_code"])


# Classes of users


class Scaled(predictor.Dot):
    """A custom predictor."""


def test_operators_of_others_are_loaded_where_they_are_trusted(fit, data, tmp_path):
    rec = fit(predictor=Scaled(0.5))
    rec.save(tmp_path / "model")
    name = f"{Scaled.__module__}.Scaled"
    with pytest.raises(ValueError, match=rf"of the class {name}, .* trusted=\[Scaled\]"):
        skrec.load(tmp_path / "model")
    other = skrec.load(tmp_path / "model", trusted=[Scaled])
    assert type(other.predictor) is type(other.predictor_) is Scaled
    assert_same_answers(rec, other, data)


def test_estimators_of_others_need_trust(fit, data, tmp_path):
    pytest.importorskip("skops")
    rec = fit("content", "Features")
    rec.save(tmp_path / "model")
    asked = foreign_types(tmp_path / "model")
    if asked:
        with pytest.raises(ValueError, match="types that skops does not vouch for"):
            skrec.load(tmp_path / "model")
    assert_same_answers(rec, skrec.load(tmp_path / "model", trusted=asked), data)


def test_without_skops_a_pickle_is_named(fit, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    rec = fit("content", "Features")
    with pytest.raises(ImportError, match="pip install skops. Or pickle the recommender"):
        rec.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


class Mine(ContentRecommender):
    """A subclass of the recommender."""


def test_subclasses_and_strange_values_are_refused(fit, data, tmp_path):
    mine = Mine(**PLAIN, **SETTINGS, **TWO_STEPS).fit(data.impressions, data.items)
    with pytest.raises(TypeError, match="not its subclass Mine; pickle it"):
        mine.save(tmp_path / "model")
    rec = fit()
    rec.strange_ = {"deep": [object()]}
    with pytest.raises(TypeError, match=r"can't hold strange_\.deep\[0\], of type builtins.object"):
        rec.save(tmp_path / "model")
    with pytest.raises(NotFittedError):
        ContentRecommender().save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# Devices


def test_device_may_be_chosen_and_falls_back(fit, data, tmp_path):
    rec = fit(device=torch.device("cpu"))
    rec.save(tmp_path / "model")
    assert skrec.load(tmp_path / "model").device == torch.device("cpu")
    assert skrec.load(tmp_path / "model", device="cpu").device == "cpu"
    if not torch.cuda.is_available():
        rec.device = "cuda"
        rec.save(tmp_path / "model")
        with pytest.warns(UserWarning, match="cuda"):
            other = skrec.load(tmp_path / "model")
        np.testing.assert_array_equal(other.item_vectors(), rec.item_vectors())
