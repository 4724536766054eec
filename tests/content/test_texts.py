"""Batches of texts, and texts of which only the beginning is read."""

import subprocess
import sys
from random import Random

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from skrec import Items, content
from skrec.content import _texts
from skrec.content._columns.word_pieces import (
    UNKNOWN,
    encode_texts,
    load_fast_tokenizer,
    train_word_pieces,
)
from skrec.content._columns.words import WordTokenizer
from skrec.content._texts import BATCH_CHARACTERS, ColumnTexts, in_batches

MILLION = 10**6


def long_texts():
    random = Random(0)
    words = [f"w{i}" for i in range(300)]
    texts = [" ".join(random.choices(words, k=n)) for n in (3, 300, 3000, 30000)]
    # a long word gives few tokens, and many spaces give none
    odd = ["x" * 9000 + " w1", " " * 9000 + "w2 w3", "w1 " + "\n" * 9000 + "w2", "w1\tw2" * 3000]
    return [*texts, *odd, "วันนี้อากาศดีมาก" * 900, "今天天气很好" * 900, "w1,w2." * 3000, ""]


def test_batches_are_bounded_and_complete():
    texts = ["a" * 1000] * 3000 + ["b" * (2 * BATCH_CHARACTERS)] + ["c"] * 40000
    batches = list(in_batches(texts))
    assert [text for batch in batches for text in batch] == texts
    assert all(len(batch) == 1 or sum(map(len, batch)) <= BATCH_CHARACTERS for batch in batches)
    assert max(map(len, batches)) <= _texts.BATCH_TEXTS
    assert list(in_batches([])) == []


@pytest.mark.parametrize("max_length", [1, 5, 40, 10**9])
def test_long_texts_are_read_as_if_they_were_not_cut(max_length):
    texts = long_texts()
    pieces = train_word_pieces([text[:20000] for text in texts], 1000)
    words = WordTokenizer([f"w{i}" for i in range(0, 300, 2)] + [",", "天"])
    for tokenizer in (pieces, words):
        offsets, ids = encode_texts(tokenizer, texts, max_length)
        for i, text in enumerate(texts):
            if tokenizer is pieces:
                whole = tokenizer.encode(text, add_special_tokens=False).ids
            else:
                whole = tokenizer.encode([text])[1].tolist()
            assert ids[offsets[i] : offsets[i + 1]].tolist() == whole[:max_length]


def test_only_the_beginning_of_a_long_text_is_read():
    read = []

    class Counting:
        normalizer = None

        def encode_batch_fast(self, texts, **options):
            read.extend(map(len, texts))
            return tokenizer.encode_batch_fast(texts, **options)

    tokenizer = train_word_pieces(["one two"], 100)
    encode_texts(Counting(), ["one two " * 100_000] * 3, 30)
    assert sum(read) < 3000


@pytest.mark.parametrize(
    "text", ["word " * 200_000, "a\0b " * 250_000, "ก" * MILLION, "x" * MILLION, "é1" * 500_000]
)
def test_a_text_of_a_million_characters_has_a_vector(text):
    items = Items({"item_id": [1, 2], "title": [text, "a word"]})
    operator = content.MeanPooling(max_length=8).fit(items)
    column = operator.prepare(items).columns["title"]
    assert 1 <= column.offsets[1] <= 8


def test_null_characters_are_no_part_of_a_word():
    tokenizer = train_word_pieces(["red fox"], 100)
    assert UNKNOWN not in tokenizer.encode("r\0ed\0 fox").tokens


# Failures


@pytest.fixture
def panicking(tmp_path):
    """Save a tokenizer that panics on every text."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0, UNKNOWN: 1}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.FixedLength(0)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return str(tmp_path / "tokenizer.json")


def test_a_panic_of_the_tokenizer_is_an_error_that_names_column_and_row(panicking):
    items = Items({"item_id": [1, 2], "title": ["", "a"]})
    operator = content.MeanPooling(tokenizer=panicking).fit(items)
    with pytest.raises(ValueError, match=r"column 'title', row \d: the tokenizer failed on '"):
        operator.prepare(items)


def test_a_tokenizer_without_its_unknown_token_is_an_error_that_names_column_and_row(tmp_path):
    Tokenizer(models.WordLevel({"a": 0}, unk_token="?")).save(str(tmp_path / "words.json"))
    items = Items({"item_id": [1, 2, 3], "title": ["a", "a", "b"]})
    operator = content.MeanPooling(tokenizer=str(tmp_path / "words.json")).fit(items)
    with pytest.raises(ValueError, match="column 'title', row 2: the tokenizer failed on 'b'"):
        operator.prepare(items)


def test_a_file_that_makes_the_tokenizers_library_panic_is_refused(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    normalizer = '{"type":"Precompiled","precompiled_charsmap":""}'
    saved = tokenizer.to_str().replace('"normalizer":null', f'"normalizer":{normalizer}')
    (tmp_path / "bad.json").write_text(saved)
    with pytest.raises(ValueError, match="no tokenizer could be loaded from"):
        load_fast_tokenizer(str(tmp_path / "bad.json"))


@pytest.mark.parametrize("make", [lambda: train_word_pieces(["red"], 9), lambda: WordTokenizer([])])
def test_lone_surrogates_are_an_error_that_names_column_and_row(make):
    with pytest.raises(ValueError, match=r"column 'a', row 1: .*'bad \\ud83d'; it has lone surrog"):
        encode_texts(make(), ["good", "bad \ud83d"], 8, "column 'a'")


def test_text_that_is_not_utf8_is_an_error_that_names_column_and_row():
    column = pa.array([b"good"] * 300 + [b"\xff"], pa.binary()).view(pa.string())
    with pytest.raises(ValueError, match="column 'a', row 300: not UTF-8"):
        list(ColumnTexts({"a": column}))


def test_what_the_user_stops_is_stopped():
    class Stopping:
        normalizer = None

        def encode_batch_fast(self, texts, **options):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_texts(Stopping(), ["a"], 8)


@pytest.mark.slow
def test_memory_of_long_texts_is_that_of_what_is_read():
    code = """
import random, resource, sys
from skrec import Items, content
random.seed(0)
words = [f"word{i}" for i in range(3000)]
texts = [" ".join(random.choices(words, k=int(sys.argv[1]))) for _ in range(1500)]
items = Items({"item_id": range(1500), "title": texts})
operator = content.MeanPooling().fit(items)
operator.prepare(items)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    short, long = (
        int(subprocess.run([sys.executable, "-c", code, n], capture_output=True, check=True).stdout)
        for n in ("30", "3000")
    )
    assert long - short < 5 * 1500 * 3000 * 9 / 2**20
