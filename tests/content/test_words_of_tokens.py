"""Tokens are joined to the words that a reader sees."""

import numpy as np
import pytest

from skrec.content._columns.word_pieces import encode_texts, train_word_pieces, words_of_text
from skrec.content._columns.words import WordTokenizer
from skrec.content._words_of_tokens import words_of_tokens

TEXTS = ["The U.S. team's 3-2 win!", "état-major, naïve", "  東京タワー in Tokyo ", "", "don't"]


def places(*pieces):
    """Return the places of pieces in a text, which are given with the text that is between them."""
    text, spans = "", []
    for piece in pieces:
        start = len(text)
        text += piece.strip("_")
        if not piece.startswith("_"):
            spans.append((start, len(text)))
    return text, spans


@pytest.mark.parametrize(
    ("pieces", "words", "word_of_token"),
    [
        (["play", "ing", "_ ", "chess"], ["playing", "chess"], [0, 0, 1]),
        (["it", "'", "s", "_ ", "1", "0"], ["it", "'", "s", "10"], [0, 1, 2, 3, 3]),
        (["U", ".", "S", "."], ["U", ".", "S", "."], [0, 1, 2, 3]),
        ([" a", " bc", "d"], ["a", "bcd"], [0, 1, 1]),  # tokens with the space before them
        (["東", "京", "タワー"], ["東", "京", "タワー"], [0, 1, 2]),
        (["x", "_  "], ["x"], [0]),
        ([], [], []),
    ],
)
def test_words(pieces, words, word_of_token):
    text, spans = places(*pieces)
    found, numbers = words_of_tokens(text, spans)
    assert found == words
    np.testing.assert_array_equal(numbers, word_of_token)


def test_tokens_without_characters_belong_to_the_next_word():
    assert words_of_tokens("ab cd", [(0, 2), (3, 3), (3, 5)])[0] == ["ab", "cd"]
    assert words_of_tokens("", [(0, 0)])[0] == [""]


def test_a_combining_mark_stays_in_its_word():
    word = "नमस्ते"
    assert words_of_tokens(word, [(0, 2), (2, 6)])[0] == [word]


@pytest.mark.parametrize("max_length", [3, 50])
@pytest.mark.parametrize("kind", ["pieces", "words"])
def test_ids_are_those_that_the_network_reads(kind, max_length):
    if kind == "pieces":
        tokenizer = train_word_pieces(TEXTS, 60)
    else:
        tokenizer = WordTokenizer(["the", "U.S.", "team", "win", "3", "don't", "Tokyo", "!"])
    offsets, ids = encode_texts(tokenizer, TEXTS, max_length)
    for text, wanted in zip(TEXTS, np.split(ids, offsets[1:-1]), strict=True):
        found, words, word_of_token = words_of_text(tokenizer, text, max_length)
        assert found == wanted.tolist()
        assert len(word_of_token) == len(found)
        assert word_of_token.tolist() == sorted(word_of_token)
        assert all(word in text for word in words)
        assert len(words) == len(set(word_of_token))
