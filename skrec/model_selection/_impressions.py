"""The impression of each row, and the time and user of each impression. Splits keep them whole."""

from __future__ import annotations

import numpy as np

from skrec._data.arrow import as_ids
from skrec._data.rows import read_groups
from skrec._data.table import Table
from skrec._data.times import read_time


def read_impression_of_row(table: Table) -> np.ndarray:
    """Return the impression of each row (n_rows,), numbered in order of first appearance.

    If the table has no column `impression_id`, each row is an impression.
    """
    n_rows = _count_rows(table)
    # With "pairs", the result is None if there is no column, whatever the kind of the table.
    groups = read_groups(table, "pairs", n_rows)
    if groups is None:
        return np.arange(n_rows)
    _, first_row, impression_of_row = np.unique(groups, return_index=True, return_inverse=True)
    number = np.empty_like(first_row)
    number[np.argsort(first_row)] = np.arange(len(first_row))
    return number[impression_of_row]


def count_impressions(impression_of_row: np.ndarray) -> int:
    """Return the number of distinct impressions."""
    return int(impression_of_row.max(initial=-1)) + 1


def read_impression_times(table: Table, impression_of_row: np.ndarray) -> np.ndarray | None:
    """Return the latest time in each impression, or None if there is no column `time`."""
    time_of_row = read_time(table, len(impression_of_row))
    if time_of_row is None:
        return None
    times = np.full(count_impressions(impression_of_row), -np.inf)
    np.maximum.at(times, impression_of_row, time_of_row)
    return times


def read_impression_users(table: Table, impression_of_row: np.ndarray) -> np.ndarray:
    """Return the user of each impression, as an integer code."""
    if "user_id" not in table:
        raise ValueError(
            "X has no column 'user_id', so there is no telling whose rows are whose; its columns "
            f"are {', '.join(table.names)}"
        )
    ids = as_ids(table.column("user_id").combine_chunks(), "column 'user_id'")
    user_of_row = ids.dictionary_encode().indices.to_numpy().astype(np.int64)
    users = np.empty(count_impressions(impression_of_row), dtype=np.int64)
    users[impression_of_row] = user_of_row
    contradicting = np.flatnonzero(users[impression_of_row] != user_of_row)
    if len(contradicting):
        impression = table.column("impression_id")[int(contradicting[0])].as_py()
        raise ValueError(f"impression_id {impression!r} has rows of two users; ids must be unique")
    return users


def _count_rows(table: Table) -> int:
    return len(table.column(table.names[0])) if table.names else 0
