"""Texts in the owners' files: empty texts, quotes of CSV, and HTML entities."""

from __future__ import annotations

import html
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._data.arrow import lists

# a text as quoted in CSV: enclosed in quotes, with inner quotes doubled
_QUOTED = r'(?s)^"(?:[^"]|"")*"$'
_ENTITY = r"&#?\w+;"


def as_category(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    """Convert texts to a category. Nulls and texts that are empty or blank become null."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type):
        column = column.cast(pa.string())
    return pc.if_else(is_text(column), column, None).dictionary_encode()


def is_text(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Return whether each text contains more than blanks. It is False for null."""
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return pc.is_valid(column)
    return pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(column), ""), False)


def without_empty(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Leave nulls and texts that are empty or blank out of each list. Null lists stay null."""

    def leave_out(chunk: pa.Array) -> pa.Array:
        values = chunk.flatten()
        kept = is_text(values)
        row = pc.list_parent_indices(chunk).filter(kept).to_numpy()
        return _as_lists(chunk, values.filter(kept), np.bincount(row, minlength=len(chunk)))

    return _map_chunks(column, leave_out)


def join_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Join the texts of each list with blanks, without empty ones. A null list becomes ""."""
    return pc.fill_null(pc.binary_join(without_empty(column), " "), "")


def undo_quotes(texts: pa.ChunkedArray, pattern: str = _QUOTED) -> pa.ChunkedArray:
    """Undo the quoting of texts that are quoted as in CSV.

    Parameters
    ----------
    texts : pyarrow.ChunkedArray of string
    pattern : str
        Regular expression of quoted texts.

    Returns
    -------
    pyarrow.ChunkedArray of string
    """

    def inside(quoted: pa.Array) -> pa.Array:
        return pc.replace_substring(pc.utf8_slice_codeunits(quoted, 1, -1), '""', '"')

    return _map_chunks(texts, lambda chunk: _replace_matches(chunk, pattern, inside))


def unescape(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replace HTML entities such as ``&amp;`` by their characters, in texts or lists of texts."""

    def plain(escaped: pa.Array) -> pa.Array:
        return pa.array([html.unescape(text) for text in escaped.to_pylist()], escaped.type)

    def replace(texts: pa.Array) -> pa.Array:
        return _replace_matches(texts, _ENTITY, plain)

    def replace_in_lists(chunk: pa.Array) -> pa.Array:
        lengths = pc.fill_null(pc.list_value_length(chunk), 0)
        return _as_lists(chunk, replace(chunk.flatten()), lengths.to_numpy(zero_copy_only=False))

    return _map_chunks(column, replace_in_lists if pa.types.is_nested(column.type) else replace)


def _replace_matches(
    texts: pa.Array, pattern: str, function: Callable[[pa.Array], pa.Array]
) -> pa.Array:
    """Apply a function to the texts that match a regular expression, which are usually few."""
    mask = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    found = texts.filter(mask)
    return pc.replace_with_mask(texts, mask, function(found)) if len(found) else texts


def _as_lists(chunk: pa.Array, values: pa.Array, lengths: np.ndarray) -> pa.Array:
    """Return lists of other values, which are null if the lists of `chunk` are null."""
    array = lists(values, lengths)
    if not chunk.null_count:
        return array
    return type(array).from_arrays(array.offsets, values, mask=chunk.is_null())


def _map_chunks(
    column: pa.ChunkedArray, function: Callable[[pa.Array], pa.Array]
) -> pa.ChunkedArray:
    """Apply a function to each chunk, and to an empty one if there is none."""
    chunks = column.chunks or [pa.array([], column.type)]
    return pa.chunked_array([function(chunk) for chunk in chunks])
