"""From who clicked what to impressions: users' clicks in order, cut, beside sampled negatives.

::

    columns of ids --> positions among ids --> clicks by user and time --> impressions, some rows
                       (int32)                                             at a time

Ids are looked up once and are positions from there on. What was drawn of a part stays in memory;
its lists of ids, which take most of the room, are made while they are written or gathered.
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
from skrec.datasets._clicks.unseen_items import NegativeSampler

# impressions that are made at a time
ROWS = 1 << 16


@dataclass(frozen=True)
class Events:
    """Who met what, as positions among ids, of shape (n,); and when, if that is known."""

    user: np.ndarray
    item: np.ndarray
    time: pa.Array | None

    def take(self, rows: np.ndarray) -> Events:
        """Return some events, in a new order or by a mask."""
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        time = None if self.time is None else self.time.take(pa.array(rows))
        return Events(self.user[rows], self.item[rows], time)

    def by_time(self) -> np.ndarray:
        """Return the order by user, then time, then item."""
        by_user = (self.user,)
        return np.lexsort(by_user if self.time is None else (self.item, self._times(), *by_user))

    def first_meetings(self) -> np.ndarray:
        """Return the first event, in time or as they stand, of each user with each item."""
        pair = self.user.astype(np.int64) * (int(self.item.max(initial=0)) + 1) + self.item
        order = np.lexsort((pair,) if self.time is None else (self._times(), pair))
        is_first = np.diff(pair[order], prepend=-1) != 0
        return np.sort(order[is_first])

    def _times(self) -> np.ndarray:
        assert self.time is not None
        return self.time.to_numpy(zero_copy_only=False)


def columns_of(
    data: Any, what: str, needed: tuple[str, ...], wanted: tuple[str, ...] = ()
) -> dict[str, pa.ChunkedArray]:
    """Return some columns of a table, without nulls; those that are `wanted` if it has them."""
    table = Table(data)
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(f"{what} has no column {missing[0]!r}, only {', '.join(table.names)}")
    names = [*needed, *(name for name in wanted if name in table)]
    columns = {name: table.column(name) for name in names}
    for name, column in columns.items():
        if column.null_count:
            raise ValueError(f"column {name!r} of {what} has {column.null_count} nulls")
    return columns


def coded(column: pa.ChunkedArray, what: str) -> tuple[pa.Array, np.ndarray]:
    """Return the distinct ids of a column, ascending, and the position among them of each row's.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of shape (n,)
    what : str
        How messages call it.

    Returns
    -------
    ids : pyarrow.Array of int64 or large_string
    positions : ndarray of int32, shape (n,)
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    # the chunks share one dictionary, of the ids of all
    chunks = column.dictionary_encode().chunks
    ids = as_ids(chunks[0].dictionary if chunks else pa.array([], column.type), what)
    order = pc.sort_indices(ids)
    rank = np.empty(len(ids), dtype=np.int32)
    rank[order.to_numpy()] = np.arange(len(ids))
    rows = [rank[chunk.indices.to_numpy()] for chunk in chunks]
    return ids.take(order), np.concatenate([np.empty(0, dtype=np.int32), *rows])


def positions(column: pa.ChunkedArray, ids: pa.Array, what: str) -> np.ndarray:
    """Return where the ids of a column are among `ids`, as int32; -1 for those that are not."""
    distinct, row = coded(column, what)
    return IdLookup(ids).codes(distinct, what)[row]


@dataclass(frozen=True)
class Cut:
    """Impressions: their number in each part, and what makes them, once."""

    n_users: int
    n_rows: dict[str, int]
    tables: dict[str, Iterator[pa.Table]]


def cut_clicks(
    clicks: Events, met: Events, user_ids: pa.Array, item_ids: pa.Array, settings: dict[str, Any]
) -> Cut:
    """Cut clicks into parts, as `impressions_from_clicks` says, and sample negatives.

    Parameters
    ----------
    clicks : Events
    met : Events
        What is no negative of a user.
    user_ids, item_ids : pyarrow.Array
        What `clicks` and `met` are positions in; negatives are drawn from all items.
    settings : dict
        All of `check_settings`.

    Returns
    -------
    Cut
        Of train, valid and test.
    """
    rng = as_generator(settings["random_state"])
    log = _Log(clicks, user_ids, item_ids, settings)
    sampler = NegativeSampler(met.user, met.item, user_ids, item_ids)
    test = log.n_clicks - settings["n_test"]
    valid = test - settings["n_valid"]
    train = valid - np.minimum(settings["n_train"], valid // 2)
    # Train is drawn last: its settings then leave valid and test as they are.
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
    return Cut(len(log.user), n_rows, dict(zip(parts, tables, strict=True)))


class _Log:
    """Clicks in order; and of each user kept who it is, the first click, and their number."""

    def __init__(
        self, clicks: Events, user_ids: pa.Array, item_ids: pa.Array, settings: dict[str, Any]
    ):
        n_clicks = np.bincount(clicks.user, minlength=len(user_ids))
        kept = np.flatnonzero(n_clicks >= settings["min_clicks"])
        if not len(kept):
            raise ValueError(
                f"no user has min_clicks={settings['min_clicks']} clicks; the most is "
                f"{n_clicks.max(initial=0)}"
            )
        self.events = clicks.take(clicks.by_time())
        self.user_ids, self.item_ids = user_ids, item_ids
        self.max_history: int = settings["max_history"]
        self.user = kept
        self.first = offsets_of(n_clicks)[kept]
        self.n_clicks = n_clicks[kept]


class _Part:
    """An impression for each click from start to stop, both counted from a user's first."""

    def __init__(
        self,
        log: _Log,
        sampler: NegativeSampler,
        start: np.ndarray,
        stop: np.ndarray,
        n_negatives: int,
        rng: np.random.Generator,
    ):
        self._log = log
        self._owner = np.repeat(np.arange(len(start)), stop - start)
        self._click, _ = gather_ranges(log.first + start, log.first + stop)
        self._n_before = start
        self.n_rows = len(self._click)
        self._target = log.events.item[self._click][:, None]
        negatives = sampler.draw(log.user[self._owner], n_negatives, rng)
        candidates = rng.permuted(np.hstack([self._target, negatives]), axis=1)
        self._candidates = candidates.astype(np.int32)

    def tables(self, first_id: int) -> Iterator[pa.Table]:
        """Yield the impressions; there is one table at least."""
        for rows in iterate_blocks(max(1, self.n_rows), ROWS):
            yield self._table(rows, first_id)

    def _table(self, rows: slice, first_id: int) -> pa.Table:
        log = self._log
        owner, click = self._owner[rows], self._click[rows]
        n_before = self._n_before[owner]
        end = log.first[owner] + n_before
        n_kept = np.minimum(n_before, log.max_history)
        history, _ = gather_ranges(end - n_kept, end)
        candidates = self._candidates[rows]
        n_candidates = np.full(len(owner), candidates.shape[1])
        clicked = (candidates == self._target[rows]).astype(np.int8)
        time = log.events.time
        return pa.table(
            {
                "impression_id": np.arange(len(owner)) + (first_id + rows.start),
                "user_id": log.user_ids.take(pa.array(log.user[owner])),
                **({} if time is None else {"time": time.take(pa.array(click))}),
                "history": self._lists(log.events.item[history], n_kept),
                "candidates": self._lists(candidates.ravel(), n_candidates),
                "clicked": lists(clicked.ravel(), n_candidates),
            }
        )

    def _lists(self, items: np.ndarray, lengths: np.ndarray) -> pa.Array:
        return lists(self._log.item_ids.take(pa.array(items)), lengths)
