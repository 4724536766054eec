"""Read what users hand over (data frames, mappings, lists) as Arrow columns."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.extensions import ExtensionArray

# ids are looked up in slices of this many, so that temporaries stay small
SLICE = 1 << 22


def is_table(data: Any) -> bool:
    """Whether `data` has named columns: a data frame, an Arrow table or a mapping."""
    return (
        isinstance(data, (pd.DataFrame, pa.Table, Mapping))
        or (hasattr(data, "__arrow_c_stream__") and hasattr(data, "columns"))
        or _is_dataset(data)
    )


def _is_dataset(data: Any) -> bool:
    """Whether `data` is a `datasets.Dataset`, without importing that package."""
    return hasattr(data, "with_format") and hasattr(data, "column_names")


class Table:
    """Named columns, each turned into Arrow when it is first asked for, and then kept.

    Parameters
    ----------
    data : pandas.DataFrame, pyarrow.Table, mapping, datasets.Dataset, or any Arrow exporter
        The columns.
    """

    def __init__(self, data: Any):
        if _is_dataset(data):
            data = data.with_format("arrow")[:]
        elif not isinstance(data, (pd.DataFrame, pa.Table, Mapping)):
            data = pa.table(data)
        self._arrow: dict[str, pa.ChunkedArray] = {}
        self._data = data
        names = data.column_names if isinstance(data, pa.Table) else list(data)
        self.names = [name for name in names if isinstance(name, str)]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def column(self, name: str) -> pa.ChunkedArray:
        """Return column `name`.

        Parameters
        ----------
        name : str
            One of `names`.

        Returns
        -------
        pyarrow.ChunkedArray

        Raises
        ------
        ValueError
            For mixed types, a name that occurs twice, and a column that is longer or shorter
            than the first one that was asked for: a mapping may hold such.
        """
        if name not in self._arrow:
            if self.names.count(name) > 1:
                raise ValueError(f"there are several columns named {name!r}; keep one")
            column = to_arrow(self._data[name], f"column {name!r}")
            for other, first in self._arrow.items():
                if len(column) != len(first):
                    raise ValueError(
                        f"column {name!r} has {len(column)} rows but column {other!r} has "
                        f"{len(first)}"
                    )
            self._arrow[name] = column
        return self._arrow[name]


def to_arrow(values: Any, what: str) -> pa.ChunkedArray:
    """Convert one column; mixed types raise a ValueError that names `what`."""
    if isinstance(values, pa.ChunkedArray):
        return values
    if isinstance(values, pa.Array):
        return pa.chunked_array([values])
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
        if any(isinstance(row, np.ndarray) and row.ndim == 1 for row in values):
            # Arrow wants arrays of one dtype, and np.array([]) among ints is of float64
            return to_arrow([np.asarray(row).tolist() for row in values], what)
        raise ValueError(f"can't read {what}, mixed types or objects: {error}") from error
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def is_list(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a list of any sort."""
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def list_chunks(column: pa.ChunkedArray, what: str) -> Iterator[tuple[np.ndarray, pa.Array]]:
    """Yield each chunk of a list column as lengths (n,) and flat values.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of lists
        Null lists raise: an empty list is the way to say "nothing".
    what : str
        How messages call the column.

    Yields
    ------
    lengths : ndarray of int64
    values : pyarrow.Array
    """
    if not is_list(column.type):
        raise TypeError(f"{what} must hold lists, got {column.type}")
    first = 0
    for chunk in column.chunks:
        if chunk.null_count:
            row = first + int(np.flatnonzero(chunk.is_null())[0])
            raise ValueError(f"{what} is null in row {row}; write an empty list for nothing")
        if pa.types.is_fixed_size_list(chunk.type):
            lengths = np.full(len(chunk), chunk.type.list_size, dtype=np.int64)
        else:
            lengths = np.diff(chunk.offsets.to_numpy()).astype(np.int64)
        yield lengths, chunk.flatten()
        first += len(chunk)


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


def codes_of(values: pa.Array, ids: pa.Array, what: str) -> np.ndarray:
    """Look ids up in a catalogue.

    Parameters
    ----------
    values : pyarrow.Array of shape (n,)
        Ids to look up.
    ids : pyarrow.Array of int64 or large_string
        The catalogue's ids.
    what : str
        How messages call `values`.

    Returns
    -------
    ndarray of int32, shape (n,)
        Positions in `ids`, -1 where an id is missing.

    Raises
    ------
    TypeError
        Where one side is strings and the other ints.
    """
    codes = np.empty(len(values), dtype=np.int32)
    if not len(values):
        return codes
    for start in range(0, len(values), SLICE):
        part = as_ids(values.slice(start, SLICE), what)
        if part.type != ids.type:
            names = {pa.int64(): "int", pa.large_string(): "str"}
            raise TypeError(
                f"{what} are {names[part.type]} ids ({values.type}) but the catalogue's are "
                f"{names[ids.type]} ({ids.type}); convert one of them"
            )
        found = pc.index_in(part, value_set=ids)
        codes[start : start + len(part)] = found.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``" (did you mean 'x'?)"``, or nothing where no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]!r}?)" if close else ""


def preview(values: Iterable[Any], n: int = 5) -> str:
    """Show the first few values for a message, with an ellipsis where there are more."""
    values = list(values)
    shown = ", ".join(repr(value) for value in values[:n])
    return shown + (", ..." if len(values) > n else "")
