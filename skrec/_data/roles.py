"""Roles of item columns: the default role of a dtype, and the Arrow type of a role."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import preview
from skrec._data.arrow import is_list

ROLES = ("text", "category", "multi-category", "number", "vector")


def role_of(kind: pa.DataType, name: str) -> str:
    """Return the default role of a column.

    Parameters
    ----------
    kind : pyarrow.DataType
        Type of the column.
    name : str
        Name of the column, for error messages.

    Returns
    -------
    str
        One of `ROLES`.

    Raises
    ------
    ValueError
        If the column contains dates, or has a type without a role.
    """
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    refuse_intervals(kind, name)
    if types.is_dictionary(kind) or types.is_boolean(kind):
        return "category"
    if is_list(kind):
        inner = kind.value_type
        fixed = types.is_fixed_size_list(kind) and types.is_integer(inner)
        return "vector" if fixed or types.is_floating(inner) else "multi-category"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_temporal(kind):
        raise ValueError(
            f"column {name!r} holds dates ({kind}), which no operator reads; turn it into a number "
            "such as an age in days or a category such as the month, or drop it"
        )
    raise ValueError(
        f"column {name!r} holds {kind}, which has no role; drop it, convert it, or give "
        f"roles={{{name!r}: ...}} with one of {preview(ROLES)}"
    )


def refuse_intervals(kind: pa.DataType, name: str) -> None:
    """Raise a ValueError if a column contains intervals of pandas, or categories of them."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "pandas.interval":
        raise ValueError(
            f"column {name!r} holds intervals, such as pd.cut makes; convert them to categories "
            f"with df[{name!r}].astype(str).astype('category')"
        )


def cast_column(column: pa.ChunkedArray, role: str, name: str) -> pa.Array:
    """Cast a column to the Arrow type of its role.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        The column.
    role : str
        One of `ROLES`.
    name : str
        Name of the column, for error messages.

    Returns
    -------
    pyarrow.Array
        large_string for "text" and "category", lists of large_string for "multi-category", float64
        for "number", and fixed-size lists of float32 for "vector".

    Raises
    ------
    ValueError
        If the column can't be cast, a number is null or not finite, or vectors differ in length.
    """
    refuse_intervals(column.type, name)
    try:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if role in ("text", "category"):
            # cast before chunks are combined, because a string array is limited to 2 GB
            texts = column.cast(pa.large_string()).combine_chunks()
            return pc.fill_null(texts, "") if role == "text" else texts
        if role == "multi-category":
            return _cast_multi(column)
        array = column.combine_chunks()
        if role == "number":
            return _finite(array.cast(pa.float64()), name)
        return _cast_vector(array, name)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise ValueError(f"column {name!r} can't be read as {role}: {error}") from error


def _cast_multi(column: pa.ChunkedArray) -> pa.Array:
    """Cast to lists of strings; null becomes an empty list."""
    kind = pa.large_list(pa.large_string())
    empty = pa.array([[]], type=kind)
    array = column.cast(kind).combine_chunks()
    if array.null_count:
        array = pc.if_else(array.is_valid(), array, empty[0])
    return array


def _cast_vector(array: pa.Array, name: str) -> pa.Array:
    """Cast to fixed-size lists of float32, or raise if lists are null or differ in length."""
    if array.null_count:
        row = int(np.flatnonzero(array.is_null())[0])
        raise ValueError(f"column {name!r} has no vector in row {row}")
    lengths = np.unique(pc.list_value_length(array))
    if len(lengths) != 1 or lengths[0] == 0:
        raise ValueError(
            f"the vectors of column {name!r} must all have one length above 0, got lengths "
            f"{preview(lengths.tolist())}"
        )
    width = int(lengths[0])
    flat = _finite(array.flatten().cast(pa.float32(), safe=False), name, width)
    return pa.FixedSizeListArray.from_arrays(flat, width)


def _finite(array: pa.Array, name: str, width: int = 1) -> pa.Array:
    """Return the array, or raise a ValueError if it has null, NaN or infinite numbers.

    Parameters
    ----------
    array : pyarrow.Array of numbers
    name : str
        Name of the column, for error messages.
    width : int, default=1
        Numbers per row.

    Returns
    -------
    pyarrow.Array
    """
    bad = ~np.isfinite(array.to_numpy(zero_copy_only=False).astype(float))
    if bad.any():
        raise ValueError(
            f"column {name!r} holds {int(bad.sum())} null, NaN or infinite numbers, the first in "
            f"row {int(np.argmax(bad)) // width}; fill them in or drop the column"
        )
    return array
