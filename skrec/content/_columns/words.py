"""Word tokenizer: splits texts into the words that have a pretrained vector."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import preview, warn
from skrec._data.ragged import gather_ranges, gather_segments, offsets_of
from skrec.content._columns.word_vectors import read_word_vectors
from skrec.content._scripts import word_pattern
from skrec.content._texts import in_batches

WORD = re.compile(r"\w")
MIN_COVERAGE = 0.5  # a smaller share of words that have a vector causes a warning


class WordTokenizer:
    """Tokenizer that splits texts into the words of a vocabulary. Code 0 means an unknown word.

    Texts are first split at white space, and each part is looked up as a whole, so that "U.S." and
    "state-of-the-art" can be words. A part that is not found is split into runs of letters and
    digits and into single punctuation marks. Each word is looked up as written, then in lower case.
    Punctuation marks without a vector are dropped.

    Parameters
    ----------
    words : list of str
        The vocabulary. Its words have the codes from 1 up.
    """

    def __init__(self, words: list[str]) -> None:
        self.codes: dict[str, int] = {}
        for code, word in enumerate(words, start=1):
            self.codes.setdefault(word, code)

    def encode(
        self, texts: list[str], max_length: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode texts.

        Parameters
        ----------
        texts : list of str of length n
            Texts to encode.
        max_length : int, default=None
            Maximum number of words kept from each text. None keeps all words.

        Returns
        -------
        offsets : ndarray of int64, shape (n + 1,)
            Text i has the codes from ``offsets[i]`` up to ``offsets[i + 1]``.
        codes : ndarray of int64, shape (offsets[-1],)
            Codes of the words of all texts, concatenated.
        """
        starts, places, chunks = _chunks(texts)
        parts = [self._codes_of(chunk) for chunk in chunks]
        part_offsets = offsets_of(np.fromiter(map(len, parts), np.int64, len(parts)))
        flat = np.fromiter((code for part in parts for code in part), np.int64, part_offsets[-1])
        positions, chunk_offsets = gather_segments(part_offsets, places)
        offsets, codes = chunk_offsets[starts], flat[positions]
        if max_length is None:
            return offsets, codes
        stops = np.minimum(offsets[1:], offsets[:-1] + max_length)
        positions, offsets = gather_ranges(offsets[:-1], stops)
        return offsets, codes[positions]

    def words(self, text: str) -> tuple[list[str], list[int]]:
        """Return the words of a text, as written in the normal form NFC, and their codes."""
        chunks = unicodedata.normalize("NFC", text).split()
        pairs = [pair for chunk in chunks for pair in self._words_of(chunk)]
        return [word for word, _ in pairs], [code for _, code in pairs]

    def _codes_of(self, chunk: str) -> list[int]:
        """Return the codes of one part of a text that has no white space."""
        return [code for _, code in self._words_of(chunk)]

    def _words_of(self, chunk: str) -> list[tuple[str, int]]:
        """Return the words and their codes in one part of a text that has no white space."""
        code = self._code(chunk)
        if code:
            return [(chunk, code)]
        pieces = [(piece, self._code(piece)) for piece in word_pattern().findall(chunk)]
        return [(piece, code) for piece, code in pieces if code or WORD.match(piece)]

    def _code(self, word: str) -> int:
        """Return the code of a word, or 0 if it is unknown."""
        return self.codes.get(word) or self.codes.get(word.lower(), 0)


def _chunks(texts: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Split n texts at white space into chunks.

    Returns
    -------
    starts : ndarray of int64, shape (n + 1,)
        Text i has the chunks from ``places[starts[i]]`` up to ``places[starts[i + 1]]``.
    places : ndarray of int64
        Position of each chunk in `chunks`.
    chunks : list of str
        Distinct chunks.
    """
    # An accented letter can be one character or two, which look alike. Files of vectors use one.
    # Arrow's utf8_normalize gives the two characters for NFC before pyarrow 26.
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    split = pc.utf8_split_whitespace(pa.array(composed, pa.large_string()))
    flat = split.flatten()
    real = pc.not_equal(flat, "").to_numpy(zero_copy_only=False)
    starts = offsets_of(real)[split.offsets.to_numpy().astype(np.int64)]
    coded = flat.filter(pa.array(real)).dictionary_encode()
    places = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return starts, places, coded.dictionary.to_pylist()


def lookup_words(texts: Iterable[str]) -> set[str]:
    """Return all words that `WordTokenizer` may look up when it encodes the texts."""
    words: set[str] = set()
    for batch in in_batches(texts):
        for chunk in _chunks(batch)[2]:
            if chunk not in words:
                words.update((chunk, *word_pattern().findall(chunk)))
    return words | {word.lower() for word in words}


def fit_word_tokenizer(
    source: Any, texts: Iterable[str], n_first: int
) -> tuple[WordTokenizer, np.ndarray]:
    """Create a tokenizer of the words in texts and of the first words in a file of vectors.

    Parameters
    ----------
    source : str, Path or pair of these
        Value of the parameter `word_vectors`.
    texts : iterable of str
        Texts of the training catalogue. They are read twice.
    n_first : int
        Number of words to read from the top of the file, for future items.

    Returns
    -------
    tokenizer : WordTokenizer
        Tokenizer of the words that were read.
    matrix : ndarray of float32, shape (n, d)
        Vectors of these words. Row i is the vector of code i + 1.

    Raises
    ------
    ValueError
        If no word of the texts has a vector, or if a file is damaged.

    Warns
    -----
    UserWarning
        If less than half of the words of the texts have a vector.
    """
    words, matrix = read_word_vectors(source, lookup_words(texts), n_first)
    tokenizer = WordTokenizer(words)
    n_words = n_found = 0
    for batch in in_batches(texts):
        _, codes = tokenizer.encode(batch)
        n_words += len(codes)
        n_found += int(np.count_nonzero(codes))
    hint = f"the file begins with {preview(words, 5)}; is it of another language?"
    if n_words and not n_found:
        raise ValueError(
            f"none of the {n_words} words in the catalogue's texts has a vector in "
            f"word_vectors={source!r}; {hint}"
        )
    if n_found < MIN_COVERAGE * n_words:
        warn(
            f"only {n_found} of the {n_words} words in the catalogue's texts have a vector in "
            f"word_vectors={source!r}; {hint}",
        )
    return tokenizer, matrix
