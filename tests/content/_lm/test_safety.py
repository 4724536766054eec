"""Models from elsewhere: no pickle is opened, and no code is fetched."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import save_tiny, tiny_model

from skrec.content._lm import load_base
from skrec.content._lm import safety as _safety

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("saved"), ["one two three"], n_layers=1)


@pytest.fixture
def folder(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.fixture(autouse=True)
def no_pickles(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a pickle was opened")

    monkeypatch.setattr(torch, "load", refuse)


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def split(folder, name, save=save_file):
    """Move the weights to another file, which an index names."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    save(weights, folder / name)
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(weights, name)}
    (folder / INDEX).write_text(json.dumps(index))


def test_an_index_of_safetensors_files_is_read(folder):
    before = load_base(str(folder)).fingerprint
    split(folder, "model-00001-of-00001.safetensors")
    assert load_base(str(folder)).fingerprint == before


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.safetensors.bin"])
def test_an_index_that_names_pickles_is_refused(folder, name):
    split(folder, name, torch.save)
    with pytest.raises(ValueError, match=rf"names its weights '{name}' in {INDEX}; only files in"):
        load_base(str(folder))


def test_an_index_that_leads_out_of_its_folder_is_refused(folder):
    split(folder, "../weights.safetensors")
    with pytest.raises(ValueError, match="names its weights '../weights.safetensors'"):
        load_base(str(folder))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}', "[" * 100_000])
def test_a_damaged_index_is_named(folder, text):
    split(folder, "weights.safetensors")
    (folder / INDEX).write_text(text)
    with pytest.raises(ValueError, match=f"has a damaged {INDEX}"):
        load_base(str(folder))


@pytest.mark.parametrize("name", ["weights.safetensors.bin", "a/b.safetensors", "weights.bin"])
def test_weights_that_the_configuration_names(folder, name):
    (folder / "model.safetensors").rename(folder / "weights.bin")
    edit(folder, transformers_weights=name)
    with pytest.raises(ValueError, match=f"names its weights '{name}' in config.json"):
        load_base(str(folder))


@pytest.mark.parametrize("value", ["someone/kernel", "someone/kernel@main:f", "flash_attention_2"])
def test_code_of_attention_is_not_fetched(folder, value, monkeypatch):
    plain = load_base(str(folder))

    def refuse(*args, **kwargs):
        raise AssertionError("code was fetched")

    monkeypatch.setattr("transformers.modeling_utils.lazy_import_flash_attention", refuse)
    edit(folder, attn_implementation=value)
    base = load_base(str(folder))
    assert base.fingerprint == plain.fingerprint
    assert base.model.config._attn_implementation in ("sdpa", "eager")
    edit(folder, attn_implementation="eager", _attn_implementation=value)
    with pytest.raises(ValueError, match="has _attn_implementation='.*fetch and run code"):
        load_base(str(folder))


@pytest.mark.parametrize(
    "changes",
    [
        {"experts_implementation": "someone/kernel"},
        {"text_config": {"attn_implementation": "someone/kernel"}},
        {"layers": [{"_attn_implementation": {"": "someone/kernel"}}]},
        {"attn_implementation": None, "deep": {"_experts_implementation": "someone/kernel"}},
    ],
)
def test_settings_that_fetch_code_are_refused(folder, changes):
    edit(folder, **changes)
    with pytest.raises(ValueError, match="_implementation=.*someone/kernel.*fetch and run code"):
        load_base(str(folder))


@pytest.mark.parametrize("value", ["eager", "sdpa", None])
def test_plain_attention_may_be_chosen(folder, value):
    edit(folder, attn_implementation=value)
    load_base(str(folder))


def test_code_of_a_known_type_is_not_run(folder):
    (folder / "modeling.py").write_text("raise AssertionError('code was run')")
    edit(folder, auto_map={"AutoModel": "modeling.Model", "AutoConfig": "modeling.Config"})
    load_base(str(folder))


def test_an_unreadable_file_is_a_matter_of_permission(folder, monkeypatch):
    real = Path.open

    def refuse(path, *args, **kwargs):
        if path.name == "model.safetensors":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(_safety.Path, "open", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: .*model.safetensors"):
        load_base(str(folder))


def test_models_in_memory_need_no_files():
    load_base(tiny_model("BERT", n_layers=1))
