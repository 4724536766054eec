"""Saved folders that are damaged, foreign or incomplete; processes that die while saving."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from signed import sign

import skrec
from skrec._saving import folder as _folder


@pytest.fixture
def folder(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    return tmp_path / "model"


def rewrite(folder, change):
    """Change recommender.json and all checksums, as an attacker would."""
    path = folder / "recommender.json"
    state = json.loads(path.read_text())
    change(state)
    path.write_text(json.dumps(state))
    sign(folder)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder '.*none'"):
        skrec.load(tmp_path / "none")


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="is not a saved recommender: it has no skrec.json"):
        skrec.load(tmp_path)


@pytest.mark.parametrize(
    "name", ["arrays.safetensors", "items-1.parquet", "recommender.json", "README.md"]
)
def test_every_file_is_needed_as_it_was(folder, name):
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(ValueError, match=f"{name}' is damaged, or was changed after it was saved"):
        skrec.load(folder)
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(ValueError, match=f"{name}' is damaged"):
        skrec.load(folder)
    path.rename(folder / "renamed")
    with pytest.raises(ValueError, match=f"lacks the file {name}"):
        skrec.load(folder)


def test_a_file_that_does_not_belong_there_is_never_opened(folder, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    (folder / "recommender.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="holds a file that was not saved with it: recommender"):
        skrec.load(folder)
    sign(folder)  # an attacker can also change the checksums
    skrec.load(folder)
    (folder / "arrays.safetensors").write_bytes(pickle.dumps(Bomb()))
    sign(folder)
    with pytest.raises(ValueError, match="does not hold what save writes|safetensors"):
        skrec.load(folder)
    (folder / "items-1.parquet").write_bytes(pickle.dumps(Bomb()))
    sign(folder)
    with pytest.raises(ValueError):
        skrec.load(folder)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"files": 3}', '{"a": ' * 100_000])
def test_contents_that_are_no_json(folder, text):
    (folder / "skrec.json").write_text(text)
    with pytest.raises(ValueError, match=r"skrec.json' (is damaged|was changed)"):
        skrec.load(folder)


def test_contents_that_were_edited(folder):
    path = folder / "skrec.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 0'))
    with pytest.raises(ValueError, match="skrec.json' was changed after it was saved"):
        skrec.load(folder)


def test_a_newer_format_names_both_versions(folder):
    sign(folder, format=2, versions={"skrec": "9.1"})
    with pytest.raises(ValueError, match=r"format 2 and was saved by skrec 9.1; this is skrec 0"):
        skrec.load(folder)


def test_other_versions_of_other_packages_are_fine(folder):
    sign(folder, versions={"skrec": "0.0.1", "torch": "1.0", "scikit-learn": "0.1"})
    skrec.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("network_"), "does not hold what save writes"),
        (lambda state: state.pop("content_"), "does not hold what save writes"),
        (lambda state: state["content_"].update({"class": "os.system"}), "class os.system, which"),
        (lambda state: state["content_"].update({"class": "builtins.eval"}), "not skrec's own"),
        (lambda state: state["content_"].update({"!": "code"}), "of the unknown kind 'code'"),
        (lambda state: state["items_"].update(file="/etc/passwd"), "outside of the folder"),
        (lambda state: state["items_"].update(file="../model/x"), "outside of the folder"),
        (lambda state: state["items_"].update(file=".."), "outside of the folder"),
        (lambda state: state["network_"]["keys"].pop(), "does not hold what save|argument"),
        (lambda state: state.update(network_={"!": "dict", "keys": [], "values": []}), "does not"),
        (lambda state: state["classes_"].update(name="nothing"), "lacks 'nothing'"),
    ],
)
def test_signed_nonsense_is_refused(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(ValueError, match=message):
        skrec.load(folder)


NUMBERS = {"!": "tuple", "values": [1.0, {"!": "float", "value": "nan"}]}
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_history", -5),
        ("max_history", 0),
        ("width", "8"),
        ("batch_size", 1.5),
        ("unknown_items", "nonsense"),
        ("scoring", "nonsense"),
        ("random_state", "seed"),
        ("device", "toaster"),
        ("device", "meta"),
        ("memory", 3),
        ("content", "nonsense"),
        ("content", None),
        ("behavior_", None),
        ("side_", 3),
        ("items_", []),
        ("users_", []),
        ("classes_", [0, 2]),
        ("n_epochs_", -1),
        ("n_skipped_", 1.5),
        ("loss_curve_", ["low"]),
        ("validation_scores_", 3),
        ("best_score_", "best"),
        ("calibration_", NUMBERS),
        ("network_", 3),
        ("_training_state", {"!": "dict", "keys": ["rng"], "values": [1]}),
        ("predict_proba", 1),
        ("_cache", 3),
        ("_encoded_items", 3),
    ],
)
def test_what_fit_refuses_is_refused_and_named(folder, key, value):
    rewrite(folder, lambda state: state.update({key: value}))
    with pytest.raises(ValueError, match=rf"\b{key}\b"):
        skrec.load(folder)


@pytest.mark.parametrize("part", ["predictor", "predictor_"])
def test_operators_are_checked_too(folder, part):
    def set_temperature(state):
        state["predictor"] = json.loads(json.dumps(state["predictor_"]))
        state[part]["state"]["temperature"] = -1.0

    rewrite(folder, set_temperature)
    with pytest.raises(ValueError, match=f"{part}: temperature must be"):
        skrec.load(folder)


@pytest.mark.parametrize(
    ("part", "name"), [("content_", "build"), ("behavior_", "check"), ("content_", "_resources")]
)
def test_methods_of_operators_are_not_replaced(folder, part, name):
    rewrite(folder, lambda state: state[part]["state"].update({name: 1}))
    with pytest.raises(ValueError, match=f"the attribute {name}, which it lacks"):
        skrec.load(folder)


@pytest.mark.parametrize("name", ["tokenizer_", "vocabularies_", "schema_"])
def test_fitted_parts_of_operators_are_checked_too(folder, name):
    rewrite(folder, lambda state: state["content_"]["state"].update({name: 3}))
    with pytest.raises(ValueError, match="can't read the catalogue|what save writes"):
        skrec.load(folder)


def test_an_operator_of_another_family_is_refused(folder):
    rewrite(folder, lambda state: state.update(behavior_=state["predictor_"]))
    with pytest.raises(ValueError, match="behavior_ must be a BehaviorOperator, got Dot"):
        skrec.load(folder)


def test_sizes_beyond_the_weights_cost_no_memory(folder):
    # 10**12 words would need more memory than there is
    def enlarge(state):
        schema = state["content_"]["state"]["schema_"]
        while "state" not in schema:
            schema = (schema.get("values") or schema["keys"])[0]
        schema["state"]["size"] = 10**12

    rewrite(folder, enlarge)
    with pytest.raises(ValueError, match="size mismatch|can't be built"):
        skrec.load(folder)


def test_deep_and_large_files_are_refused(folder, monkeypatch):
    path = folder / "recommender.json"
    state = path.read_text()
    path.write_text(state.replace('"loss": null', f'"loss": {DEEP}'))
    sign(folder)
    with pytest.raises(ValueError, match="recommender.json' is damaged|what save writes"):
        skrec.load(folder)
    monkeypatch.setattr(_folder, "MAX_JSON", 1000)
    with pytest.raises(ValueError, match="bytes, more than 1,000"):
        skrec.load(folder)


def edit_arrays(folder, change):
    path = folder / "arrays.safetensors"
    arrays = safetensors.numpy.load_file(path)
    name = next(name for name in sorted(arrays) if name.startswith("network_.content"))
    arrays[name] = change(arrays[name])
    safetensors.numpy.save_file(arrays, path)
    sign(folder)
    return name


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(folder, value):
    name = edit_arrays(folder, lambda array: np.full_like(array, value))
    with pytest.raises(ValueError, match=f"{re.escape(name)} has values that are not finite"):
        skrec.load(folder)


def test_weights_of_another_type_are_refused(folder):
    name = edit_arrays(folder, lambda array: array.astype(np.float16))
    with pytest.raises(ValueError, match=rf"{re.escape(name)} must have values of torch.float32"):
        skrec.load(folder)


def test_weights_that_are_not_finite_are_not_saved(folder):
    rec = skrec.load(folder)
    rec.network_.empty_history.data[0] = np.nan
    with pytest.raises(ValueError, match="network_.empty_history has values that are not finite"):
        rec.save(folder)
    rec = skrec.load(folder)
    rec.max_history = 0
    with pytest.raises(ValueError, match="max_history must be"):
        rec.save(folder)
    rec = skrec.load(folder)
    rec.note = "mine"
    with pytest.raises(ValueError, match="has no attribute note"):
        rec.save(folder)
    skrec.load(folder)


def test_a_parameter_that_an_older_version_lacked_has_its_default(folder):
    def forget(state):
        del state["verbose"]
        del state["predictor_"]["state"]["temperature"]

    rewrite(folder, forget)
    rec = skrec.load(folder)
    assert rec.verbose == 0
    assert rec.predictor_.temperature == 1.0


@pytest.mark.parametrize("name", ["arrays.safetensors", "skrec.json", "pipe"])
def test_pipes_do_not_hang(folder, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(ValueError, match="neither a file nor a folder|has no skrec.json"):
        skrec.load(folder)


@pytest.mark.parametrize(
    "trusted", [["trust_remote_cod"], [3], [None], [os.system], ["a b.c"], [""]], ids=str
)
def test_entries_of_trusted_have_a_meaning(folder, trusted):
    with pytest.raises(ValueError, match="trusted must be a list of classes, dotted names"):
        skrec.load(folder, trusted=trusted)


def test_trusted_is_a_list(folder):
    with pytest.raises(TypeError, match=r"trusted must be a list, .*\['trust_remote_code'\]"):
        skrec.load(folder, trusted="trust_remote_code")


def test_a_class_that_is_no_operator_is_not_built_as_one(folder):
    rewrite(folder, lambda state: state["behavior_"].update({"class": "subprocess.Popen"}))
    with pytest.raises(ValueError, match="of the class subprocess.Popen"):
        skrec.load(folder, trusted=[subprocess.Popen])


def test_weights_of_another_shape_are_refused(folder):
    path = folder / "arrays.safetensors"
    arrays = safetensors.numpy.load_file(path)
    name = next(name for name in arrays if name.startswith("network_.content"))
    arrays[name] = arrays[name][:-1]
    safetensors.numpy.save_file(arrays, path)
    sign(folder)
    with pytest.raises(ValueError, match="size mismatch"):
        skrec.load(folder)


def test_links_are_not_followed(folder, tmp_path):
    (folder / "arrays.safetensors").rename(tmp_path / "elsewhere")
    (folder / "arrays.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="is a link, which may lead anywhere"):
        skrec.load(folder)


# Existing folders


def test_only_a_saved_recommender_is_replaced(fitted, folder, tmp_path):
    (folder / "items-9.parquet").write_text("left by somebody")
    fitted.save(folder)
    assert not (folder / "items-9.parquet").exists()
    skrec.load(folder)
    (tmp_path / "thesis").mkdir()
    fitted.save(tmp_path / "thesis")  # an empty folder is replaced
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    for path in (tmp_path / "other", tmp_path / "other" / "thesis.tex"):
        with pytest.raises(FileExistsError, match="is not a saved recommender, so it is left alo"):
            fitted.save(path)
    assert (tmp_path / "other" / "thesis.tex").read_text() == "years of work"


def answers(rec):
    return rec.recommend([[]], k=5)[1]


DYING = """
import os, resource, signal, sys
from pathlib import Path
import skrec

