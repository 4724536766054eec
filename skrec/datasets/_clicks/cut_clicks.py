"""Split of each user's clicks into train, valid and test impressions with sampled negatives.

::

    columns of ids --> positions among ids --> clicks by user and time --> blocks of impressions
                       (int32)

Ids are looked up once and are positions from then on. The sampled candidates stay in memory. The
lists of ids take more memory, so they are made block by block, while they are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.random import as_generator
from skrec._data.arrow import as_ids, lists
from skrec._data.ids import IdLookup
from skrec._data.ragged import gather_ranges, iterate_blocks, offsets_of
from skrec._data.table import Table
from skrec.datasets._clicks.unseen_items import UnseenItemSampler
from skrec.datasets._files.bunch import DataBunch

# number of impressions that are made at a time
BLOCK_ROWS = 1 << 16


@dataclass(frozen=True)
class Events:
    """Pairs of a user and an item, as positions among ids, of shape (n,), and optional times."""

    user: np.ndarray
    item: np.ndarray
    time: pa.Array | None

    def take(self, rows: np.ndarray) -> Events:
        """Select events by position, in this order, or by a mask."""
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        time = None if self.time is None else self.time.take(pa.array(rows))
        return Events(self.user[rows], self.item[rows], time)

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
            that have the same user, item and time count once. Without times, all events are kept.

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
        return events if is_first.all() else events.take(is_first)

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


@dataclass(frozen=True)
class ImpressionParts:
    """Impressions of train, valid and test.

    Parameters
    ----------
    n_users : int
        Number of users with enough clicks.
    n_left_out : int
        Number of users who clicked, but not often enough.
    n_rows : dict of str to int
        Number of impressions per part.
    tables : dict of str to iterator of pyarrow.Table
        Blocks of impressions per part. They are made on demand and can be read once.
    """

    n_users: int
    n_left_out: int
    n_rows: dict[str, int]
    tables: dict[str, Iterator[pa.Table]]

    def bunch(self) -> DataBunch:
        """Return all impressions and `n_users`, as `impressions_from_clicks` does."""
        tables = {name: pa.concat_tables(blocks) for name, blocks in self.tables.items()}
        return DataBunch(**tables, n_users=self.n_users)


def cut_clicks(
    clicks: Events, seen: Events, user_ids: pa.Array, item_ids: pa.Array, settings: dict[str, Any]
) -> ImpressionParts:
    """Split clicks as described in `impressions_from_clicks`, and sample negatives.

    Parameters
    ----------
    clicks : Events
    seen : Events
        Pairs of a user and an item that must not be a negative of the user.
    user_ids, item_ids : pyarrow.Array
        Ids that `clicks` and `seen` contain positions of. Negatives are drawn from all items.
    settings : dict
        Complete settings, as returned by `check_settings`.

    Returns
    -------
    ImpressionParts
    """
    rng = as_generator(settings["random_state"])
    log = _ClickLog(clicks, user_ids, item_ids, settings)
    sampler = UnseenItemSampler(seen.user, seen.item, user_ids, item_ids)
    test = log.n_clicks - settings["n_test"]
    valid = test - settings["n_valid"]
    train = valid - np.minimum(settings["n_train"], valid // 2)
    # train is drawn last, so that its settings do not change valid and test
    drawn = {
        name: _Part(log, sampler, start, stop, n_negatives, rng)
        for name, start, stop, n_negatives in (
            ("test", test, log.n_clicks, settings["n_negatives_eval"]),
            ("valid", valid, test, settings["n_negatives_eval"]),
            ("train", train, valid, settings["n_negatives"]),
        )
    }
    parts = {name: drawn[name] for name in ("train", "valid", "test")}
    n_rows = {name: part.n_rows for name, part in parts.items()}
    first = offsets_of(np.array(list(n_rows.values()))).tolist()
    tables = (part.tables(first_id) for part, first_id in zip(parts.values(), first, strict=False))
    return ImpressionParts(
        len(log.user), log.n_left_out, n_rows, dict(zip(parts, tables, strict=True))
    )


class _ClickLog:
    """Clicks sorted by user and time, without repeats, and the users with enough clicks.

    Attributes
    ----------
    events : Events
        Clicks in order.
    user : ndarray of int, shape (n_users,)
        Positions of the users with enough clicks.
    first : ndarray of int, shape (n_users,)
        Position in `events` of the first click of each of these users.
    n_clicks : ndarray of int, shape (n_users,)
        Number of clicks of each of these users.
    n_left_out : int
        Number of users who clicked, but not often enough.
    """

    def __init__(
        self, clicks: Events, user_ids: pa.Array, item_ids: pa.Array, settings: dict[str, Any]
    ):
        self.events = clicks.in_order(settings["first_only"])
        n_clicks = np.bincount(self.events.user, minlength=len(user_ids))
        kept = np.flatnonzero(n_clicks >= settings["min_clicks"])
        if not len(kept):
            raise ValueError(
                f"no user has min_clicks={settings['min_clicks']} clicks; the most is "
                f"{n_clicks.max(initial=0)}"
            )
        self.user_ids, self.item_ids = user_ids, item_ids
        self.max_history: int = settings["max_history"]
        self.user = kept
        self.n_left_out = int(np.count_nonzero(n_clicks)) - len(kept)
        self.first = offsets_of(n_clicks)[kept]
        self.n_clicks = n_clicks[kept]


class _Part:
    """Impressions of the clicks from `start` to `stop` of each user.

    Parameters
    ----------
    log : _ClickLog
    sampler : UnseenItemSampler
    start, stop : ndarray of int, shape (n_users,)
        Half-open range of clicks, counted from the user's first click.
    n_negatives : int
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        log: _ClickLog,
        sampler: UnseenItemSampler,
        start: np.ndarray,
        stop: np.ndarray,
        n_negatives: int,
        rng: np.random.Generator,
    ):
        self._log = log
        self._user = np.repeat(np.arange(len(start)), stop - start)
        self._click, _ = gather_ranges(log.first + start, log.first + stop)
        self._n_before = start
        self.n_rows = len(self._click)
        self._target = log.events.item[self._click][:, None]
        negatives = sampler.draw(log.user[self._user], n_negatives, rng)
        candidates = rng.permuted(np.hstack([self._target, negatives]), axis=1)
        self._candidates = candidates.astype(np.int32)

    def tables(self, first_id: int) -> Iterator[pa.Table]:
        """Yield blocks of impressions, at least one. Their ids count from `first_id`."""
        for rows in iterate_blocks(max(1, self.n_rows), BLOCK_ROWS):
            yield self._table(rows, first_id)

    def _table(self, rows: slice, first_id: int) -> pa.Table:
        """Return the impressions of a range of rows."""
        log = self._log
        user, click = self._user[rows], self._click[rows]
        n_before = self._n_before[user]
        end = log.first[user] + n_before
        n_kept = np.minimum(n_before, log.max_history)
        history, _ = gather_ranges(end - n_kept, end)
        candidates = self._candidates[rows]
        n_candidates = np.full(len(user), candidates.shape[1])
        clicked = (candidates == self._target[rows]).astype(np.int8)
        time = log.events.time
        return pa.table(
            {
                "impression_id": np.arange(len(user)) + (first_id + rows.start),
                "user_id": log.user_ids.take(pa.array(log.user[user])),
                **({} if time is None else {"time": time.take(pa.array(click))}),
                "history": self._lists(log.events.item[history], n_kept),
                "candidates": self._lists(candidates.ravel(), n_candidates),
                "clicked": lists(clicked.ravel(), n_candidates),
            }
        )

    def _lists(self, items: np.ndarray, lengths: np.ndarray) -> pa.Array:
        """Return lists of item ids."""
        return lists(self._log.item_ids.take(pa.array(items)), lengths)
