"""Operators whose words are the input embeddings of a language model."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from tiny_models import save_tiny, tiny_model, tiny_tokenizer, write_gguf
from transformers import AutoModel, AutoTokenizer

from skrec import ContentRecommender, Items, content
from skrec.content._lm import load_tokenizer
from skrec.utils.estimator_checks import check_content_operator

BOTH = pytest.mark.parametrize("trainable", [False, True])


def scaled(table):
    return table * (0.1 / table.double().square().mean().sqrt().item())


@BOTH
def test_embeddings_are_those_of_the_model(trainable, tiny_bert, items):
    operator = content.MeanPooling(
        ["title"], word_vectors=tiny_bert, tokenizer=tiny_bert, trainable=trainable
    ).fit(items)
    expected = AutoModel.from_pretrained(tiny_bert).get_input_embeddings().weight.detach()
    assert (operator.schema_[0].size, operator.schema_[0].vector_size) == expected.shape
    embed = operator.build(operator.schema_, 4).embeddings["text"]
    torch.testing.assert_close(embed[0].weight.detach(), scaled(expected))
    assert embed[0].weight.requires_grad == trainable
    # the slow twin: each title, encoded by the model's own tokenizer, without special tokens
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    packed = operator.prepare(items).columns["title"]
    for row, title in enumerate(items.column("title").to_pylist()):
        ids = tokenizer(title, add_special_tokens=False)["input_ids"][:32]
        assert packed.values[packed.offsets[row] : packed.offsets[row + 1]].tolist() == ids


@BOTH
@pytest.mark.parametrize("name", ["additive_attention", "gru"])
def test_operators_keep_their_contract(name, trainable, tiny_bert):
    check_content_operator(
        content.ALIASES[name](word_vectors=tiny_bert, tokenizer=tiny_bert, trainable=trainable)
    )


@BOTH
def test_recommender_carries_the_embeddings(trainable, news, tmp_path):
    folder = save_tiny(tmp_path / "model", list(news.items["title"]))
    operator = content.CNN(word_vectors=folder, tokenizer=folder, trainable=trainable)
    rec = ContentRecommender(operator, width=8, max_epochs=2, early_stopping=False, random_state=0)
    rec.fit(news.train, news.items)
    start = scaled(torch.from_numpy(rec.content_.schema_[0].vectors))
    table = rec.network_.content.embeddings["text"][0].weight.detach()
    assert torch.equal(table, start) != trainable
    scores = rec.decision_function(news.test)
    again = clone(rec).fit(news.train, news.items).decision_function(news.test)
    assert all(map(np.array_equal, scores, again))
    rec.save(tmp_path / "saved")
    data = pickle.dumps(rec)
    (tmp_path / "model").rename(tmp_path / "gone")  # the network has the embeddings
    for other in (ContentRecommender.load(tmp_path / "saved"), pickle.loads(data)):
        assert all(map(np.array_equal, scores, other.decision_function(news.test)))
        assert other.content_.schema_ == rec.content_.schema_
        other.partial_fit(news.train)
        table = other.network_.content.embeddings["text"][0].weight.detach()
        assert torch.equal(table, start) != trainable


def test_search_over_models(news, tiny_bert, tmp_path):
    other = save_tiny(tmp_path, list(news.items["title"]), seed=1)
    rec = ContentRecommender(
        content.MeanPooling(word_vectors=tiny_bert, tokenizer=tiny_bert),
        **{"width": 8, "max_epochs": 1, "early_stopping": False, "random_state": 0},
    )
    grid = {"content__word_vectors": [tiny_bert, other], "content__trainable": [True, False]}
    search = GridSearchCV(rec, grid, cv=2, error_score="raise")
    search.fit(news.train, items=Items(news.items))
    assert len(set(search.cv_results_["mean_test_score"])) > 2


def test_gguf_files_have_embeddings_and_a_tokenizer(tmp_path):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, tiny_model("Llama", n_layers=1))
    operator = content.MeanPooling(word_vectors=path, tokenizer=str(path))
    operator.check(8)
    items = Items(["abcd", "hab"])
    operator.fit(items)
    expected = tiny_model("Llama", n_layers=1).get_input_embeddings().weight
    np.testing.assert_array_equal(operator.schema_[0].vectors, expected.detach().numpy())
    tokenizer = load_tokenizer(None, path)
    ids = [
        i for text in ("abcd", "hab") for i in tokenizer(text, add_special_tokens=False).input_ids
    ]
    assert operator.prepare(items).columns["text"].values.tolist() == ids


def test_tokenizer_of_another_model_is_refused(news, tmp_path, tiny_bert):
    large = tiny_tokenizer(list(news.items["title"]))
    large.add_tokens([f"word{i}" for i in range(500)])
    large.save_pretrained(tmp_path)
    operator = content.MeanPooling(word_vectors=tiny_bert, tokenizer=str(tmp_path))
    operator.fit(Items(["word0"]))  # tokens without embeddings may be there, but not be read
    with pytest.raises(ValueError, match="gave the id .*, but word_vectors has the emb"):
        operator.prepare(Items(["word499"]))


def test_model_without_tokenizer_is_refused(tiny_bert):
    message = r"is a language model, .* pass the same path as tokenizer=\.\.\., too"
    for path in (tiny_bert, "some.gguf"):
        with pytest.raises(ValueError, match=message):
            content.CNN(word_vectors=path).check(8)


def test_model_object_is_refused(tiny_bert):
    model = tiny_model("BERT")
    for tokenizer in (None, tiny_bert):
        message = r"got a BertModel; save it with save_pretrained\(folder\), and pass the folder"
        with pytest.raises(ValueError, match=message):
            content.CNN(word_vectors=model, tokenizer=tokenizer).check(8)


def test_missing_model_is_refused(items):
    operator = content.CNN(word_vectors="./nowhere", tokenizer="./nowhere")
    operator.check(8)
    with pytest.raises(ValueError, match="no tokenizer could be loaded from './nowhere'"):
        operator.fit(items)
