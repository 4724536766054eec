"""The column `time` of X, and how texts in place of times are explained."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from skrec._data.arrow import is_list
from skrec._data.table import Table


def read_time(table: Table, n_rows: int) -> np.ndarray | None:
    """Return the column `time` as finite floats (n,), or None if X has no such column.

    Parameters
    ----------
    table : Table
        X as a table.
    n_rows : int
        Number of rows.

    Returns
    -------
    ndarray of float64, shape (n_rows,), or None

    Raises
    ------
    ValueError
        If the column does not contain one number, date or timestamp in each row. Texts are refused,
        because they have no certain order.
    """
    if "time" not in table:
        return None
    column = decoded(table.column("time"))
    if column.null_count or is_list(column.type):
        raise ValueError("column 'time' must hold one number or timestamp in each row, no nulls")
    if is_text(column.type):
        raise ValueError(f"column 'time' contains {describe_text_times('X', 'time', column)}")
    if pa.types.is_boolean(column.type):
        raise ValueError(f"column 'time' must hold numbers or timestamps, got {column.type}")
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    try:
        time = column.cast(pa.float64(), safe=False).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"column 'time' must hold numbers or timestamps: {error}") from error
    if not np.isfinite(time).all():
        raise ValueError("column 'time' holds NaN or infinite values")
    return time


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values of a dictionary column. Other columns are returned unchanged."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is text or bytes, or a dictionary of them."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    return any(test(kind) for test in (types.is_string, types.is_large_string, types.is_binary))


def describe_text_times(table: str, name: str, column: pa.ChunkedArray) -> str:
    """Return what a column of texts in place of times contains, and how to convert it.

    Parameters
    ----------
    table : str
        Name of the user's table.
    name : str
        Name of the column.
    column : pyarrow.ChunkedArray of texts
        The column.

    Returns
    -------
    str
    """
    texts = column.drop_null()
    example = texts[0].as_py() if len(texts) else ""
    how = f"pandas.to_datetime({table}[{name!r}], format=...)"
    if isinstance(example, str) and re.fullmatch(r"\s*-?\d+(\.\d*)?\s*", example):
        how = f"{table}[{name!r}].astype('int64')"
    return f"texts such as {example!r}, which sort by their letters; convert them with {how}"
