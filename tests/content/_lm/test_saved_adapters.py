"""Training starts from adapters that peft saved in a folder."""

import copy
import json
import pickle
import shutil
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from tiny_models import hidden, tiny_model, train
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
)

from skrec import ContentRecommender, load
from skrec.content import LanguageModel
from skrec.content._lm import add_adapters, layer_list
from skrec.content._lm.saved_adapters import fitted_to, read_adapters, start_at

pytestmark = [
    # peft's functions, which these tests call
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated"),
    pytest.mark.filterwarnings("ignore:.*LoRA tensor.*invalid shape"),
]

KINDS = {
    "plain": {"target_modules": ["query", "value"]},
    "all linear": {"target_modules": "all-linear"},
    "DoRA": {"target_modules": ["query"], "use_dora": True},
    "biases": {"target_modules": ["query"], "lora_bias": True},
    "patterns": {
        "target_modules": ["query", "key"],
        "rank_pattern": {"query": 3},
        "alpha_pattern": {"key": 5},
        "use_rslora": True,
    },
    "one layer": {"target_modules": ["query"], "layers_to_transform": [2]},
    "modules and tokens": {
        "target_modules": ["query"],
        "modules_to_save": ["LayerNorm"],
        "trainable_token_indices": [3, 9],
    },
}


def save_adapters(model, folder, **settings):
    """Adapt a model with peft, change the adapters and save them."""
    lora = LoraConfig(r=2, lora_alpha=4, **({"target_modules": ["query", "value"]} | settings))
    adapted = train(get_peft_model(model, lora), 0.1).eval()
    adapted.save_pretrained(folder)
    return adapted


@pytest.fixture(scope="module")
def adapters(tiny_bert, tmp_path_factory):
    """Save adapters of the tiny model."""
    folder = tmp_path_factory.mktemp("adapters")
    save_adapters(AutoModel.from_pretrained(tiny_bert), folder)
    return str(folder)


@pytest.fixture
def copied(adapters, tmp_path):
    return shutil.copytree(adapters, tmp_path / "copied")


@pytest.fixture(scope="module")
def titles(news):
    return news.items[["item_id", "title"]]


@pytest.fixture
def make(tiny_bert):
    """Return a function that creates a small recommender with a language model."""

    def make(lora, model=tiny_bert, learning_rate=1e-2, **parameters):
        return ContentRecommender(
            content=LanguageModel(model, lora=lora, **({"max_length": 16} | parameters)),
            behavior="mean_pooling",
            width=8,
            max_epochs=1,
            batch_size=128,
            learning_rate=learning_rate,
            early_stopping=False,
            random_state=0,
        )

    return make


