"""Tokens are joined to the words that a reader sees."""

import numpy as np
import pytest

from skrec.content._columns.words_of_tokens import words_of_tokens


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
