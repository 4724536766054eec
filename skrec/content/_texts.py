"""Reading of long texts: in batches, and only as far as their first tokens require."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

from skrec._data.ragged import offsets_of

# A tokenizer needs about 20 times the size of the texts that it gets at a time.
BATCH_CHARACTERS = 1 << 20
BATCH_TEXTS = 1 << 14
ROWS = 256  # texts of an Arrow column that are converted to Python at a time
# A text of more characters is cut first. Most tokens of every script have fewer characters.
CHARACTERS_PER_TOKEN, MORE_CHARACTERS = 8, 512
GROWTH = 4  # factor by which a cut text becomes longer if it gave too few tokens
# The end of a cut text may be read in another way than in the whole text. A text is read again,
# further, unless so many tokens or characters follow the tokens that are kept.
SPARE_TOKENS, SPARE_CHARACTERS = 32, 256

# Function of texts, and of whether they were cut. It returns the ids of each text, or None if a cut
# text is too short for the ids to be certain.
Encode = Callable[[list[str], bool], list[np.ndarray | None]]


class ColumnTexts:
    """Texts of Arrow columns, converted to Python in small parts whenever they are iterated.

    Parameters
    ----------
    columns : dict of str to pyarrow.Array
        Columns of texts. The texts of the first column come first.
    """

    def __init__(self, columns: dict[str, pa.Array]) -> None:
        self.columns = columns

    def __iter__(self) -> Iterator[str]:
        for name, column in self.columns.items():
            for start in range(0, len(column), ROWS):
                part = column.slice(start, ROWS)
                try:
                    yield from part.to_pylist()
                except UnicodeDecodeError as error:
                    row = start + _first_failure(part, lambda scalar: scalar.as_py())
                    raise ValueError(f"column {name!r}, row {row}: not UTF-8: {error}") from error


def in_batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield consecutive texts as lists with a limited number of texts and of characters."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) >= BATCH_TEXTS or size + len(text) > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


def first_tokens(
    texts: Iterable[str],
    encode: Encode,
    max_length: int | None,
    what: str,
    rows: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Encode the first tokens of texts. Long texts are cut before they are encoded.

    Parameters
    ----------
    texts : iterable of str of length n
        Texts to encode.
    encode : callable
        See `Encode`.
    max_length : int or None
        Maximum number of tokens that `encode` returns per text. With None, no text is cut.
    what : str
        Description of the texts in error messages.
    rows : ndarray of int, shape (n,), default=None
        Rows of the texts in error messages. None counts the texts.

    Returns
    -------
    offsets : ndarray of int64, shape (n + 1,)
        Text i has the ids from ``offsets[i]`` up to ``offsets[i + 1]``.
    ids : ndarray of int64, shape (offsets[-1],)
        Token ids of all texts, concatenated.

    Raises
    ------
    ValueError
        If the tokenizer fails. The message names the row.
    """
    lengths: list[int] = []
    parts = [np.empty(0, np.int64)]
    for batch in in_batches(texts):
        start = len(lengths)
        try:
            found = _encode_batch(batch, encode, max_length)
        except BaseException as error:
            if not is_failure(error):
                raise
            place = _first_failure(batch, lambda text: _encode_batch([text], encode, max_length))
            row = start + place if rows is None else int(rows[start + place])
            raise ValueError(_message(what, row, batch[place], error)) from error
        lengths.extend(map(len, found))
        parts.append(np.concatenate(found))
    return offsets_of(np.array(lengths, np.int64)), np.concatenate(parts)


def _encode_batch(texts: list[str], encode: Encode, max_length: int | None) -> list[np.ndarray]:
    """Return the ids of each text."""
    if max_length is None:
        return [row for row in encode(texts, False) if row is not None]
    found: list[np.ndarray | None] = [None] * len(texts)
    limit = CHARACTERS_PER_TOKEN * max_length + MORE_CHARACTERS
    left = list(range(len(texts)))
    while left:
        whole = [i for i in left if len(texts[i]) <= limit]
        longer = [i for i in left if len(texts[i]) > limit]
        for places, cut in ((whole, False), (longer, True)):
            if places:
                rows = encode([beginning(texts[i], limit) for i in places], cut)
                for place, row in zip(places, rows, strict=True):
                    found[place] = row
        left = [i for i in longer if found[i] is None]
        limit *= GROWTH
    return [row for row in found if row is not None]


def beginning(text: str, n: int) -> str:
    """Return the start of a text, which ends before a space if possible.

    Parameters
    ----------
    text : str
        The text.
    n : int
        Maximum number of characters.

    Returns
    -------
    str
        At least n // 2 characters, or the whole text.
    """
    if len(text) <= n:
        return text
    stop = text.rfind(" ", n // 2, n)
    return text[: n if stop < 0 else stop]


def is_failure(error: BaseException) -> bool:
    """Return whether an error comes from a tokenizer, and not from the user or the machine.

    Invalid files and texts cause panics of the tokenizers library, which are no Exceptions.

    Parameters
    ----------
    error : BaseException
        The error.

    Returns
    -------
    bool
    """
    if type(error).__name__ == "PanicException":
        return True
    return isinstance(error, Exception) and not isinstance(error, MemoryError)


def _first_failure(values: Iterable, function: Callable) -> int:
    """Return the position of the first value on which a function fails, or else 0."""
    for place, value in enumerate(values):
        try:
            function(value)
        except BaseException as error:
            if not is_failure(error):
                raise
            return place
    return 0


def _message(what: str, row: int, text: str, error: BaseException) -> str:
    """Return the message of an error of a tokenizer."""
    shown = ascii(text if len(text) <= 40 else text[:40] + "...")
    lone = "; it has lone surrogates, which are no characters" if _has_surrogates(text) else ""
    return f"{what}, row {row}: the tokenizer failed on {shown}{lone}: {error}"


def _has_surrogates(text: str) -> bool:
    """Return whether a text cannot be encoded as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
