"""Tokens of a text, joined to words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from skrec.content._scripts import is_unspaced, word_pattern


def words_of_tokens(text: str, places: Iterable[tuple[int, int]]) -> tuple[list[str], np.ndarray]:
    """Join the tokens of a text to words, numbers and punctuation marks.

    In scripts without spaces, each token is a word.

    Parameters
    ----------
    text : str
        The text.
    places : iterable of (int, int)
        First character of each token, and the one after its last. Both are equal for tokens that
        contain no character.

    Returns
    -------
    words : list of str
        The words, in order.
    word_of_token : ndarray of int64, shape (n,)
        Word of each token.
    """
    starts, stops = np.array(
        [found.span() for found in word_pattern().finditer(text)] or [(0, 0)]
    ).T
    spans: list[list[int]] = []
    word_of_token, previous = [], None
    for start, stop in places:
        while start < stop - 1 and text[start].isspace():
            start += 1
        alone = start < stop and is_unspaced(text[start])
        # a token belongs to the word of its first character
        key = -1 if alone else int(np.searchsorted(stops, start, side="right"))
        if alone or key != previous:
            spans.append([start, stop])
        spans[-1][1] = max(spans[-1][1], stop)
        previous = key
        word_of_token.append(len(spans) - 1)
    return [text[a:b] for a, b in spans], np.array(word_of_token, dtype=np.int64)
