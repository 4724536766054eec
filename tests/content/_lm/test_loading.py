"""Models from folders, GGUF files and objects. For the hub, see test_hub.py."""

import copy
import json
import logging
import os
import shutil
import sys
import warnings
from pathlib import Path

import pytest
import torch
from huggingface_hub.utils import are_progress_bars_disabled
from tiny_models import ARCHITECTURES, save_tiny, tiny_model, write_gguf
from transformers import (
    BertConfig,
    BertForMaskedLM,
    T5Config,
    T5Model,
    ViTConfig,
    ViTModel,
)
from transformers.utils.logging import is_progress_bar_enabled

from skrec.content._lm import add_adapters, load_base, load_tokenizer, whole_model

TEXTS = ["one two three", "four five"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("saved"), TEXTS, n_layers=1)


@pytest.fixture
def folder(saved, tmp_path):
    """Copy the saved model to a folder that a test may modify."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.fixture
def bert():
    return tiny_model("BERT", n_layers=1)


def edit(folder, name="config.json", **changes):
    """Change settings of a saved configuration; None removes a setting."""
    config = {**json.loads((folder / name).read_text()), **changes}
    config = {name: value for name, value in config.items() if value is not None}
    (folder / name).write_text(json.dumps(config))


@torch.inference_mode()
def output(model):
    ids = torch.arange(5, 11)[None]
    return model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state


def test_folder_gives_the_saved_model(saved, bert):
    base = load_base(saved)
    assert (base.name, base.revision) == (saved, None)
    assert not base.model.training
    assert all(parameter.requires_grad for parameter in base.model.parameters())
    torch.testing.assert_close(output(base.model), output(bert), rtol=0, atol=0)
    assert load_base(Path(saved)).fingerprint == base.fingerprint


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_dtype_is_that_of_all_weights(saved, bert, dtype):
    base, copied = load_base(saved, dtype), load_base(bert, dtype)
    for model in (base.model, copied.model):
        assert {p.dtype for p in model.parameters()} == {getattr(torch, dtype)}
        assert model.dtype == getattr(torch, dtype)
    assert base.fingerprint == copied.fingerprint


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_folder_and_object_are_the_same_model(name, dtype, tmp_path):
    # rotary frequencies would differ if they were rounded to bfloat16
    model = tiny_model(name, n_layers=1)
    model.save_pretrained(tmp_path)
    base, copied = load_base(tmp_path, dtype), load_base(model, dtype)
    assert base.fingerprint == copied.fingerprint
    assert torch.equal(output(base.model), output(copied.model))


def test_model_object_is_copied_and_not_changed(bert):
    before = copy.deepcopy(bert.state_dict())
    bert.train().requires_grad_(False)
    base = load_base(bert, "bfloat16")
    assert base.name == "BertModel"
    base.model.get_input_embeddings().weight.data.zero_()
    assert bert.training and not any(p.requires_grad for p in bert.parameters())
    for name, tensor in bert.state_dict().items():
        assert torch.equal(tensor, before[name]) and tensor.dtype == before[name].dtype


def test_head_of_a_model_is_left_out(tmp_path):
    config = BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    whole = BertForMaskedLM(config)
    base = load_base(whole)
    assert base.name == "BertForMaskedLM"
    assert type(base.model).__name__ == "BertModel"
    whole.save_pretrained(tmp_path)
    state = torch.get_rng_state()
    base_again = load_base(tmp_path)
    assert base.fingerprint == base_again.fingerprint
    # the weights have no pooler; the one that is added is always equal and uses no global seed
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    once_more = load_base(tmp_path)
    for name, tensor in base_again.model.state_dict().items():
        assert torch.equal(tensor, once_more.model.state_dict()[name])


def test_fingerprint_changes_with_one_bit_of_one_weight(bert):
    before = load_base(bert).fingerprint
    weight = bert.encoder.layer[0].output.dense.weight.data
    weight[1, 2] = torch.nextafter(weight[1, 2], torch.tensor(9.0))
    assert load_base(bert).fingerprint != before


def test_fingerprint_changes_where_two_weights_swap_places(bert):
    before = load_base(bert).fingerprint
    attention = bert.encoder.layer[0].attention.self
    attention.query, attention.key = attention.key, attention.query
    assert load_base(bert).fingerprint != before


@pytest.mark.parametrize(
    ("setting", "value"), [("layer_norm_eps", 1e-6), ("hidden_act", "relu"), ("is_decoder", True)]
)
def test_fingerprint_changes_with_what_the_configuration_computes(folder, setting, value):
    before = load_base(folder).fingerprint
    edit(folder, **{setting: value})
    assert load_base(folder).fingerprint != before


def test_fingerprint_changes_with_dtype(saved):
    assert load_base(saved).fingerprint != load_base(saved, "float64").fingerprint


def test_fingerprint_stays_when_saved_again_elsewhere(saved, tmp_path):
    base = load_base(saved)
    base.model.save_pretrained(tmp_path)
    edit(tmp_path, transformers_version="9.9", architectures=["Other"], _name_or_path="there")
    assert load_base(tmp_path).fingerprint == base.fingerprint


def test_fingerprint_ignores_the_pooler(bert):
    # it comes after the last hidden states, and many saved models lack it
    before = load_base(bert).fingerprint
    bert.pooler.dense.weight.data += 1
    assert load_base(bert).fingerprint == before


def test_rounded_frequencies_tell_a_model_from_one_that_was_read(tmp_path):
    # .to(bfloat16) rounds rotary frequencies, from_pretrained does not, so the states differ
    model = tiny_model("Llama", n_layers=1)
    model.save_pretrained(tmp_path)
    read = load_base(tmp_path, "bfloat16").fingerprint
    assert load_base(model.to(torch.bfloat16), "bfloat16").fingerprint != read


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("./nowhere", OSError, r"model='./nowhere' is neither a folder nor a file"),
        (Path("nowhere"), OSError, "model='nowhere' is neither a folder nor a file"),
        ("a/b/c", OSError, "model='a/b/c' is neither a folder nor a file"),
        ("nowhere.gguf", OSError, "model='nowhere.gguf' is neither a folder nor a file"),
        (__file__, ValueError, "is a file of another kind"),
        ("no spaces", ValueError, "nor a valid name on the hub"),
        (7, TypeError, "model must be a name on the hub, .* got int"),
        (None, TypeError, "model must be a name on the hub, .* got NoneType"),
        (torch.nn.Linear(1, 1), TypeError, "got Linear"),
    ],
)
def test_what_is_no_model_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        load_base(given)


def test_dtype_is_checked(saved):
    with pytest.raises(ValueError, match="dtype must be one of 'float32', .* got 'int8'"):
        load_base(saved, "int8")


def test_empty_folder(tmp_path):
    with pytest.raises(OSError, match="has no config.json, so it holds no model"):
        load_base(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(OSError, match="adapters alone; give it as lora, and their"):
        load_base(tmp_path)


def test_broken_config(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json is not valid JSON"):
        load_base(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="must hold a JSON object, got a list"):
        load_base(folder)


def test_missing_weights(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(OSError, match=r"has no weights \(model.safetensors\)"):
        load_base(folder)


def test_pickles_are_not_opened(folder):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(folder / "executed"),))

    (folder / "model.safetensors").unlink()
    torch.save({"weight": Bomb()}, folder / "pytorch_model.bin")
    with pytest.raises(OSError, match="are pickles, .*convert it once"):
        load_base(folder)
    assert not (folder / "executed").exists()


def test_cut_off_weights(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="model=.* can't be read: "):
        load_base(folder)


def test_weights_of_fewer_layers_than_the_configuration_says(folder):
    # transformers would initialize the missing layer at random
    edit(folder, num_hidden_layers=2)
    with pytest.raises(ValueError, match=r"lacks 16 of its trained weights.*encoder.layer.1"):
        load_base(folder)


def test_weights_of_other_shapes(folder):
    edit(folder, intermediate_size=40)
    with pytest.raises(ValueError, match="weights of other shapes than its config.json"):
        load_base(folder)


def test_code_that_comes_with_a_model_is_not_run(folder):
    (folder / "code.py").write_text(f"open({str(folder / 'executed')!r}, 'w')")
    edit(folder, model_type="own", auto_map={"AutoConfig": "code.Config", "AutoModel": "code.M"})
    with pytest.raises(ValueError, match="code of its own.*trust_remote_code=True"):
        load_base(folder)
    assert not (folder / "executed").exists()


def test_code_of_a_known_type_is_not_run(folder):
    (folder / "code.py").write_text(f"open({str(folder / 'executed')!r}, 'w')")
    edit(folder, auto_map={"AutoConfig": "code.Config", "AutoModel": "code.Model"})
    assert type(load_base(folder).model).__name__ == "BertModel"
    assert not (folder / "executed").exists()


def test_trusted_code_is_run(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (folder / "own_code.py").write_text(
        "from transformers import BertConfig, BertModel\n"
        "class Config(BertConfig):\n    model_type = 'own'\n"
        "class Model(BertModel):\n    config_class = Config\n"
    )
    auto_map = {"AutoConfig": "own_code.Config", "AutoModel": "own_code.Model"}
    edit(folder, model_type="own", auto_map=auto_map)
    base = load_base(folder, trust_remote_code=True)
    assert type(base.model).__module__.startswith("transformers_modules.")


def test_unknown_type(folder):
    edit(folder, model_type="from_the_future")
    with pytest.raises(ValueError, match="'from_the_future', which this release"):
        load_base(folder)


def test_quantised_weights_are_refused(folder):
    edit(folder, quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})
    with pytest.raises(ValueError, match="quantised weights, which can't be trained"):
        load_base(folder)


def test_encoder_with_decoder_is_refused_and_its_encoder_taken(tmp_path):
    whole = T5Model(T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2))
    whole.save_pretrained(tmp_path)
    for given in (whole, tmp_path):
        with pytest.raises(ValueError, match=r"give its encoder: model=whole.get_encoder\(\)"):
            load_base(given)
    encoder = load_base(whole.get_encoder())
    assert output(encoder.model).shape == (1, 6, 8)


def test_model_of_images_is_refused(tmp_path):
    vision = ViTModel(
        ViTConfig(
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=8,
            image_size=4,
            patch_size=2,
        )
    )
    with pytest.raises(ValueError, match="'ViTModel' is no model of texts alone"):
        load_base(vision)


def test_adapters_are_refused(bert):
    config = add_adapters(bert, bert.encoder.layer, 2)
    with pytest.raises(ValueError, match="has adapters; merge them"):
        load_base(bert)
    wrapped = whole_model(tiny_model("BERT", n_layers=1), bert, config, merge_lora=False)
    with pytest.raises(TypeError, match="got PeftModel; merge its adapters first"):
        load_base(wrapped)


def test_model_without_weights_in_memory_is_refused():
    with torch.device("meta"):
        model = tiny_model("BERT", n_layers=1)
    with pytest.raises(ValueError, match="has no weights in memory"):
        load_base(model)


def test_loading_says_nothing_and_leaves_settings_alone(folder, capfd):
    # saved with a head, so that transformers would report unused weights
    whole = BertForMaskedLM(BertConfig.from_pretrained(folder))
    whole.save_pretrained(folder)
    capfd.readouterr()
    library = logging.getLogger("transformers")
    level, filters = library.level, list(warnings.filters)
    load_base(folder)
    load_tokenizer(None, folder)
    assert capfd.readouterr() == ("", "")
    assert library.level == level
    assert warnings.filters == filters
    assert is_progress_bar_enabled() and not are_progress_bars_disabled()


@pytest.fixture(scope="module")
def llama_gguf(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path, tiny_model("Llama", n_layers=2))
    return path


def test_gguf_gives_a_plain_model(llama_gguf, tmp_path, capfd):
    base = load_base(llama_gguf)
    assert capfd.readouterr() == ("", "")  # no progress bar
    expected = output(tiny_model("Llama", n_layers=2))
    torch.testing.assert_close(output(base.model), expected, rtol=1e-5, atol=1e-6)
    base.model.save_pretrained(tmp_path)
    again = load_base(tmp_path)
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text())
    assert again.fingerprint == base.fingerprint


def test_gguf_of_the_given_folder_is_read(llama_gguf, tmp_path, monkeypatch):
    # transformers would read a file of this name in the working directory first
    write_gguf(tmp_path / llama_gguf.name, tiny_model("Llama", n_layers=1))
    monkeypatch.chdir(tmp_path)
    assert load_base(llama_gguf).model.config.num_hidden_layers == 2
    assert load_base(llama_gguf.name).model.config.num_hidden_layers == 1


def test_gguf_has_its_tokenizer(llama_gguf):
    tokenizer = load_tokenizer(None, llama_gguf)
    assert tokenizer.convert_ids_to_tokens(tokenizer("abcd")["input_ids"])[-2:] == ["abc", "d"]


def test_gguf_without_the_package(llama_gguf, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ImportError, match="needs the package gguf: pip install gguf"):
        load_base(llama_gguf)


def test_gguf_that_is_cut_off(llama_gguf, tmp_path):
    (tmp_path / "cut.gguf").write_bytes(llama_gguf.read_bytes()[:200])
    with pytest.raises(ValueError, match="cut.gguf' can't be read: "):
        load_base(tmp_path / "cut.gguf")
