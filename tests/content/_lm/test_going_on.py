"""Language models after `fit`: what was trained, training that goes on, and models that move."""

import copy
import pickle
import shutil

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from peft import LoraConfig
from tiny_models import save_tiny, tiny_model, tiny_tokenizer
from transformers import AutoModel

from skrec import ContentRecommender, Items, content, load
from skrec.content import LanguageModel


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
            max_epochs=2,
            batch_size=128,
            learning_rate=1e-2,
            pretrained_learning_rate=1e-3,
            random_state=0,
        )

    return make


def scores(rec, X):
    return np.concatenate(list(rec.decision_function(X)))


@pytest.mark.parametrize("way", [{}, {"trainable_layers": 1}, {"trainable_layers": 3}], ids=str)
def test_short_weights_are_trained_in_float32(way, make, news, titles):
    """A small step on a bfloat16 weight near 1, as those of norms are, would be rounded away."""
    rec = make(dtype="bfloat16", **way).set_params(
        pretrained_learning_rate=1e-5, early_stopping=False, max_epochs=1
    )
    rec.fit(news.train, titles)
    top = rec.network_.content.top
    trained = {name: p for name, p in top.model.named_parameters() if p.requires_grad}
    assert {p.dtype for p in trained.values()} == {torch.float32}
    before = AutoModel.from_pretrained(rec.content.model, dtype=torch.bfloat16).state_dict()
    norms = [name for name in trained if "LayerNorm.weight" in name]
    changed = [(trained[name] != before[name].float()).float().mean() for name in norms]
    assert norms and min(changed) > 0.9


@pytest.mark.parametrize(
    "lora", [None, LoraConfig(r=2, target_modules=["query"], rank_pattern={"query": 3})], ids=type
)
def test_training_goes_on_after_load(lora, make, news, titles, tmp_path):
    """Tokenizers and configurations are other objects then, with the same content."""
    tokenizer = tiny_tokenizer(list(titles["title"]))
    rec = make(trainable_layers=1, tokenizer=tokenizer, lora=lora).fit(news.train, titles)
    rec.save(tmp_path / "rec")
    again = load(tmp_path / "rec")
    assert again.content.lora == lora
    rec.partial_fit(news.train)
    assert_array_equal(scores(again.partial_fit(news.train), news.test), scores(rec, news.test))
    other = tiny_tokenizer(["of another text"])
    again.set_params(content__tokenizer=other, content__max_length=8)
    wanted = r"content\.max_length=8, was 16; content\.tokenizer="
    with pytest.raises(ValueError, match=wanted) as raised:
        again.partial_fit(news.train)
    assert "content.template" not in str(raised.value) and len(str(raised.value)) < 700


def test_a_model_object_is_compared_by_its_weights(make, news, titles):
    model = tiny_model("BERT", 2)
    tokenizer = tiny_tokenizer(list(titles["title"]))
    rec = make(model=model, tokenizer=tokenizer, trainable_layers=1).fit(news.train, titles)
    rec.set_params(content__model=copy.deepcopy(model)).partial_fit(news.train)
    rec.set_params(content__model=tiny_model("BERT", 2, seed=1))
    with pytest.raises(ValueError, match=r"content\.model=another BertModel, was another"):
        rec.partial_fit(news.train)


def test_a_base_model_that_has_moved(tiny_bert, make, news, titles, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(tiny_bert, old)
    rec = make(model=str(old), trainable_layers=1).fit(news.train, titles)
    rec.save(tmp_path / "rec")
    pickled, expected = pickle.dumps(rec), scores(rec, news.test)
    old.rename(new)
    with pytest.raises((OSError, ValueError), match="old"):
        load(tmp_path / "rec")
    again = load(tmp_path / "rec", base=new)
    assert_array_equal(scores(again, news.test), expected)
    assert again.content_.model == again.content.model == new
    with content.base_at({str(old): new}):
        unpickled = pickle.loads(pickled)
    assert_array_equal(scores(unpickled, news.test), expected)
    save_tiny(tmp_path / "other", list(titles["title"]), seed=1)
    with pytest.raises(ValueError, match="not the one that this was trained with"):
        load(tmp_path / "rec", base=tmp_path / "other")


def test_a_model_in_a_subfolder(tiny_bert, make, news, titles, tmp_path):
    shutil.copytree(tiny_bert, tmp_path / "all" / "bert")
    way = {"trainable_layers": 1}
    rec = make(model=str(tmp_path / "all"), subfolder="bert", **way).fit(news.train, titles)
    expected = scores(make(**way).fit(news.train, titles), news.test)
    assert_array_equal(scores(rec, news.test), expected)
    for include_base in (False, True):
        rec.save(tmp_path / "rec", include_base=include_base)
        assert_array_equal(scores(load(tmp_path / "rec"), news.test), expected)
    with pytest.raises(FileNotFoundError, match="has no subfolder 'roberta'"):
        make(model=str(tmp_path / "all"), subfolder="roberta").fit(news.train, titles)


def test_models_that_were_saved_before_states_had_length_1_give_the_same_answers(
    news, titles, make, tmp_path
):
    rec = make(trainable_layers=0).fit(news.train, titles)
    assert rec.network_.content.unit
    del rec.content_.unit_
    rec.network_.content.unit = False
    columns = rec.content_.prepare(Items(titles)).take(torch.arange(len(titles)))
    with torch.no_grad():
        expected = rec.network_.content(columns)
    rec.save(tmp_path / "old")
    old = load(tmp_path / "old")
    assert not old.network_.content.unit
    assert_allclose(old.item_vectors(), expected, rtol=1e-4, atol=1e-5)
