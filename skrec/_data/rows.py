"""The form of X, and the columns of X other than ids and clicks: groups, users and row weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import did_you_mean, preview, warn
from skrec._data.arrow import (
    UnreadableValueError,
    is_list,
    refuse_rounded,
    to_arrow,
)
from skrec._data.hints import (
    hint_for_rows,
    hint_for_text,
    hint_for_texts,
    unread_candidates,
)
from skrec._data.table import Table, is_table

COLUMNS = (
    "history",
    "candidates",
    "candidate",
    "clicked",
    "weights",
    "user_id",
    "impression_id",
    "time",
)
UNREAD = ("times",)  # of histories that histories_from_clicks made
LISTS_HINT = "histories are lists of item ids, one for each row: write [[3, 8, 1]] for one history"
NO_ROWS = "X has no rows; at least one is needed"


def as_table(X: Any) -> Table:
    """Return X as a table.

    Parameters
    ----------
    X : table, parquet path, or list of id lists
        A list becomes a table with the single column `history`.

    Returns
    -------
    Table

    Raises
    ------
    TypeError
        If X is neither a table nor a list of lists.
    """
    if is_table(X):
        return Table(X)
    if isinstance(X, (str, bytes)) or not isinstance(X, Iterable):
        raise TypeError(f"{LISTS_HINT}, or give a table; {_no_rows(X)}")
    try:
        column = to_arrow(X, "the list of histories")
    except UnreadableValueError:
        raise
    except ValueError as error:
        raise TypeError(f"{LISTS_HINT}; {error}") from error
    if len(column) and not is_list(column.type):
        hint = hint_for_texts(column, "X") or (
            ". Ids of users are given to recommend as users=[...]"
        )
        raise TypeError(f"{LISTS_HINT}; got a flat sequence of {column.type}{hint}")
    return Table({"history": column})


def _no_rows(X: Any) -> str:
    """Return what X is, and what to do if it is an id or a catalogue."""
    if isinstance(X, (str, int, np.integer)) and not isinstance(X, bool):
        return (
            f"got {X!r}. A user is given by the ids of the clicked items; only recommend takes ids "
            "of users, as users=[...], if it remembers their histories"
        )
    if hasattr(X, "n_items"):
        return f"got {X!r}, which is a catalogue: write rec.fit(X, items)"
    if hasattr(X, "pieces"):
        return (
            f"got {X!r}, whose rows only fit reads, one part after another; give one of the files "
            "in other calls"
        )
    return f"got {X!r}"


def kind_of(table: Table) -> str:
    """Return the kind of the rows of X.

    Parameters
    ----------
    table : Table
        X as a table.

    Returns
    -------
    {"impressions", "pairs", "histories"}

    Raises
    ------
    ValueError
        If the table has no column `history`, no rows, or both `candidate` and `candidates`.
    TypeError
        If `history` or `candidates` does not contain lists, or `candidate` does.
    """
    if "history" not in table:
        raise ValueError(
            f"X has no column 'history'{_nearest('history', table.names)}; its columns are "
            f"{preview(table.names, 20)}{hint_for_rows(table.names)}"
        )
    if "candidates" in table and "candidate" in table:
        raise ValueError(
            "X has both 'candidate' and 'candidates'; keep 'candidates' (a list for each row) for "
            "impressions or 'candidate' (one id for each row) for pairs"
        )
    if not table.length("history"):
        raise ValueError(NO_ROWS)
    for name, lists in (("history", True), ("candidates", True), ("candidate", False)):
        if name not in table:
            continue
        kind = table.type(name)
        if lists and not is_list(kind):
            hint = "; for one id a row call it 'candidate'" if name == "candidates" else ""
            raise TypeError(
                f"column {name!r} must hold a list of ids in each row, like [[3, 8, 1]], got "
                f"{kind}{hint_for_text(table, name) or hint}"
            )
        if not lists and is_list(kind):
            raise TypeError(
                "column 'candidate' must hold one id in each row, got lists; call it 'candidates'"
            )
    if "candidates" in table:
        return "impressions"
    return "pairs" if "candidate" in table else "histories"


def _nearest(name: str, names: list[str]) -> str:
    """Return ``" (is it 'x'?)"`` for the name most like `name`, or "" if none is close."""
    return did_you_mean(name, names, cutoff=0.7).replace("did you mean", "is it")


def warn_misspelled_columns(table: Table, context: Iterable[str] = ()) -> None:
    """Warn about unused columns that may be columns of X under another name.

    Parameters
    ----------
    table : Table
        X as a table.
    context : iterable of str, default=()
        Columns that are read as context.
    """
    unused = [name for name in table.names if name not in context]
    for name, hint in misspelled(unused).items():
        warn(f"column {name!r} of X is not used{hint}")
    if "candidates" not in table and "candidate" not in table:
        message = unread_candidates(unused)
        if message:
            warn(message)


def misspelled(names: list[str]) -> dict[str, str]:
    """Return the columns of X that may be meant as others, with ``" (did you mean 'x'?)"``."""
    hints = {
        name: "" if name in (*COLUMNS, *UNREAD) else did_you_mean(name, COLUMNS, cutoff=0.7)
        for name in names
    }
    return {
        name: hint
        for name, hint in hints.items()
        if hint and not any(known in names for known in COLUMNS if repr(known) in hint)
    }


def read_groups(table: Table, kind: str, n_rows: int) -> np.ndarray | None:
    """Return the group of each row (n,), in which its candidates are ranked; None without groups.

    The column `impression_id` defines the groups. Without it, each impression is a group, and pairs
    have none. Bare histories never have groups.
    """
    if kind == "histories":
        return None
    if "impression_id" not in table:
        return np.arange(n_rows) if kind == "impressions" else None
    column = table.column("impression_id")
    if column.null_count or is_list(column.type):
        raise ValueError("column 'impression_id' must hold one id in each row, no nulls")
    if pa.types.is_floating(column.type):
        refuse_rounded(column, "the ids in column 'impression_id'")
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64)


def read_user_ids(table: Table) -> pa.Array:
    """Return the distinct ids in the column `user_id`, sorted; raise a ValueError without it."""
    if "user_id" not in table:
        raise ValueError(
            "the behavior operator reads users, and X has no 'user_id' column; give one, or take "
            "an operator without user vectors"
        )
    ids = pc.drop_null(_user_column(table)).unique()
    return ids.take(pc.sort_indices(ids))


def read_users(table: Table, known: pa.Array, n_rows: int) -> np.ndarray:
    """Return the code of each row's user.

    Parameters
    ----------
    table : Table
        X as a table. Without a column `user_id`, all users are unknown.
    known : pyarrow.Array of shape (n_users,)
        Ids of the known users, as returned by `read_user_ids`.
    n_rows : int
        Number of rows.

    Returns
    -------
    ndarray of int64, shape (n_rows,)
        Position in `known` plus 1, and 0 for unknown users and rows without a user.

    Raises
    ------
    TypeError
        If the ids are strings and the known ids are ints, or the other way around.
    """
    if "user_id" not in table:
        return np.zeros(n_rows, dtype=np.int64)
    ids = _user_column(table)
    if ids.null_count == n_rows:
        return np.zeros(n_rows, dtype=np.int64)
    if ids.type != known.type:
        raise TypeError(f"column 'user_id' holds {ids.type}; in fit it held {known.type}")
    found = pc.index_in(ids, value_set=known, skip_nulls=True)
    return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1


def _user_column(table: Table) -> pa.Array:
    """Return the column `user_id` as int64 or large_string; null and NaN are null."""
    column = table.column("user_id").combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind, what = column.type, "the ids in column 'user_id'"
    if pa.types.is_floating(kind):  # pandas makes floats of ints with gaps
        column = pc.if_else(pc.is_nan(column), None, column)
        refuse_rounded(column, what)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise ValueError(f"{what} must be whole numbers or strings: {error}") from error
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.cast(pa.large_string())
    raise TypeError(f"column 'user_id' must hold one int or string in each row, got {kind}")


def read_weight(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Return the weights of rows.

    Parameters
    ----------
    sample_weight : array-like of shape (n_rows,) or None
        Weights: finite, not negative, and not all zero.
    n_rows : int
        Number of rows.

    Returns
    -------
    ndarray of float64, shape (n_rows,), or None
        None if `sample_weight` is None.

    Raises
    ------
    TypeError
        If the weights are not numbers.
    ValueError
        If there is not one weight per row, or weights have invalid values.
    """
    if sample_weight is None:
        return None
    try:
        array = np.asarray(sample_weight)
        if np.ma.is_masked(sample_weight):
            array = np.ma.filled(np.ma.asarray(sample_weight, dtype=np.float64), np.nan)
        if array.dtype.kind == "O":  # astype would convert an object array of strings to numbers
            array = np.asarray(array.tolist())
        if array.dtype.kind not in "biufO":
            raise TypeError(f"got {array.dtype}")
        weight = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"sample_weight must hold one number for each row of X: {error}") from error
    if weight.ndim != 1:
        raise ValueError(
            f"sample_weight must hold one number for each row of X, got shape {weight.shape}"
        )
    if len(weight) != n_rows:
        raise ValueError(f"X has {n_rows} rows but sample_weight has {len(weight)} numbers")
    if not np.isfinite(weight).all():
        raise ValueError("sample_weight holds NaN or infinite numbers")
    if (weight < 0).any():
        raise ValueError(f"sample_weight must not be negative, got {weight.min()}")
    if not weight.any():
        raise ValueError("sample_weight is zero for all rows; at least one must count")
    return weight
