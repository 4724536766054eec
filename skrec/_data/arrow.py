"""Read what users hand over (data frames, mappings, lists) as Arrow columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.extensions import ExtensionArray

from skrec._data.ragged import offsets_of

# ids are looked up in slices of this many, so that temporaries stay small
SLICE = 1 << 22


def to_arrow(values: Any, what: str) -> pa.ChunkedArray:
    """Convert one column; mixed types raise a ValueError that names `what`."""
    if isinstance(values, pa.Array):
        return _without_views(pa.chunked_array([values]))
    if not isinstance(values, pd.Series) and hasattr(values, "__arrow_c_stream__"):
        return _without_views(pa.chunked_array(values))  # polars, and Arrow itself
    if isinstance(values, np.ndarray) and values.ndim == 2:
        width = values.shape[1]
        if width:
            flat = pa.array(values.ravel())
            return pa.chunked_array([pa.FixedSizeListArray.from_arrays(flat, width)])
        values = list(values)  # Arrow makes no lists of the fixed size 0
    if not isinstance(values, (pd.Series, pd.Index, ExtensionArray, np.ndarray)):
        values = list(values)
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        if any(isinstance(row, (np.ndarray, ExtensionArray)) and row.ndim == 1 for row in values):
            # Arrow wants arrays of one dtype, and np.array([]) among ints is of float64; those
            # of pandas it does not take as rows
            return to_arrow([np.asarray(row).tolist() for row in values], what)
        raise ValueError(f"can't read {what}, mixed types or objects: {error}") from error
    return _without_views(
        array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    )


def _without_views(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Rewrite views, which polars exports and most Arrow functions do not take.

    Arrays without them are handed back as they are.
    """
    if not _has_view(column.type):
        return column
    chunks = [without_view(chunk) for chunk in column.chunks]
    return pa.chunked_array(chunks or [without_view(pa.array([], column.type))])


def _has_view(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_string_view(kind) or types.is_list_view(kind) or types.is_large_list_view(kind):
        return True
    return (types.is_dictionary(kind) or is_list(kind)) and _has_view(kind.value_type)


def without_view(array: pa.Array) -> pa.Array:
    kind = array.type
    if not _has_view(kind):
        return array
    if pa.types.is_string_view(kind):
        return array.cast(pa.large_string())
    if pa.types.is_dictionary(kind):
        values = without_view(array.dictionary)
        return pa.DictionaryArray.from_arrays(array.indices, values, ordered=kind.ordered)
    # not a cast: pyarrow 26 makes wrong lists of list views that overlap or are out of order
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))
    mask = array.is_null() if array.null_count else None
    return pa.LargeListArray.from_arrays(offsets, without_view(array.flatten()), mask=mask)


def is_list(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a list of any sort."""
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def list_chunks(chunks: Iterable[pa.Array], what: str) -> Iterator[tuple[np.ndarray, pa.Array]]:
    """Yield each chunk of a list column as lengths (n,) and flat values.

    Parameters
    ----------
    chunks : iterable of pyarrow.Array of lists
        Null lists raise: an empty list is the way to say "nothing".
    what : str
        How messages call the column.

    Yields
    ------
    lengths : ndarray of int64
    values : pyarrow.Array
    """
    first = 0
    for chunk in chunks:
        if not is_list(chunk.type):
            raise TypeError(f"{what} must hold lists, got {chunk.type}")
        if chunk.null_count:
            row = first + int(np.flatnonzero(chunk.is_null())[0])
            raise ValueError(f"{what} is null in row {row}; write an empty list for nothing")
        if pa.types.is_fixed_size_list(chunk.type):
            lengths = np.full(len(chunk), chunk.type.list_size, dtype=np.int64)
        else:
            lengths = np.diff(chunk.offsets.to_numpy()).astype(np.int64)
        yield lengths, chunk.flatten()
        first += len(chunk)


def flat_lists(column: pa.ChunkedArray, what: str) -> tuple[np.ndarray, pa.Array]:
    """Return the length of each list of a column, and all values end to end."""
    chunks = list(list_chunks(column.chunks, what))
    if not chunks:
        return np.empty(0, dtype=np.int64), pa.array([], column.type.value_type)
    lengths = np.concatenate([part for part, _ in chunks])
    return lengths, pa.chunked_array([values for _, values in chunks]).combine_chunks()


def lists(values: Any, lengths: np.ndarray) -> pa.Array:
    """Cut values into lists of some lengths."""
    offsets = offsets_of(lengths)
    if offsets[-1] < 2**31:
        return pa.ListArray.from_arrays(offsets.astype(np.int32), values)
    return pa.LargeListArray.from_arrays(offsets, values)


def as_ids(values: pa.Array | pa.ChunkedArray, what: str) -> Any:
    """Cast ids to int64 or large_string; whole floats are ints.

    Parameters
    ----------
    values : pyarrow.Array or pyarrow.ChunkedArray
        The ids.
    what : str
        How messages call them.

    Returns
    -------
    The same container, of int64 or large_string.

    Raises
    ------
    ValueError
        For nulls and fractions.
    TypeError
        For anything that is neither a number nor a string.
    """
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if values.null_count:
        raise ValueError(f"{values.null_count} of {what} are null; drop them")
    if pa.types.is_null(kind) or pa.types.is_int64(kind) or pa.types.is_large_string(kind):
        return values
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.large_string())
    try:
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return values.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise ValueError(f"{what} must be whole numbers or strings: {error}") from error
    raise TypeError(f"{what} must be ints or strings, got {kind}")
