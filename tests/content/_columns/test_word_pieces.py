"""Word-piece tokenizers and the encoding of texts."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from skrec import Items, content
from skrec.content._columns.word_pieces import (
    UNKNOWN,
    encode_texts,
    load_fast_tokenizer,
    train_word_pieces,
)

ROOT = Path(__file__).parents[3]
TEXTS = ["The red fox", "red sea, red sun", "foxes and suns", ""]


def pieces(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).tokens


# Training


def awkward_texts():
    """Return words with tied counts in each merge, and more rare letters than are kept."""
    letters = "abcdefghijklmnop"
    words = [f"{a}{b}{c}" for a in letters for b in letters for c in letters if a < b < c]
    rare = [chr(0xA000 + i) for i in range(1100)]
    return words + ["".join(rare[i : i + 3]) for i in range(0, 1100, 3)]


def trained_as_json():
    """Return trained tokenizers as text, which must be equal in every process."""
    return json.dumps(
        [
            [sorted(tokenizer.get_vocab().items()), pieces(tokenizer, "abc fox nop \ua001\ua44a")]
            for tokenizer in (train_word_pieces(awkward_texts(), size) for size in (2050, 2300))
        ]
    )


@pytest.mark.slow
def test_training_is_the_same_in_every_process():
    # the tokenizers library breaks ties in hash order, which differs between processes
    code = f"import runpy, sys; sys.stdout.write(runpy.run_path({__file__!r})['trained_as_json']())"
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == trained_as_json()
    assert trained_as_json() == trained_as_json()


def test_training_words_and_their_parts_are_known():
    tokenizer = train_word_pieces(TEXTS, 1000)
    for text in TEXTS:
        assert UNKNOWN not in pieces(tokenizer, text)
    assert pieces(tokenizer, "red sea") == ["red", "sea"]
    assert "".join(pieces(tokenizer, "foxsun")).replace("##", "") == "foxsun"


def test_ids_are_contiguous_and_unknown_is_the_first():
    # an id above the size of the vocabulary would be out of range of the embedding table
    vocab = train_word_pieces(TEXTS, 1000).get_vocab()
    assert sorted(vocab.values()) == list(range(len(vocab)))
    assert vocab[UNKNOWN] == 0


def test_vocab_size_bounds_the_pieces_but_for_single_characters():
    n_characters = len(Counter("".join(TEXTS).lower().replace(" ", "")))
    for vocab_size in (2, 40):
        size = train_word_pieces(TEXTS, vocab_size).get_vocab_size()
        assert size == max(vocab_size, 2 * n_characters + 1)


def test_case_and_accents_do_not_matter_and_punctuation_is_apart():
    tokenizer = train_word_pieces(TEXTS, 1000)
    assert pieces(tokenizer, "RÉD,SEA") == ["red", ",", "sea"]


def test_texts_without_any_word():
    tokenizer = train_word_pieces(["", "  "], 100)
    assert tokenizer.get_vocab() == {UNKNOWN: 0}
    assert pieces(tokenizer, "new words") == [UNKNOWN, UNKNOWN]


def test_operator_shares_one_vocabulary_among_its_text_columns():
    items = Items({"item_id": [0], "a": ["fox"], "b": ["sea"]})
    tokenizer = content.CNN().fit(items).tokenizer_
    assert pieces(tokenizer, "fox sea") == ["fox", "sea"]


def test_vocab_size_reaches_the_tokenizer():
    items = Items(["abc abd abe abf"])
    small = content.CNN(vocab_size=2).fit(items).schema_[0].size
    assert small < content.CNN().fit(items).schema_[0].size


# Encoding


def test_encoding_is_ragged_and_cut():
    tokenizer = train_word_pieces(TEXTS, 1000)
    ids = tokenizer.get_vocab()
    offsets, values = encode_texts(tokenizer, ["red sea and sun", "", "zzz sea"], 3)
    assert offsets.tolist() == [0, 3, 3, 5]
    wanted = ["red", "sea", "and", UNKNOWN, "sea"]
    assert values.tolist() == [ids[piece] for piece in wanted]
    assert (offsets.dtype, values.dtype) == ("int64", "int64")


def test_encoding_nothing():
    offsets, values = encode_texts(train_word_pieces(TEXTS, 1000), [], 3)
    assert (offsets.tolist(), values.tolist()) == ([0], [])


# Pretrained tokenizers


@pytest.fixture
def word_tokenizer():
    """Return a tokenizer with one id per word and a gap in the ids, as in some published ones."""
    vocab = {"[UNK]": 0, "red": 1, "sea": 2, "[CLS]": 5, "fox": 9}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A", None, [("[CLS]", 5)])
    return tokenizer


@pytest.fixture(params=["file", "folder"])
def saved(request, word_tokenizer, tmp_path):
    """Save a tokenizer that pads and truncates, as those of sentence-transformers do."""
    word_tokenizer.enable_padding(length=6)
    word_tokenizer.enable_truncation(2)
    if request.param == "file":
        word_tokenizer.save(str(tmp_path / "tokenizer.json"))
        return str(tmp_path / "tokenizer.json")
    from transformers import PreTrainedTokenizerFast

    fast = PreTrainedTokenizerFast(tokenizer_object=word_tokenizer, unk_token="[UNK]")
    fast.save_pretrained(tmp_path)
    return str(tmp_path)


def test_pretrained_tokenizer_is_read(saved):
    items = Items(["red red fox", "blue sea"])
    operator = content.MeanPooling(tokenizer=saved, vocab_size=2).fit(items)
    column = operator.prepare(items).columns["text"]
    # no padding, no special tokens, and truncation to `max_length` only
    assert column.values.tolist() == [1, 1, 9, 0, 2]
    assert column.offsets.tolist() == [0, 3, 5]


def test_embedding_reaches_the_greatest_id(saved):
    items = Items(["red fox"])
    operator = content.MeanPooling(tokenizer=saved).fit(items)
    assert operator.schema_[0].size >= 10
    module = operator.build(operator.schema_, 4)
    assert module(operator.prepare(items).take(torch.tensor([0]))).isfinite().all()


def test_home_folder_is_expanded(word_tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    word_tokenizer.save(str(tmp_path / "words.json"))
    assert load_fast_tokenizer("~/words.json").get_vocab()["fox"] == 9


@pytest.mark.parametrize("name", ["no-such-model", "not a name!", "/no/such/folder", ""])
def test_unknown_name_raises(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=f"no tokenizer could be loaded from '{name}'; give a"):
        content.CNN(tokenizer=name).fit(Items(["text"]))


def test_file_that_is_no_tokenizer_raises(tmp_path):
    (tmp_path / "vocab.txt").write_text("{}")
    with pytest.raises(ValueError, match="no tokenizer could be loaded from .*vocab.txt'; give"):
        load_fast_tokenizer(str(tmp_path / "vocab.txt"))


def test_folder_without_a_tokenizer_raises(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="no tokenizer could be loaded from"):
        load_fast_tokenizer(str(tmp_path))


def test_slow_tokenizer_raises(monkeypatch):
    import transformers

    class Slow:
        is_fast = False

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda name: Slow())
    with pytest.raises(ValueError, match="no tokenizer could be loaded") as caught:
        load_fast_tokenizer("slow")
    assert "no fast version" in str(caught.value.__cause__)
