"""Conversion of users' data (data frames, mappings, lists) to Arrow columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.extensions import ExtensionArray

from skrec._data.ragged import offsets_of

WHOLE = {pa.float16(): 2**11, pa.float32(): 2**24, pa.float64(): 2**53}  # exact below these
SLICE = 1 << 22  # ids that are looked up at a time; bounds the memory of temporary arrays


class UnreadableValueError(ValueError):
    """A single value that Arrow cannot represent: a large int, or text with a lone surrogate."""


def to_arrow(values: Any, what: str) -> pa.ChunkedArray:
    """Convert one column to Arrow.

    Parameters
    ----------
    values : array-like or Arrow exporter
        The column: numbers, strings, or lists of them. Rows of a 2-D array are lists.
    what : str
        Description of the column in error messages.

    Returns
    -------
    pyarrow.ChunkedArray
        Without view types.

    Raises
    ------
    ValueError
        If the values have mixed types, or types that Arrow lacks; if an int has more than 64 bits,
        or text is not valid Unicode, which the text of Arrow tables may be as well.

    Notes
    -----
    Masked entries of NumPy's masked arrays are missing: they are null in one dimension, and left
    out of the lists of two dimensions.
    """
    column = _to_arrow(values, what)
    refuse_invalid_text(column.chunks, what)
    return column


def _to_arrow(values: Any, what: str) -> pa.ChunkedArray:
    """Convert one column to Arrow, without a check of its text; see `to_arrow`."""
    values = _without_masks(values)
    if not isinstance(values, Iterable) or (isinstance(values, np.ndarray) and not values.ndim):
        raise ValueError(f"can't read {what}: it must be a sequence, got {values!r}")
    if isinstance(values, pa.Array):
        return _without_views(pa.chunked_array([values]))
    if isinstance(values, pa.ChunkedArray):
        return _without_views(values)
    if not isinstance(values, pd.Series) and hasattr(values, "__arrow_c_stream__"):
        return _without_views(pa.chunked_array(values))  # polars
    if isinstance(values, np.ndarray) and values.ndim == 2:
        width = values.shape[1]
        if width:
            flat = _to_arrow(values.ravel(), what).combine_chunks()
            return pa.chunked_array([pa.FixedSizeListArray.from_arrays(flat, width)])
        values = list(values)  # Arrow has no lists of fixed size 0
    if not isinstance(values, (pd.Series, pd.Index, ExtensionArray, np.ndarray)):
        values = list(values)
    try:
        array = pa.array(values, from_pandas=True)
    except (OverflowError, UnicodeError) as error:
        raise _unreadable(values, what) from error
    except (ValueError, TypeError, pa.ArrowNotImplementedError) as error:
        if any(isinstance(row, (np.ndarray, ExtensionArray)) and row.ndim == 1 for row in values):
            # Arrow rejects rows of different dtypes, and np.array([]) is float64 among rows of
            # ints. It also rejects arrays of pandas as rows.
            rows = [row.tolist() if hasattr(row, "tolist") else row for row in values]
            return _to_arrow(rows, what)
        raise ValueError(f"can't read {what}, mixed types or objects: {error}") from error
    return _without_views(
        array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    )


def _without_masks(values: Any) -> Any:
    """Return values with lists in place of masked rows and of rows that Arrow may crash on."""
    if isinstance(values, np.ma.MaskedArray):
        return [row.compressed() for row in values] if values.ndim == 2 else values
    if isinstance(values, (list, tuple)) or (
        isinstance(values, (np.ndarray, pd.Series)) and values.dtype == object
    ):
        if any(isinstance(row, np.ndarray) and _is_odd(row) for row in values):
            return [_plain(row) if isinstance(row, np.ndarray) else row for row in values]
    return values


def _is_odd(row: np.ndarray) -> bool:
    """Whether a row is masked, has no dimension, or has times, which crash pyarrow 26 in lists."""
    return isinstance(row, np.ma.MaskedArray) or not row.ndim or row.dtype.kind in "mM"


def _plain(row: np.ndarray) -> Any:
    """Return a row as a list without its masked entries, or as a scalar; None if it is masked."""
    if row is np.ma.masked:
        return None
    if isinstance(row, np.ma.MaskedArray) and row.ndim == 1:
        row = row.compressed()
    return row.tolist()


def _unreadable(values: Any, what: str) -> UnreadableValueError:
    """Return an error that names the first value that Arrow cannot represent."""
    for row, value in enumerate(values):
        nested = value if isinstance(value, (list, tuple, set, np.ndarray)) else [value]
        for each in nested:
            try:
                pa.array([each])
            except UnicodeError:
                text = ascii(str(each if len(each) <= 40 else each[:40] + "..."))
                return UnreadableValueError(
                    f"{what} holds text that is not valid Unicode in row {row}: {text}; replace "
                    "lone surrogates, for example with text.encode('utf-8', 'replace').decode()"
                )
            except OverflowError:
                return UnreadableValueError(
                    f"{what} holds the number {each} in row {row}, which has more than the 64 bits "
                    "of a signed integer; write such ids as texts"
                )
            except (pa.ArrowException, TypeError, ValueError):
                continue
    return UnreadableValueError(f"can't read {what}: a text or number is out of range")


def refuse_invalid_text(chunks: Iterable[pa.Array], what: str) -> None:
    """Raise a ValueError if text of an Arrow column is not UTF-8, which Arrow itself allows.

    Parameters
    ----------
    chunks : iterable of pyarrow.Array
        The column.
    what : str
        Description of the column in the error message.
    """
    first = 0
    for chunk in chunks:
        if not _has_text(chunk.type):
            return
        try:
            chunk.validate(full=True)
        except pa.ArrowInvalid as error:
            for row, value in enumerate(chunk):
                try:
                    value.as_py()
                except UnicodeDecodeError as fault:
                    shown = fault.object[:40]
                    raise UnreadableValueError(
                        f"{what} holds text that is not UTF-8 in row {first + row}: {shown!r}; "
                        "decode it with the right encoding, such as latin-1"
                    ) from error
            raise ValueError(f"{what} is not a valid Arrow column: {error}") from error
        first += len(chunk)


def _has_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is text, or contains text."""
    types = pa.types
    if types.is_dictionary(kind) or is_list(kind):
        return _has_text(kind.value_type)
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _without_views(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replace view types, which polars exports and few Arrow functions support.

    Columns of other types are returned unchanged.
    """
    if not _has_view(column.type):
        return column
    chunks = [without_view(chunk) for chunk in column.chunks]
    return pa.chunked_array(chunks or [without_view(pa.array([], column.type))])


def _has_view(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a view, or contains one."""
    types = pa.types
    if types.is_string_view(kind) or types.is_list_view(kind) or types.is_large_list_view(kind):
        return True
    return (types.is_dictionary(kind) or is_list(kind)) and _has_view(kind.value_type)


def without_view(array: pa.Array) -> pa.Array:
    """Return an array with strings and lists in place of views; see `to_arrow`."""
    kind = array.type
    if not _has_view(kind):
        return array
    if pa.types.is_string_view(kind):
        return array.cast(pa.large_string())
    if pa.types.is_dictionary(kind):
        values = without_view(array.dictionary)
        return pa.DictionaryArray.from_arrays(array.indices, values, ordered=kind.ordered)
    # pyarrow 26 casts list views that overlap or are out of order to wrong lists
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))
    mask = array.is_null() if array.null_count else None
    return pa.LargeListArray.from_arrays(offsets, without_view(array.flatten()), mask=mask)


