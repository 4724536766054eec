"""Modules and token embeddings that are trained next to adapters, as peft defines them."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from peft import LoraConfig, PeftModel, get_peft_model
from sklearn.base import clone
from tiny_models import TOKENS, hidden, tiny_model, tiny_tokenizer, train
from transformers import AutoModel

from skrec import ContentRecommender, load
from skrec._training.optimizers import parameter_groups
from skrec.content import LanguageModel
from skrec.content._lm import add_adapters, layer_list, split_top, whole_model

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated")

NORMS = {"BERT": ["output.LayerNorm"], "Llama": ["layernorm", "norm"], "GPT-2": ["ln_1", "ln_f"]}
ROWS = [3, 9, 77]
WAYS = {
    "whole": ({}, LoraConfig(r=2, modules_to_save=["LayerNorm"], trainable_token_indices=ROWS)),
    "tokens": ({}, LoraConfig(r=2, trainable_token_indices=ROWS)),
    "split": ({"trainable_layers": 1}, LoraConfig(r=2, modules_to_save=["LayerNorm"])),
}


def trained_top(name, n_frozen, **settings):
    """Return a model, its trained top with adapters, and their configuration."""
    model = tiny_model(name, dtype=torch.float64)
    top = split_top(model, n_frozen)
    lora = LoraConfig(r=2, modules_to_save=NORMS[name], **settings)
    config = add_adapters(top.model, layer_list(top.model)[1][n_frozen or 0 :], lora)
    train(top.model)
    return model, top.eval(), config


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("n_frozen", [None, 1])
def test_a_whole_model_has_all_trained_weights(name, n_frozen, tmp_path):
    rows = {} if n_frozen else {"trainable_token_indices": ROWS}
    model, top, config = trained_top(name, n_frozen, **rows)
    with torch.no_grad():
        if n_frozen:
            states = model(input_ids=TOKENS, output_hidden_states=True).hidden_states[n_frozen]
            expected = top(states, torch.ones_like(TOKENS, dtype=torch.bool))
        else:
            expected = hidden(top.model)
    merged = whole_model(copy.deepcopy(model), top.model, config, merge_lora=True)
    assert merged.state_dict().keys() == model.state_dict().keys()
    torch.testing.assert_close(hidden(merged), expected, rtol=0, atol=1e-10)
    unmerged = whole_model(copy.deepcopy(model), top.model, config, merge_lora=False)
    torch.testing.assert_close(hidden(unmerged), expected, rtol=0, atol=1e-10)
    unmerged.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(copy.deepcopy(model), tmp_path).eval()
    torch.testing.assert_close(hidden(again), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NORMS)
def test_the_same_weights_are_trained_as_by_peft(name):
    model, top, config = trained_top(name, None, trainable_token_indices=ROWS)
    targets = {each.rsplit(".", 1)[1] for each in config.target_modules}
    lora = LoraConfig(
        r=2,
        target_modules=targets,
        modules_to_save=NORMS[name],
        trainable_token_indices=config.trainable_token_indices,
        fan_in_fan_out=name == "GPT-2",
    )
    twin = get_peft_model(model, lora)
    expected = {
        n.removeprefix("base_model.model.").replace(".modules_to_save.default", "")
        for n, p in twin.named_parameters()
        if p.requires_grad
    }
    assert {n for n, p in top.model.named_parameters() if p.requires_grad} == expected


@pytest.fixture(scope="module")
def titles(news):
    return news.items[["item_id", "title"]]


@pytest.fixture
def make(tiny_bert):
    """Return a function that creates a small recommender with a language model."""

    def make(model=tiny_bert, **parameters):
        return ContentRecommender(
            content=LanguageModel(model, **({"max_length": 16} | parameters)),
            behavior="mean_pooling",
            width=8,
            max_epochs=1,
            batch_size=128,
            learning_rate=1e-2,
            early_stopping=False,
            random_state=0,
        )

    return make


def scores(rec, X):
    return np.concatenate(list(rec.decision_function(X)))


@pytest.mark.parametrize("way", WAYS)
def test_trained_saved_loaded_pickled_cloned_and_merged(
    way, make, news, titles, tmp_path, tiny_bert
):
    parameters, lora = WAYS[way]
    rec = make(lora=lora, **parameters).fit(news.train, titles)
    expected = scores(rec, news.test)
    rec.save(tmp_path / "rec")
    loaded = load(tmp_path / "rec")
    for again in (loaded, pickle.loads(pickle.dumps(rec)), copy.deepcopy(rec)):
        assert_array_equal(scores(again, news.test), expected)
        assert again.content.lora == lora
    assert_array_equal(scores(clone(rec).fit(news.train, titles), news.test), expected)
    assert_array_equal(
        scores(loaded.partial_fit(news.train), news.test),
        scores(rec.partial_fit(news.train), news.test),
    )
    before = AutoModel.from_pretrained(tiny_bert).state_dict()
    after = rec.content_.language_model(merge_lora=True).state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    norms = {key for key in before if "LayerNorm" in key}
    if way == "split":
        norms = {key for key in norms if "layer.2" in key}
    assert {key for key in changed if "LayerNorm" in key} == (norms if way != "tokens" else set())
    table = "embeddings.word_embeddings.weight"
    assert (table in changed) == (way != "split")
    rows = (before[table] != after[table]).any(dim=1).nonzero().squeeze(1)
    assert set(rows.tolist()) <= set(ROWS)
    assert isinstance(rec.content_.language_model(), PeftModel)


def test_modules_that_are_trained_as_a_whole_have_no_adapters(make, news, titles):
    lora = LoraConfig(r=2, modules_to_save=["query"])
    rec = make(lora=lora).fit(news.train.head(40), titles)
    model = rec.network_.content.top.model
    trained = {n.split("self.")[1] for n, p in model.named_parameters() if p.requires_grad}
    adapters = {f"value.lora_{each}.default.weight" for each in "AB"}
    assert trained == {"query.weight", "query.bias"} | adapters


def test_embeddings_of_new_tokens_are_trained(make, news, titles):
    """A token is added to the tokenizer, and a row to the model, before both are given."""
    tokenizer, model = tiny_tokenizer(list(titles["title"])), tiny_model("BERT", 2)
    tokenizer.add_tokens(["[NEW]"])
    model.resize_token_embeddings(max(len(tokenizer), 401))
    new = tokenizer.convert_tokens_to_ids("[NEW]")
    lora = LoraConfig(r=2, trainable_token_indices=[new])
    rec = make(model, tokenizer=tokenizer, template="[NEW] {title}", lora=lora)
    rec.fit(news.train, titles)
    table = rec.content_.language_model(merge_lora=True).get_input_embeddings().weight
    changed = (table != model.get_input_embeddings().weight).any(dim=1)
    assert changed.nonzero().squeeze(1).tolist() == [new]


def test_modules_have_the_learning_rate_of_pretrained_weights(make, news, titles):
    rec = make(lora=WAYS["whole"][1]).fit(news.train, titles)
    plan = {"learning_rate": 0.5, "pretrained_learning_rate": 0.25, "weight_decay": 0.0}
    groups = parameter_groups(rec.network_, SimpleNamespace(**plan))
    rates = {p: group["lr"] for group in groups for p in group["params"]}
    model = rec.network_.content.top.model
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert rates[parameter] == (0.25 if "LayerNorm" in name else 0.5), name


def test_words_are_explained_with_trained_rows(make, news, titles):
    rec = make(lora=WAYS["whole"][1]).fit(news.train, titles)
    found = rec.explain(list(news.test["history"].iloc[0]), int(titles["item_id"].iloc[0]))
    total = found.words["share"].sum() + found.score_without_words
    assert_allclose(total, found.score, rtol=0.05, atol=0.01)


@pytest.mark.parametrize(
    ("parameters", "settings", "match"),
    [
        (
            {"trainable_layers": 2},
            {"trainable_token_indices": [3]},
            "which are frozen with trainable_layers=2; take trainable_layers=None",
        ),
        (
            {"trainable_layers": 1},
            {"modules_to_save": ["word_embeddings"]},
            "names 'word_embeddings', which is frozen; only modules above .* end in ",
        ),
        ({}, {"modules_to_save": ["pooler"]}, "names 'pooler', which this model lacks; only"),
        ({}, {"modules_to_save": ["ery"]}, "which contains .*query', of which adapters or"),
        (
            {},
            {"modules_to_save": ["word_embeddings"], "trainable_token_indices": [3]},
            "which contains 'embeddings.word_embeddings', of which adapters or rows",
        ),
        ({}, {"trainable_token_indices": [400]}, "has 400, but the model knows 400 tokens; call"),
        ({}, {"trainable_token_indices": {"wte": [3]}}, "names the table 'wte', but the token"),
        ({"dtype": "bfloat16"}, {"modules_to_save": ["LayerNorm"]}, "take dtype='float32', got bf"),
        (
            {"dtype": "float16"},
            {"trainable_token_indices": [3]},
            "take dtype='float32', got float16",
        ),
    ],
)
def test_what_is_frozen_or_missing_is_refused(parameters, settings, match, make, news, titles):
    with pytest.raises(ValueError, match=match):
        make(lora=LoraConfig(r=2, **settings), **parameters).fit(news.train, titles)


def test_frozen_embeddings_have_no_trained_rows():
    top = split_top(tiny_model("BERT"), 0)
    with pytest.raises(ValueError, match="frozen in split mode; take trainable_layers=None"):
        add_adapters(top.model, layer_list(top.model)[1], LoraConfig(trainable_token_indices=[1]))
