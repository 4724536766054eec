"""Readers of pretrained word vectors: text files of word2vec and GloVe, and ``.npy`` matrices."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

WORDS_SUFFIXES = (".vocab", ".txt")  # suffixes of the words of a matrix, in order of preference
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"  # first bytes of gzip and zip files


def word_files(source: Any) -> tuple[Path, Path | None]:
    """Return the file of the vectors, and the file of their words or None if it is the same file.

    Raises
    ------
    ValueError
        If `source` is neither a path nor a pair of paths.
    FileNotFoundError
        If a file does not exist.
    """
    pair = source if isinstance(source, (tuple, list)) else (source,)
    if len(pair) not in (1, 2) or not all(p and isinstance(p, (str, Path)) for p in pair):
        raise ValueError(
            "word_vectors must be the path of a file or a pair of paths (matrix, words), "
            f"got {source!r}"
        )
    vectors, *words = (Path(path).expanduser() for path in pair)
    for path in (vectors, *words):
        if not path.is_file():
            raise FileNotFoundError(f"word_vectors: there is no file '{path}'")
    if words or vectors.suffix != ".npy":
        return vectors, words[0] if words else None
    candidates = [vectors.with_suffix(suffix) for suffix in WORDS_SUFFIXES]
    found = [path for path in candidates if path.is_file()]
    if not found:
        raise FileNotFoundError(
            f"word_vectors: '{vectors}' needs a file of its words, one a line, named "
            f"'{candidates[0].name}' or '{candidates[1].name}' beside it, or a pair of paths: "
            "(matrix, words)"
        )
    return vectors, found[0]


def read_word_vectors(
    source: Any, wanted: Collection[str], n_first: int
) -> tuple[list[str], np.ndarray]:
    """Read the vectors of some words, and skip the rest of the file.

    If a word occurs twice, its first vector is used. Words that contain white space, which occur in
    some published files, are skipped because texts are split at white space.

    Parameters
    ----------
    source : str, Path or pair of these
        Value of the parameter `word_vectors`.
    wanted : collection of str
        Words to read from anywhere in the file.
    n_first : int
        Number of words to read from the top of the file, which usually has the most frequent words
        first.

    Returns
    -------
    words : list of str of length n
        Words that were read, in the order of the file.
    matrix : ndarray of float32, shape (n, d)
        Vectors of these words.

    Raises
    ------
    ValueError
        If the file is damaged or has another format. The message names the line.
    FileNotFoundError
        If a file does not exist.
    """
    vectors_path, words_path = word_files(source)
    encoded = {word.encode() for word in wanted}
    if words_path is None:
        words, matrix = _read_text(vectors_path, encoded, n_first)
    else:
        words, matrix = _read_matrix(vectors_path, words_path, encoded, n_first)
    return [word.decode(errors="replace") for word in words], matrix


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[bytes]]:
    """Open a text file, gzipped or not, and yield an iterator over its lines."""
    with open(path, "rb") as file:
        start = file.peek(len(ZIP))
        if start.startswith(ZIP):
            raise ValueError(f"'{path}' is a zip archive; unpack it, and give a file from it")
        if not start.startswith(GZIP):
            yield file
            return
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield io.BufferedReader(unpacked, 1 << 20)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"'{path}' can't be unpacked, it is damaged: {error}") from error


def _read_text(path: Path, wanted: set[bytes], n_first: int) -> tuple[list[bytes], np.ndarray]:
    """Read a text file with a word and its numbers per line. Unwanted lines are not parsed."""
    rows: dict[bytes, np.ndarray] = {}
    n_lines = 0
    with _lines(path) as lines, np.errstate(over="ignore"):  # infinite numbers are reported below
        first = next(lines, b"")
        promised, size = _layout(first, path)
        start = [first] if promised is None else []
        for number, line in enumerate(chain(start, lines), start=2 - len(start)):
            line = line.strip(b" \t\r\n")
            word, _, rest = line.partition(b" ")
            if line.count(b" ") != size:
                if not line:
                    continue
                word, rest = _split(line, size, f"line {number} of '{path}'")
            n_lines += 1
            if (n_lines <= n_first or word in wanted) and word not in rows and word:
                rows[word] = _numbers(rest, size, f"line {number} of '{path}'")
    if promised not in (None, n_lines):
        raise ValueError(
            f"'{path}' is damaged: line 1 says that it has {promised} words, but it has {n_lines}"
        )
    if not rows:
        raise ValueError(f"'{path}' has no word vectors")
    return list(rows), np.stack(list(rows.values()))


def _layout(first: bytes, path: Path) -> tuple[int | None, int]:
    """Return the number of words stated in line 1, or None, and the number of entries per word."""
    fields = first.split()
    if not first:
        raise ValueError(f"'{path}' is empty")
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        if not int(fields[1]):
            raise ValueError(f"line 1 of '{path}' says that vectors have 0 numbers")
        return int(fields[0]), int(fields[1])
    if len(fields) < 2:
        raise ValueError(
            f"line 1 of '{path}' must be a word and its numbers, got {_excerpt(first)}"
        )
    return None, len(fields) - 1


def _split(line: bytes, size: int, where: str) -> tuple[bytes, bytes]:
    """Split a line that has other separators than single spaces into a word and its numbers.

    The returned word is empty if it contains white space.
    """
    fields = line.split()
    n_more = len(fields) - 1 - size
    if n_more == 0:
        return fields[0], b" ".join(fields[1:])
    if n_more > 0 and not any(map(_is_number, fields[1 : n_more + 1])):
        return b"", b""
    if not _is_text(line):
        raise ValueError(
            f"{where} is not text; word2vec's binary files have to be converted, for instance "
            "with gensim: KeyedVectors.load_word2vec_format(path, binary=True)"
            ".save_word2vec_format('vectors.txt')"
        )
    raise ValueError(f"{where} must be a word and {size} numbers, got {len(fields) - 1} numbers")


def _numbers(rest: bytes, size: int, where: str) -> np.ndarray:
    """Parse the numbers of a line."""
    fields = rest.split()
    try:
        row = np.array(fields, dtype=np.float32)
    except ValueError:
        bad = next(field for field in fields if not _is_number(field))
        raise ValueError(f"{where} has {_excerpt(bad)} in place of a number") from None
    if len(row) != size:
        raise ValueError(f"{where} must be a word and {size} numbers, got {len(row)} numbers")
    if not np.isfinite(row).all():
        bad = fields[int(np.argmin(np.isfinite(row)))]
        raise ValueError(f"{where} has {_excerpt(bad)} in place of a finite number")
    return row


def _is_number(field: bytes) -> bool:
    """Return whether a field can be parsed as a number."""
    try:
        float(field)
    except ValueError:
        return False
    return True


def _is_text(line: bytes) -> bool:
    """Return whether a line is UTF-8 text."""
    try:
        return "\0" not in line.decode()
    except UnicodeDecodeError:
        return False


def _excerpt(field: bytes) -> str:
    """Return at most 40 characters of a field for error messages."""
    text = field.strip().decode(errors="replace")
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _read_matrix(
    path: Path, words_path: Path, wanted: set[bytes], n_first: int
) -> tuple[list[bytes], np.ndarray]:
    """Read rows of a matrix. The word of each row is in the same line of another file."""
    matrix = _open_matrix(path)
    with _lines(words_path) as lines:
        words = [line.strip(b" \t\r\n") for line in lines]
    while len(words) > len(matrix) and not words[-1]:
        words.pop()
    if len(words) != len(matrix):
        raise ValueError(
            f"'{path}' has {len(matrix)} rows, but '{words_path}' has {len(words)} lines; it "
            "must have one word a line, a line for each row"
        )
    rows: dict[bytes, int] = {}
    for row, word in enumerate(words):
        if word and (row < n_first or word in wanted):
            rows.setdefault(word, row)
    if not rows:
        raise ValueError(f"'{words_path}' has no words")
    places = list(rows.values())
    with np.errstate(over="ignore"):
        found = np.asarray(matrix[places], dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(bad):
        row = places[bad[0]]
        raise ValueError(
            f"row {row} of '{path}', of the word {_excerpt(words[row])}, is not finite"
        )
    return list(rows), found


def _open_matrix(path: Path) -> np.ndarray:
    """Open a ``.npy`` matrix through a memory map. Files that need unpickling are refused."""
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"'{path}' can't be read as a .npy matrix: {error}") from error
    if not isinstance(matrix, np.ndarray):
        raise ValueError(f"'{path}' is an archive of arrays; save the matrix alone, with np.save")
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise ValueError(
            f"'{path}' must hold a 2-D array of floats, got {matrix.dtype} of shape {matrix.shape}"
        )
    if not matrix.size:
        raise ValueError(f"'{path}' is empty, of shape {matrix.shape}")
    return matrix
