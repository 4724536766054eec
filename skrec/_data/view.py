"""Tables as HTML for notebooks: the first rows, and counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.html_view import table, view
from skrec._data.arrow import is_list

N_ROWS = 5


def table_view(data: Any) -> str:
    """Return a table with the first rows, and under each name the type and the missing values.

    Parameters
    ----------
    data : pandas.DataFrame, pyarrow.Table, or object that exports Arrow data

    Returns
    -------
    str
        HTML.
    """
    if isinstance(data, pd.DataFrame):
        names = [str(name) for name in data.columns]
        notes = [
            with_missing(_type_in_pandas(column), int(column.isna().sum()))
            for _, column in data.items()
        ]
        rows = data.head(N_ROWS).itertuples(index=False, name=None)
        return table(names, notes, rows, len(data) - N_ROWS)
    data = pa.table(data)
    notes = [with_missing(describe_type(each), each.null_count) for each in data.columns]
    head = data.slice(0, N_ROWS)
    rows = zip(*(column.to_pylist() for column in head.columns), strict=True)
    return table(data.column_names, notes, rows, data.num_rows - N_ROWS)


def _type_in_pandas(column: pd.Series) -> str:
    """Return the dtype of a column, or "lists" if it contains lists."""
    values = column.dropna().head(1).tolist()
    return "lists" if values and isinstance(values[0], list | np.ndarray) else str(column.dtype)


def describe_type(column: pa.ChunkedArray) -> str:
    """Return the type of a column; for lists, also their mean length."""
    kind = column.type
    if not is_list(kind):
        return str(kind)
    length = pc.mean(pc.list_value_length(column)).as_py()
    mean = "" if length is None else f", {length:.3g} on average"
    return f"lists of {kind.value_type}{mean}"


def with_missing(text: str, n_missing: int, what: str = "missing") -> str:
    """Return a text with the number of missing values, if there are any."""
    return f"{text}, {n_missing:,} {what}" if n_missing else text


def shape_of(data: Any) -> tuple[int, int] | None:
    """Return the number of rows and columns of a table; None if the object is none."""
    shape = getattr(data, "shape", None)
    is_table = isinstance(data, pd.DataFrame | pa.Table) or hasattr(data, "__arrow_c_stream__")
    if not is_table or not isinstance(shape, tuple) or len(shape) != 2:
        return None
    return shape


def items_view(items: Any) -> str:
    """Return a catalogue as HTML."""
    return view(f"Items: {items.n_items:,} items", items_table(items))


def items_table(items: Any) -> str:
    """Return a table of the first items, with the roles of the columns and what is empty.

    Parameters
    ----------
    items : Items

    Returns
    -------
    str
        HTML.
    """
    head = items.take(range(min(N_ROWS, items.n_items)))
    values = [head.ids.tolist(), *(head.column(name).to_pylist() for name in items.roles)]
    notes = ["id"]
    for name, role in items.roles.items():
        n_empty = _n_empty(items.column(name), role)
        notes.append(with_missing(role, n_empty, "missing" if role == "category" else "empty"))
    rows = zip(*values, strict=True)
    return table([items.id, *items.roles], notes, rows, items.n_items - N_ROWS)


def _n_empty(column: pa.Array, role: str) -> int:
    """Return the number of items without a value; numbers and vectors always have one."""
    if role == "text":
        return pc.sum(pc.equal(column, "")).as_py() or 0
    if role == "multi-category":
        return pc.sum(pc.equal(pc.list_value_length(column), 0)).as_py() or 0
    return column.null_count


def interactions_view(data: Any) -> str:
    """Return rows of X as HTML.

    Parameters
    ----------
    data : Interactions

    Returns
    -------
    str
        HTML.
    """
    rows = data.to_arrow()
    counts = [f"{len(data):,} {data.kind}"]
    if "user_id" in data.columns:
        counts.append(f"{pc.count_distinct(rows.column('user_id')).as_py():,} users")
    if "clicked" in data.columns:
        clicked = rows.column("clicked")
        flat = pc.list_flatten(clicked) if is_list(clicked.type) else clicked
        is_click = flat if pa.types.is_boolean(flat.type) else pc.greater(flat, 0)
        n_clicks = pc.sum(is_click).as_py() or 0
        counts.append(f"{n_clicks:,} clicks on {len(flat):,} candidates")
    return view(f"Interactions: {', '.join(counts)}", table_view(rows))
