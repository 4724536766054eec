"""Texts as whole words, those that have a pretrained vector."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import preview
from skrec._data.ragged import gather_ranges, gather_segments, offsets_of
from skrec.content._columns.word_vectors import read_word_vectors

PIECES = re.compile(r"\w+|[^\w\s]")
FEW = 0.5  # of the words in texts: a smaller part with a vector is worth a warning


class WordTokenizer:
    """Splits texts into words of a vocabulary; code 0 stands for all others.

    What stands between white space is looked up first, so that "U.S." and "state-of-the-art" may
    be words. If it is none, it is cut into runs of letters and digits, and marks. Each is looked
    up as it is written, then in lower case. Marks without a vector are dropped.

    Parameters
    ----------
    words : list of str
        The vocabulary; their codes are 1 and up.
    """

    def __init__(self, words: list[str]):
        self.codes: dict[str, int] = {}
        for code, word in enumerate(words, start=1):
            self.codes.setdefault(word, code)

    def encode(
        self, texts: list[str], max_length: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode texts.

        Parameters
        ----------
        texts : list of str, of length n
        max_length : int, default=None
            Words that are kept of each text; None keeps all.

        Returns
        -------
        offsets : ndarray of int64, shape (n + 1,)
        codes : ndarray of int64, shape (offsets[-1],)
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

    def _codes_of(self, chunk: str) -> list[int]:
        code = self._code(chunk)
        if code:
            return [code]
        pieces = [(piece, self._code(piece)) for piece in PIECES.findall(chunk)]
        return [code for piece, code in pieces if code or re.match(r"\w", piece)]

    def _code(self, word: str) -> int:
        return self.codes.get(word) or self.codes.get(word.lower(), 0)


def _chunks(texts: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Split n texts at white space.

    Returns
    -------
    starts : ndarray of int64, shape (n + 1,)
        Offsets of the texts in `places`.
    places : ndarray of int64
        What stands between white space, as positions in `chunks`.
    chunks : list of str
        The distinct ones.
    """
    # accents may be written in two ways, which look alike; vectors have the composed one
    split = pc.utf8_split_whitespace(
        pc.utf8_normalize(pa.array(texts, pa.large_string()), form="NFC")
    )
    flat = split.flatten()
    real = pc.not_equal(flat, "").to_numpy(zero_copy_only=False)
    starts = offsets_of(real)[split.offsets.to_numpy().astype(np.int64)]
    coded = flat.filter(pa.array(real)).dictionary_encode()
    places = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return starts, places, coded.dictionary.to_pylist()


def spellings(texts: list[str]) -> set[str]:
    """Return all words that `WordTokenizer` may look up in some texts."""
    _, _, chunks = _chunks(texts)
    words = {piece for chunk in chunks for piece in (chunk, *PIECES.findall(chunk))}
    return words | {word.lower() for word in words}


def learn_words(source: Any, texts: list[str], n_first: int) -> tuple[WordTokenizer, np.ndarray]:
    """Read the vectors of the words in some texts, and of the first words of a file.

    Parameters
    ----------
    source : str, Path or pair of these
        What the parameter `word_vectors` takes.
    texts : list of str
        Those of the training catalogue.
    n_first : int
        Words to read from the top of the file, for items to come.

    Returns
    -------
    tokenizer : WordTokenizer
    matrix : ndarray of float32, shape (n, d)
        Row i is the vector of code i + 1.

    Raises
    ------
    ValueError
        Where no word of the texts has a vector, and for a damaged file.

    Warns
    -----
    UserWarning
        Where few words of the texts have a vector.
    """
    words, matrix = read_word_vectors(source, spellings(texts), n_first)
    tokenizer = WordTokenizer(words)
    _, codes = tokenizer.encode(texts)
    n_found = int(np.count_nonzero(codes))
    hint = f"the file begins with {preview(words, 5)}; is it of another language?"
    if len(codes) and not n_found:
        raise ValueError(
            f"none of the {len(codes)} words in the catalogue's texts has a vector in "
            f"word_vectors={source!r}; {hint}"
        )
    if n_found < FEW * len(codes):
        warnings.warn(
            f"only {n_found} of the {len(codes)} words in the catalogue's texts have a vector in "
            f"word_vectors={source!r}; {hint}",
            UserWarning,
            stacklevel=2,
        )
    return tokenizer, matrix