rec = skrec.load(sys.argv[1])
rec.max_history = 7
how, step = sys.argv[2], int(sys.argv[3])
if how == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (step, step))
calls = 0

def die(function):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

if how == "killed":
    for name in ("write_text", "rename", "chmod"):
        setattr(Path, name, die(getattr(Path, name)))
rec.save(sys.argv[1])
"""


def run_dying(folder, how, step):
    command = [sys.executable, "-c", DYING, str(folder), how, str(step)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("step", range(1, 8))
def test_a_killed_save_leaves_the_old_or_the_new_one(fitted, folder, step):
    done = run_dying(folder, "killed", step)
    killed = done.returncode == -signal.SIGKILL
    assert killed or done.returncode == 0, done.stderr
    rec = skrec.load(folder)
    assert rec.max_history in ((50,) if killed and step < 6 else (50, 7))
    np.testing.assert_array_equal(answers(rec), answers(fitted))
    fitted.save(folder)  # removes what the process left
    assert skrec.load(folder).max_history == 50


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 3000, 30_000])
def test_a_full_disk_leaves_the_old_one(fitted, folder, size, tmp_path):
    done = run_dying(folder, "full", size)
    assert done.returncode == 1
    assert "File too large" in done.stderr or "large" in done.stderr
    assert list(tmp_path.iterdir()) == [folder]
    assert skrec.load(folder).max_history == 50
