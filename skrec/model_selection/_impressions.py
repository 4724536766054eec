"""What splitters read in rows: impressions, which stay whole, their users and their times."""

from __future__ import annotations

import numpy as np

from skrec._data.arrow import as_ids
from skrec._data.rows import read_groups, read_time
from skrec._data.table import Table


def count_rows(table: Table) -> int:
    """Return the number of rows."""
    return len(table.column(table.names[0])) if table.names else 0


def read_units(table: Table) -> np.ndarray:
    """Return the impression of each row (n,), numbered by first row: its id, else the row."""
    n_rows = count_rows(table)
    groups = read_groups(table, "pairs", n_rows)  # None: each row stands for itself
    if groups is None:
        return np.arange(n_rows)
    _, first, unit_of_row = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty_like(first)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[unit_of_row]


def read_unit_times(table: Table, unit_of_row: np.ndarray) -> np.ndarray | None:
    """Return the latest time of each impression's rows, or None where there is no `time`."""
    time = read_time(table, len(unit_of_row))
    if time is None:
        return None
    time_of_unit = np.full(int(unit_of_row.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(time_of_unit, unit_of_row, time)
    return time_of_unit


def read_unit_users(table: Table, unit_of_row: np.ndarray) -> np.ndarray:
    """Return the user of each impression, numbered."""
    if "user_id" not in table:
        raise ValueError(
            "X has no column 'user_id', so there is no telling whose rows are whose; its columns "
            f"are {', '.join(table.names)}"
        )
    ids = as_ids(table.column("user_id").combine_chunks(), "column 'user_id'")
    user_of_row = ids.dictionary_encode().indices.to_numpy().astype(np.int64)
    user = np.empty(int(unit_of_row.max(initial=-1)) + 1, dtype=np.int64)
    user[unit_of_row] = user_of_row
    strange = np.flatnonzero(user[unit_of_row] != user_of_row)
    if len(strange):
        impression = table.column("impression_id")[int(strange[0])].as_py()
        raise ValueError(f"impression_id {impression!r} has rows of two users; ids must be unique")
    return user
