"""What a language model reads of a text, for explanations."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURES, tiny_model, tiny_tokenizer

from skrec.content._lm.words import FromEmbeddings, read_tokens

TEXT = "Storm hits the harbour, again"


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer([TEXT])


@pytest.mark.parametrize(
    "name", ["BERT", *(pytest.param(n, marks=pytest.mark.slow) for n in ARCHITECTURES[1:])]
)
def test_a_model_answers_alike_from_ids_and_from_their_embeddings(name, tokenizer):
    model = tiny_model(name, dtype=torch.float64)
    read = read_tokens(model, tokenizer, TEXT, 20, "title", "ids")
    ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    read.given.rows = read.x
    with torch.no_grad():
        wanted = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        found = FromEmbeddings(model, read.given)(torch.arange(ids.shape[1])[None], mask)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


def test_special_tokens_are_no_words(tokenizer):
    read = read_tokens(tiny_model("BERT"), tokenizer, TEXT, 20, "title", "states")
    # the tokenizer splits at white space, so the comma belongs to the word before it
    assert read.words == ["Storm", "hits", "the", "harbour,", "again"]
    assert read.word_of_token.tolist() == [-1, 0, 1, 2, 3, 4, -1]
    assert read.columns == ["title"] * 5 and read.spans == {"states": slice(0, 7)}
    same = (read.x == read.base).all(dim=1)
    assert same.tolist() == [True, *[False] * 5, True]


def test_long_and_empty_texts(tokenizer):
    model = tiny_model("BERT")
    cut = read_tokens(model, tokenizer, TEXT, 4, "title", "ids")
    assert cut.words == ["Storm", "hits"] and len(cut.x) == 4
    empty = read_tokens(model, tokenizer, "", 4, "title", "ids")
    assert empty.words == [] and torch.equal(empty.x, empty.base)


def test_padding_says_nothing_unless_its_embedding_is_zero(tokenizer):
    model = tiny_model("BERT")
    table = model.get_input_embeddings().weight.detach()
    assert not table[tokenizer.pad_token_id].any()  # as initialized by transformers
    read = read_tokens(model, tokenizer, TEXT, 20, "title", "ids")
    torch.testing.assert_close(read.base[1], table.mean(dim=0))
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer.pad_token_id] = 0.5
    read = read_tokens(model, tokenizer, TEXT, 20, "title", "ids")
    assert (read.base[1:-1] == 0.5).all()


def test_tokens_of_slow_tokenizers_are_words(tokenizer):
    def encode(texts, **options):
        options.pop("return_offsets_mapping", None)
        return tokenizer(texts, **options)

    slow = SimpleNamespace(
        is_fast=False,
        all_special_ids=tokenizer.all_special_ids,
        pad_token_id=tokenizer.pad_token_id,
        convert_ids_to_tokens=tokenizer.convert_ids_to_tokens,
        num_special_tokens_to_add=tokenizer.num_special_tokens_to_add,
    )

    class Slow:
        def __call__(self, *args, **kwargs):
            return encode(*args, **kwargs)

        def __getattr__(self, name):
            return getattr(slow, name)

    read = read_tokens(tiny_model("BERT"), Slow(), TEXT, 20, "title", "ids")
    assert read.words == ["storm", "hits", "the", "harbour,", "again"]
    np.testing.assert_array_equal(read.word_of_token, [-1, 0, 1, 2, 3, 4, -1])
