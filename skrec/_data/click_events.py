"""Clicks as positions of users and items among their ids, and the columns that they come from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._data.arrow import as_ids
from skrec._data.ids import IdLookup
from skrec._data.table import Table


@dataclass(frozen=True)
class Events:
    """Pairs of a user and an item, as positions among ids, with optional times and weights.

    All have the shape (n,).
    """

    user: np.ndarray
    item: np.ndarray
    time: pa.Array | None
    weight: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Events:
        """Select events by position, in this order, or by a mask."""
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        time = None if self.time is None else self.time.take(pa.array(rows))
        weight = None if self.weight is None else self.weight[rows]
        return Events(self.user[rows], self.item[rows], time, weight)

    def order(self) -> np.ndarray:
        """Return the positions of all events, sorted by user, then time, then item.

        Without times, the events of a user stay in their order.
        """
        by_user = (self.user,)
        return np.lexsort(by_user if self.time is None else (self.item, self._times(), *by_user))

    def in_order(self, first_only: bool) -> Events:
        """Sort events by user, then time, then item, and leave out repeated events.

        Parameters
        ----------
        first_only : bool
            Whether to keep only the first event of each pair of user and item. Otherwise, events
            that have the same user, item and time count once, and their weights are added up.
            Without times, all events are kept.

        Returns
        -------
        Events
        """
        events = self.take(self.order())
        if first_only:
            return events.take(events.first_of_each_pair())
        if events.time is None:
            return events
        columns = (events.user, events.item, events._times())
        is_first = np.ones(len(events.user), dtype=bool)
        is_first[1:] = np.any([values[1:] != values[:-1] for values in columns], axis=0)
        if is_first.all():
            return events
        kept = events.take(is_first)
        if events.weight is None:
            return kept
        return replace(kept, weight=np.add.reduceat(events.weight, np.flatnonzero(is_first)))

    def first_of_each_pair(self) -> np.ndarray:
        """Return the position of the first event of each pair of user and item, ascending.

        The first event is the earliest one. Without times, it is the one with the lowest position.
        """
        pair = self.user.astype(np.int64) * (int(self.item.max(initial=0)) + 1) + self.item
        order = np.lexsort((pair,) if self.time is None else (self._times(), pair))
        is_first = np.diff(pair[order], prepend=-1) != 0
        return np.sort(order[is_first])

    def _times(self) -> np.ndarray:
        assert self.time is not None
        return self.time.to_numpy(zero_copy_only=False)


def read_columns(
    data: Any, name: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, pa.ChunkedArray]:
    """Return columns of a table.

    Parameters
    ----------
    data : table or Table
    name : str
        Name of the table, for error messages.
    required, optional : tuple of str
        Names of columns. Optional columns that the table lacks are left out.

    Returns
    -------
    dict of str to pyarrow.ChunkedArray

    Raises
    ------
    ValueError
        If a required column is missing or a column contains nulls.
    """
    table = data if isinstance(data, Table) else Table(data)
    missing = [column for column in required if column not in table]
    if missing:
        raise ValueError(f"{name} has no column {missing[0]!r}, only {', '.join(table.names)}")
    present = [*required, *(column for column in optional if column in table)]
    columns = {column: table.column(column) for column in present}
    for column, values in columns.items():
        if values.null_count:
            raise ValueError(f"column {column!r} of {name} has {values.null_count} nulls")
    return columns


def encode_ids(column: pa.ChunkedArray, name: str) -> tuple[pa.Array, np.ndarray]:
    """Return the distinct ids of a column, ascending, and the position of each row's id in them.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of shape (n,)
    name : str
        Name of the column, for error messages.

    Returns
    -------
    ids : pyarrow.Array of int64 or large_string
    positions : ndarray of int32, shape (n,)
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    # all chunks share one dictionary
    chunks = column.dictionary_encode().chunks
    ids = as_ids(chunks[0].dictionary if chunks else pa.array([], column.type), name)
    order = pc.sort_indices(ids)
    rank = np.empty(len(ids), dtype=np.int32)
    rank[order.to_numpy()] = np.arange(len(ids))
    rows = [rank[chunk.indices.to_numpy()] for chunk in chunks]
    return ids.take(order), np.concatenate([np.empty(0, dtype=np.int32), *rows])


def positions_in(ids: pa.Array, column: pa.ChunkedArray, name: str) -> np.ndarray:
    """Return the position in `ids` of each id of a column, as int32. Unknown ids are -1.

    Parameters
    ----------
    ids : pyarrow.Array
    column : pyarrow.ChunkedArray of shape (n,)
    name : str
        Name of the column, for error messages.

    Returns
    -------
    ndarray of int32, shape (n,)
    """
    distinct, row = encode_ids(column, name)
    return IdLookup(ids).codes(distinct, name)[row]