def scores(rec, X):
    return np.concatenate(list(rec.decision_function(X)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_with_adapters_is_the_one_that_was_saved(kind, tmp_path):
    model = tiny_model("BERT", dtype=torch.float64)
    expected = hidden(save_adapters(model, tmp_path, **KINDS[kind]))
    own = tiny_model("BERT", dtype=torch.float64)
    saved = fitted_to(read_adapters(tmp_path), own, "BERT", None)
    own.pooler = None
    add_adapters(own, layer_list(own)[1], saved.config)
    assert not torch.allclose(hidden(own), expected)
    start_at(own, saved)
    torch.testing.assert_close(hidden(own), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["classifier", "decoder"])
def test_adapters_of_models_with_a_head_are_read_without_it(kind, tiny_bert, tmp_path):
    if kind == "classifier":
        whole = AutoModelForSequenceClassification.from_pretrained(tiny_bert)
        settings = {"task_type": "SEQ_CLS", "target_modules": "all-linear"}
    else:
        sizes = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 48}
        config = LlamaConfig(num_hidden_layers=2, num_attention_heads=4, **sizes)
        whole = LlamaForCausalLM(config).eval()
        tokens = {"model.embed_tokens": [3]}
        settings = {"target_modules": ["q_proj"], "trainable_token_indices": tokens}
    own = copy.deepcopy(whole.base_model)
    adapted = save_adapters(whole, tmp_path, **settings)
    expected = hidden(adapted.base_model.model.base_model)
    saved = fitted_to(read_adapters(tmp_path), own, "model", None)
    own.pooler = None
    add_adapters(own, layer_list(own)[1], saved.config)
    start_at(own, saved)
    torch.testing.assert_close(hidden(own), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", [{}, {"trainable_layers": 3}], ids=str)
def test_training_starts_from_the_adapters(way, adapters, tiny_bert, make, news, titles):
    """With a learning rate of almost 0, the model is the one that peft loads."""
    rec = make(adapters, learning_rate=1e-12, **way).fit(news.train, titles)
    found = rec.content_.language_model()
    assert isinstance(found, PeftModel)
    expected = PeftModel.from_pretrained(AutoModel.from_pretrained(tiny_bert), adapters)
    torch.testing.assert_close(hidden(found), hidden(expected.eval()), rtol=0, atol=1e-5)
    # adapters are trained further
    rec = make(adapters, learning_rate=1e-1, **way).fit(news.train, titles)
    assert not torch.allclose(hidden(rec.content_.language_model()), hidden(expected), atol=1e-3)


@pytest.mark.parametrize("way", [{}, {"trainable_layers": 3}], ids=str)
def test_saved_loaded_and_trained_on_without_the_folder(way, copied, make, news, titles, tmp_path):
    rec = make(str(copied), **way).fit(news.train, titles)
    assert_array_equal(
        scores(clone(rec).fit(news.train, titles), news.test), scores(rec, news.test)
    )
    expected = scores(rec, news.test)
    rec.save(tmp_path / "rec")
    pickled = pickle.dumps(rec)
    shutil.rmtree(copied)
    loaded = load(tmp_path / "rec")
    for again in (loaded, pickle.loads(pickled)):
        assert_array_equal(scores(again, news.test), expected)
        merged = again.content_.language_model(merge_lora=True)
        wanted = rec.content_.language_model(merge_lora=True)
        assert_allclose(hidden(merged), hidden(wanted), atol=1e-6)
    assert_array_equal(
        scores(loaded.partial_fit(news.train), news.test),
        scores(rec.partial_fit(news.train), news.test),
    )
    with pytest.raises(FileNotFoundError, match="is no folder; give the folder that peft saved"):
        loaded.fit(news.train, titles)


def test_adapters_of_upper_layers_are_read_in_split_mode(tiny_bert, make, news, titles, tmp_path):
    model = AutoModel.from_pretrained(tiny_bert)
    save_adapters(model, tmp_path, layers_to_transform=[2])
    rec = make(tmp_path, trainable_layers=1, learning_rate=1e-12).fit(news.train, titles)
    assert {name.split(".")[2] for name in rec.content_.lora_.target_modules} == {"2"}
    expected = PeftModel.from_pretrained(AutoModel.from_pretrained(tiny_bert), tmp_path).eval()
    torch.testing.assert_close(
        hidden(rec.content_.language_model()), hidden(expected), rtol=0, atol=1e-5
    )


def test_frozen_layers_with_adapters_are_refused(adapters, make, news, titles):
    match = "has adapters in frozen layers, such as 'encoder.layer.0.* only the top 1 layers"
    with pytest.raises(ValueError, match=match):
        make(adapters, trainable_layers=1).fit(news.train, titles)


def test_adapters_of_another_model_are_refused(make, news, titles, tmp_path):
    save_adapters(tiny_model("Llama"), tmp_path / "llama", target_modules=["q_proj"])
    match = (
        "was trained on .*, does not belong to model='.*': it adapts 'layers.0.self_attn.q_proj'"
    )
    edit(tmp_path / "llama", base_model_name_or_path="org/llama")
    with pytest.raises(ValueError, match=match):
        make(tmp_path / "llama").fit(news.train, titles)
    import transformers

    config = transformers.BertConfig(hidden_size=16, num_attention_heads=2, num_hidden_layers=3)
    save_adapters(transformers.BertModel(config), tmp_path / "small")
    with pytest.raises(
        ValueError, match=r"does not belong to .* has the shape \(2, 16\), and .*32"
    ):
        make(tmp_path / "small").fit(news.train, titles)


def test_a_base_model_with_another_name_is_named(copied, tiny_bert, make, news, titles):
    edit(copied, base_model_name_or_path="org/another-bert")
    with pytest.warns(UserWarning, match="was trained on 'org/another-bert', and the model is '"):
        make(copied).fit(news.train.head(20), titles)
    edit(copied, base_model_name_or_path=f"somewhere/{tiny_bert.rsplit('/', 1)[1]}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(copied).fit(news.train.head(20), titles)


def edit(folder, **settings):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def to_pickle(folder):
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()


def drop_weight(folder):
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    save_file(dict(list(weights.items())[1:]), path)


@pytest.mark.parametrize(
    ("damage", "error", "match"),
    [
        (shutil.rmtree, FileNotFoundError, "is no folder; give the folder that peft saved"),
        (lambda f: (f / "adapter_config.json").unlink(), FileNotFoundError, "no adapter_config"),
        (
            lambda f: (f / "adapter_model.safetensors").unlink(),
            FileNotFoundError,
            r"has no adapter_model.safetensors$",
        ),
        (to_pickle, FileNotFoundError, "is a pickle, which can run any code and is not opened"),
        (lambda f: (f / "adapter_config.json").write_text("{"), ValueError, "is not valid JSON"),
        (lambda f: (f / "adapter_config.json").write_text("[]"), ValueError, "of the type 'LORA'"),
        (
            lambda f: (f / "adapter_config.json").write_text(" " * (1 << 21)),
            ValueError,
            "has more than 1,048,576 bytes",
        ),
        (lambda f: IA3Config().save_pretrained(f), ValueError, "of the type 'LORA', got 'IA3'"),
        (lambda f: edit(f, new_way=1), ValueError, "the setting 'new_way', which this release"),
        (lambda f: edit(f, bias="all"), ValueError, "can't be trained here: lora.bias must be"),
        (lambda f: edit(f, r="a"), ValueError, "can't be trained here: lora.r|can't be trained"),
        (lambda f: edit(f, r=10**9), ValueError, "has rank 1000000000, but the largest adapter"),
        (lambda f: edit(f, rank_pattern={"query": 10**9}), ValueError, "has rank 1000000000, but"),
        (lambda f: edit(f, alpha_pattern={"q": "x"}), ValueError, "are no numbers"),
        (lambda f: edit(f, r=1), ValueError, "weights that its adapter_config.json does not"),
        (lambda f: edit(f, use_dora=True), ValueError, "weights that its adapter_config.json does"),
        (drop_weight, ValueError, "weights that its adapter_config.json does not describe"),
        (
            lambda f: (f / "adapter_model.safetensors").write_bytes(b"x" * 99),
            ValueError,
            "adapter_model.safetensors can't be read",
        ),
    ],
)
def test_damaged_and_malicious_folders_are_refused(
    damage, error, match, copied, make, news, titles
):
    damage(copied)
    with pytest.raises(error, match=match):
        make(copied).fit(news.train.head(20), titles)
