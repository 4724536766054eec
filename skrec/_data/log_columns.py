"""Which tables are logs of clicks, and the names of their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from skrec._common.messages import did_you_mean
from skrec._data.arrow import is_list
from skrec._data.click_log import Columns
from skrec._data.hints import LABEL_NAMES, named
from skrec._data.table import Table, is_table

ROWS = ("history", "candidates", "candidate")  # columns of X that no log has
TIMES = ("time", "timestamp")


def find_columns(X: Any, columns: Mapping[str, str | None] | None) -> Columns | None:
    """Return the names of the columns of a log of clicks; None if X is something else.

    Parameters
    ----------
    X : object
        An argument of `fit`.
    columns : mapping or None
        Names that the user gave; see `named_columns`. If None, only a table with the columns
        `user_id`, `item_id` and `time` or `timestamp` is a log.

    Returns
    -------
    Columns or None

    Raises
    ------
    TypeError, ValueError
        If `columns` is invalid, or X is no log. If a column looks like labels or ratings, so that
        some rows may be no clicks, and `columns` is None.
    """
    if columns is None and not is_table(X):
        return None
    if not is_table(X):
        raise TypeError(
            "columns names the columns of a log with one click per row, which is a table; X is of "
            f"type {type(X).__name__}"
        )
    table = Table(X)
    rows = [name for name in ROWS if name in table]
    if columns is not None:
        if rows:
            raise ValueError(
                f"columns names the columns of a log with one click per row, and X has the column "
                f"{rows[0]!r}, so it is none; leave columns out"
            )
        return named_columns(columns, table)
    times = [name for name in TIMES if name in table]
    if rows or "user_id" not in table or "item_id" not in table or len(times) != 1:
        return None
    if any(is_list(table.type(name)) for name in ("user_id", "item_id")):
        return None
    labels = named(table.names, LABEL_NAMES)
    if labels:
        raise ValueError(
            f"X looks like a log with one click per row, and its column {labels[0]!r} may say that "
            "some rows are no clicks: leave these rows out, and name the columns with "
            f"columns={{'user': 'user_id', 'item': 'item_id', 'time': {times[0]!r}}}"
        )
    return Columns(time=times[0])


def named_columns(
    columns: Mapping[str, str | None], table: Table, default: Columns | None = None
) -> Columns:
    """Return the names of the columns of a log, of which a user gave some.

    Parameters
    ----------
    columns : mapping
        Names of columns by "user", "item" and "time". The time may be None.
    table : Table
        The log.
    default : Columns, default=None
        Names that the user did not give. By default, they are `user_id`, `item_id`, and `time` or
        `timestamp`.

    Returns
    -------
    Columns
    """
    if default is None:
        default = Columns(time=next((name for name in TIMES if name in table), "time"))
    roles = asdict(default)
    example = "{'user': 'uid', 'item': 'sku', 'time': 'ts'}"
    if not isinstance(columns, Mapping):
        raise TypeError(f"columns must map roles to names, such as {example}, got {columns!r}")
    for role, name in columns.items():
        if role == "weight":
            raise ValueError(
                "columns has the role 'weight', and the clicks of a log all count alike. Make "
                f"impressions, which have weights: impressions_from_clicks(log, weight={name!r})"
            )
        if role not in roles:
            hint = did_you_mean(str(role), roles)
            raise ValueError(f"columns has the role {role!r}{hint}; write columns={example}")
        if not isinstance(name, str) and not (role == "time" and name is None):
            raise TypeError(f"columns[{role!r}] must be the name of a column, got {name!r}")
        if name is not None and name not in table:
            raise ValueError(
                f"columns[{role!r}] is {name!r}, which the log lacks"
                f"{did_you_mean(name, table.names)}; it has {', '.join(table.names)}"
            )
    return Columns(**roles | dict(columns))