def is_list(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a list, large list or fixed-size list."""
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def list_chunks(chunks: Iterable[pa.Array], what: str) -> Iterator[tuple[np.ndarray, pa.Array]]:
    """Yield each chunk of a list column as the lengths of its lists and their flat values.

    Parameters
    ----------
    chunks : iterable of pyarrow.Array of lists
        The column.
    what : str
        Description of the column in error messages.

    Yields
    ------
    lengths : ndarray of int64, shape (n,)
    values : pyarrow.Array of shape (lengths.sum(),)

    Raises
    ------
    TypeError
        If the column does not contain lists.
    ValueError
        If a list is null.
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
    """Return the length of each list of a column, and the flat values; see `list_chunks`."""
    chunks = list(list_chunks(column.chunks, what))
    if not chunks:
        return np.empty(0, dtype=np.int64), pa.array([], column.type.value_type)
    lengths = np.concatenate([part for part, _ in chunks])
    return lengths, pa.chunked_array([values for _, values in chunks]).combine_chunks()


def lists(values: Any, lengths: np.ndarray) -> pa.Array:
    """Split flat values into lists of the given lengths."""
    offsets = offsets_of(lengths)
    if offsets[-1] < 2**31:
        return pa.ListArray.from_arrays(offsets.astype(np.int32), values)
    return pa.LargeListArray.from_arrays(offsets, values)


def as_ids(values: pa.Array | pa.ChunkedArray, what: str) -> Any:
    """Cast ids to int64 or large_string.

    Parameters
    ----------
    values : pyarrow.Array or pyarrow.ChunkedArray
        The ids. Floats must be whole numbers that the float type represents exactly.
    what : str
        Description of the ids in error messages.

    Returns
    -------
    pyarrow.Array or pyarrow.ChunkedArray
        Same container as `values`.

    Raises
    ------
    ValueError
        If an id is null, has a fraction, is a float that may be rounded, or is out of the range of
        int64.
    TypeError
        If the ids are neither numbers nor strings.
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
        if pa.types.is_integer(kind):
            return values.cast(pa.int64())
        if pa.types.is_floating(kind):
            refuse_rounded(values, what)
            return values.cast(pa.int64())
    except pa.ArrowInvalid as error:
        hint = "; write ids of more than 63 bits as texts" if pa.types.is_uint64(kind) else ""
        raise ValueError(f"{what} must be whole numbers or strings: {error}{hint}") from error
    raise TypeError(f"{what} must be ints or strings, got {kind}")


def refuse_rounded(values: pa.Array | pa.ChunkedArray, what: str) -> None:
    """Raise a ValueError if floats are so large that ids may have been rounded to them."""
    wide = values.cast(pa.float64())
    least = WHOLE[values.type]
    large = pc.filter(wide, pc.and_(pc.greater_equal(pc.abs(wide), least), pc.is_finite(wide)))
    if len(large):
        raise ValueError(
            f"{what} are floats ({values.type}), and {large[0].as_py():.0f} is too large to be "
            f"exact: from 2**{least.bit_length() - 1} on, ids are rounded and become others. Read "
            "them as int64 or as texts"
        )
