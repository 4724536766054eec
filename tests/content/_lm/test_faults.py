"""Damaged and malicious models, and loading by several threads at once."""

import json
import logging
import sys
import threading
import warnings

import pytest
import torch
from tiny_models import save_tiny, tiny_model

from skrec.content._lm import load_base


@pytest.fixture
def folder(tmp_path):
    """Save a tiny model in a folder that a test may modify."""
    save_tiny(tmp_path / "model", ["a b c"], n_layers=1)
    return tmp_path / "model"


def edit(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def in_threads(work, n=4):
    threads = [threading.Thread(target=work) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_leave_streams_filters_and_levels_alone(folder, monkeypatch):
    # if threads restored them out of order, the process would never show a warning again
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    logger = logging.getLogger("transformers")
    before = sys.stderr, list(warnings.filters), logger.level
    in_threads(lambda: [load_base(folder) for _ in range(8)])
    now = sys.stderr, list(warnings.filters), logger.level
    level, logger.level = logger.level, before[2]
    warnings.filters[:] = before[1]
    assert now[0] is before[0]
    assert now[1] == before[1]
    assert level == before[2]


def test_weights_named_by_the_configuration_are_not_unpickled(folder):
    torch.save(tiny_model("BERT", n_layers=1, seed=9).state_dict(), folder / "adapter_model.bin")
    edit(folder, transformers_weights="adapter_model.bin")
    with pytest.raises(ValueError, match="names its weights 'adapter_model.bin' in config.json"):
        load_base(folder)


def test_weights_named_by_the_configuration_are_read(folder):
    expected = load_base(folder).model.state_dict()
    (folder / "model.safetensors").rename(folder / "mine.safetensors")
    edit(folder, transformers_weights="mine.safetensors")
    found = load_base(folder).model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_adapters_in_the_folder_of_a_model_are_refused(folder):
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds adapters; merge them"):
        load_base(folder)


def test_missing_shard_is_named(tmp_path):
    tiny_model("BERT").save_pretrained(tmp_path, max_shard_size="20KB")
    shard = sorted(tmp_path.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(OSError, match=f"lacks a file of its weights: .*{shard.name}"):
        load_base(tmp_path)


def test_empty_name_is_refused():
    with pytest.raises(ValueError, match="model must be a folder, .* got ''"):
        load_base("")
