"""Which columns of X can be context, and as what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import preview, warn
from skrec._data.hints import (
    CANDIDATE_NAMES,
    ITEM_NAMES,
    LABEL_NAMES,
    ROW_NUMBERS,
    USER_NAMES,
    named,
    plain,
    words_of,
)
from skrec._data.rows import COLUMNS, UNREAD, misspelled
from skrec._data.table import Table

MAX_VALUES = 100  # largest number of features of a category, and of values of an "auto" string
# columns of X with a meaning of their own; only `time` may be context, too
NEVER_CONTEXT = frozenset(COLUMNS) - {"time"} | {"weights", *UNREAD}
LABELS = LABEL_NAMES | CANDIDATE_NAMES


def is_offered(name: str) -> bool:
    """Return whether a column of X has no meaning of its own, so that it may be context."""
    return name not in NEVER_CONTEXT and name != "time"


def context_kind(kind: pa.DataType) -> str | None:
    """Return how columns of a type are read: "category", "number", "time", or None."""
    types = pa.types
    if types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind):
        return "category"
    if types.is_dictionary(kind):
        return None if types.is_nested(kind.value_type) else "category"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_timestamp(kind) or types.is_date(kind):
        return "time"
    return None


def auto_columns(table: Table, names: list[str]) -> dict[str, str]:
    """Return the columns that "auto" chooses, with their kinds.

    Columns that are probably ids, row numbers or labels are not chosen.
    """
    chosen = {}
    for name in names:
        kind = table.type(name)
        how = context_kind(kind)
        if how is None or plain(name) in LABELS:
            continue
        if pa.types.is_integer(kind) and (_names_id(name) or ROW_NUMBERS.fullmatch(name)):
            continue
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            if _names_id(name) or len(table.column(name).unique()) > MAX_VALUES:
                continue
        chosen[name] = how
    return chosen


def _names_id(name: str) -> bool:
    """Return whether a column has the name of ids."""
    return plain(name) in USER_NAMES | ITEM_NAMES or not {"id", "ids", "uid"}.isdisjoint(
        words_of(name)
    )


def as_number(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """Return a column of numbers as float64; null and NaN are NaN."""
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if context_kind(column.type) != "number" and not pa.types.is_boolean(column.type):
        raise ValueError(f"context column {name!r} holds {column.type}; in fit it held numbers")
    numbers = column.cast(pa.float64(), safe=False).to_numpy()
    if np.isinf(numbers).any():
        raise ValueError(
            f"context column {name!r} holds infinite numbers; null stands for an unknown number"
        )
    return numbers


def as_category(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """Return a column of categories as texts, with None for null."""
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), None, dtype=object)
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if context_kind(column.type) not in ("category", "number"):
        raise ValueError(f"context column {name!r} holds {kind}; in fit it held categories")
    if pa.types.is_floating(column.type):  # ints with gaps, as pandas has them
        column = pc.if_else(pc.is_nan(column), None, column)
        whole = pc.all(pc.equal(column, pc.floor(column))).as_py()
        column = column.cast(pa.int64()) if whole and whole is not None else column
    return np.array(column.cast(pa.large_string()).to_pylist(), dtype=object)


def check_log_columns(table: Table, used: list[str], asked: Any) -> None:
    """Raise an error or warn about context columns of a log of clicks, which nothing reads.

    Parameters
    ----------
    table : Table
        The log.
    used : list of str
        Its columns that are read.
    asked : None, "warn", "auto", list of str, or transformer
        The recommender's `context`. If it is None, nothing is said.

    Raises
    ------
    ValueError
        If `asked` is a list or a transformer.
    """
    if asked is None:
        return
    why = "a log becomes one history per user, and a history has no context of its own"
    how = (
        "make rows with these columns, such as impressions: skrec.datasets.impressions_from_clicks "
        "makes them, and their user_id and time say which clicks of the log they are"
    )
    if not isinstance(asked, str):
        raise ValueError(f"context={asked!r} can't be read from a log of clicks: {why}; {how}")
    names = [
        name
        for name in table.names
        if name not in used
        and context_kind(table.type(name)) is not None
        and plain(name) not in LABELS
        and not _names_id(name)
        and not ROW_NUMBERS.fullmatch(name)
    ]
    if names:
        columns, are = ("columns", "are") if len(names) > 1 else ("column", "is")
        warn(
            f"{columns} {preview(names, 20)} of the log {are} not used, because {why}. To learn "
            f"from them, {how}. Give context=None to ignore them without this warning"
        )


def warn_unread(table: Table, asked: Any, names: list[str]) -> None:
    """Warn about columns of X that nothing reads.

    Parameters
    ----------
    table : Table
        X as a table.
    asked : None, "warn", "auto", list of str, or transformer
        The recommender's `context`. If it is None, nothing is said.
    names : list of str
        The columns that are not read.
    """
    warned = set(misspelled(table.names))
    if "candidates" not in table and "candidate" not in table:
        warned.update(named(table.names, LABELS))
    names = [name for name in names if name not in warned]
    if asked is None or not names:
        return
    columns, are = ("columns", "are") if len(names) > 1 else ("column", "is")
    subject = f"{columns} {preview(names, 20)} of X {are}"
    if isinstance(asked, str) and asked == "warn":
        warn(
            f"{subject} not used. Give context='auto', or a list of the columns to learn from, or "
            "context=None to ignore them without this warning"
        )
    elif isinstance(asked, str):
        warn(
            f"{subject} not used, because context='auto' leaves out lists, labels, ids and texts "
            f"of more than {MAX_VALUES} values. Name the columns to learn from in context=[...]"
        )
