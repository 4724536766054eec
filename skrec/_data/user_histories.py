"""Histories of users that a recommender remembers: an immutable Arrow table, replaced as a whole.

::

    user_id   int64 or large_string   ascending, distinct
    history   lists of ids            oldest click first
    times     lists of times          of the clicks, if the log has times

The names of the log's columns are in the metadata of the table, and later logs are read by them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import preview
from skrec._data.arrow import as_ids, is_list, to_arrow
from skrec._data.click_events import Events
from skrec._data.click_log import ClickLog, Columns
from skrec._data.click_times import TIME_IN_ZONE, comparable_times
from skrec._data.ids import look_up
from skrec._data.items import Items
from skrec._data.ragged import offsets_of

KEY = b"skrec"  # of the metadata
TIMES = (TIME_IN_ZONE, pa.timestamp("us"), pa.float64())
ID_NAMES = {pa.int64(): "int", pa.large_string(): "str"}


def remember(log: ClickLog, columns: Columns) -> pa.Table:
    """Return the histories of all users of a log.

    Parameters
    ----------
    log : ClickLog
        Clicks in order.
    columns : Columns
        Names of the log's columns.

    Returns
    -------
    pyarrow.Table
    """
    user, lengths = log.users()
    offsets = pa.array(offsets_of(lengths))
    values = {"history": log.item_ids.take(pa.array(log.events.item))}
    if log.events.time is not None:
        values["times"] = comparable_times(log.events.time)
    parts = {name: pa.LargeListArray.from_arrays(offsets, flat) for name, flat in values.items()}
    parts = {"user_id": log.user_ids.take(pa.array(user)), **parts}
    about = json.dumps(asdict(columns)).encode()
    return pa.table(parts).replace_schema_metadata({KEY: about})


def columns_of(histories: pa.Table) -> Columns:
    """Return the names of the columns of the log that was remembered first."""
    names = json.loads(histories.schema.metadata[KEY])
    if not all(isinstance(name, str | None) for name in names.values()):
        raise ValueError(f"names of columns must be texts, got {names}")
    return Columns(**names)


def find_users(histories: pa.Table | None, users: Any) -> np.ndarray:
    """Return the rows of users, by a binary search.

    Parameters
    ----------
    histories : pyarrow.Table or None
    users : array-like of ids, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
        -1 for users who are not remembered.

    Raises
    ------
    TypeError
        If `users` is a single id or lists, or has ids of another type.
    """
    wanted = _as_users(users)
    if histories is None or not len(wanted):
        return np.full(len(wanted), -1)
    known = histories["user_id"].combine_chunks()
    if wanted.type != known.type:
        raise TypeError(
            f"users are {ID_NAMES.get(wanted.type, wanted.type)} ids, but the remembered users "
            f"have {ID_NAMES[known.type]} ids; convert them"
        )
    if not len(known):
        return np.full(len(wanted), -1)
    low, high = np.zeros(len(wanted), np.int64), np.full(len(wanted), len(known))
    while (low < high).any():
        middle = (low + high) // 2
        at = pa.array(np.minimum(middle, len(known) - 1))
        is_less = pc.less(known.take(at), wanted).to_numpy(zero_copy_only=False)
        is_open = low < high
        low = np.where(is_open & is_less, middle + 1, low)
        high = np.where(is_open & ~is_less, middle, high)
    at = np.minimum(low, len(known) - 1)
    is_found = pc.equal(known.take(pa.array(at)), wanted).to_numpy(zero_copy_only=False)
    return np.where(is_found, at, -1)


def _as_users(users: Any) -> pa.Array:
    """Return ids of users that a user of skrec passed; see `find_users`."""
    if isinstance(users, str | bytes) or not hasattr(users, "__iter__"):
        raise TypeError(f"users must be a flat sequence of user ids: write [{users!r}]")
    asked = to_arrow(users, "users")
    if is_list(asked.type):
        raise TypeError(f"users must be a flat sequence of user ids, got {asked.type}")
    return as_ids(asked, "users").combine_chunks()


def histories_of(histories: pa.Table | None, users: Any) -> pa.Table:
    """Return the histories of some users, in their order, or raise a ValueError that names others.

    Returns
    -------
    pyarrow.Table
        Columns `user_id` and `history`.
    """
    if histories is None:
        raise ValueError(
            "no histories are remembered, so users=... finds none: fit on a log of clicks, "
            "rec.fit(clicks, items), or add one by rec.update(clicks)"
        )
    rows = find_users(histories, users)
    if (rows < 0).any():
        unknown = _as_users(users).filter(pa.array(rows < 0)).unique().to_pylist()
        raise ValueError(
            f"{len(unknown)} users are not remembered, among them {preview(unknown)}; add their "
            "clicks by rec.update(clicks), or recommend to new users by their clicks, "
            "rec.recommend([[3, 8]]), or without any, rec.recommend([[]])"
        )
    return histories.select(["user_id", "history"]).take(pa.array(rows))


def forget(histories: pa.Table | None, users: Any) -> pa.Table:
    """Return the histories without those of some users, or raise a ValueError that names others."""
    histories_of(histories, users)  # raises
    assert histories is not None
    kept = np.ones(len(histories), dtype=bool)
    kept[find_users(histories, users)] = False
    # a filter copies, so that nothing of the others is left in memory
    return histories.filter(pa.array(kept)).combine_chunks()


def add_clicks(histories: pa.Table, log: ClickLog) -> pa.Table:
    """Return the histories with the clicks of a log, each at the place of its time.

    The result is that of `remember` for the clicks of both. If clicks have no times, the new ones
    follow the old ones.

    Parameters
    ----------
    histories : pyarrow.Table
    log : ClickLog
        Clicks in any order.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    TypeError
        If ids have other types than before.
    ValueError
        If times are missing, or can't be compared with those before.
    """
    rows = find_users(histories, log.user_ids)
    is_old = rows >= 0
    old = histories.take(pa.array(rows[is_old]))
    joined = _joined(old, np.flatnonzero(is_old), log)
    changed = remember(joined.in_order(), columns_of(histories))
    others = np.ones(len(histories), dtype=bool)
    others[rows[is_old]] = False
    parts = [histories.filter(pa.array(others)), changed]
    both = pa.concat_tables(parts)
    return both.take(pc.sort_indices(both["user_id"])).combine_chunks()


def _joined(old: pa.Table, user_of_row: np.ndarray, log: ClickLog) -> ClickLog:
    """Return the clicks of some histories and of a log as one log.

    Parameters
    ----------
    old : pyarrow.Table
        Histories of users of the log.
    user_of_row : ndarray of int, shape (n_old,)
        Position of each row's user among the users of the log.
    log : ClickLog
    """
    history = old["history"].combine_chunks()
    old_ids = history.flatten()
    if old_ids.type != log.item_ids.type:
        raise TypeError(
            f"the items of the new clicks have {ID_NAMES[log.item_ids.type]} ids, and those of the "
            f"remembered histories {ID_NAMES[old_ids.type]} ids; convert them"
        )
    ids = pa.concat_arrays([old_ids, log.item_ids]).unique()
    ids = ids.take(pc.sort_indices(ids))
    of_log = look_up(log.item_ids, ids, "items")[log.events.item]
    lengths = pc.list_value_length(history).to_numpy(zero_copy_only=False)
    user = np.concatenate([np.repeat(user_of_row, lengths), log.events.user])
    item = np.concatenate([look_up(old_ids, ids, "items"), of_log])
    time = _joined_times(old, log.events.time)
    return ClickLog(Events(user.astype(np.int32), item, time), log.user_ids, ids, log.report)


def _joined_times(old: pa.Table, new: pa.Array | None) -> pa.Array | None:
    """Return the times of histories and of new clicks, or raise a ValueError if they differ."""
    has_times = "times" in old.column_names
    if has_times != (new is not None):
        raise ValueError(
            "the remembered histories have times, and the new clicks have none; name their column "
            "with columns={'time': '...'}"
            if has_times
            else "the new clicks have times, and the remembered histories have none; leave them "
            "out with columns={'time': None} if the rows are in the order of the clicks"
        )
    if new is None:
        return None
    before = old["times"].combine_chunks().flatten()
    after = comparable_times(new, before.type)
    if before.type != after.type:
        raise ValueError(
            f"the times of the new clicks are {_kind_of_time(after.type)}, and those of the "
            f"remembered histories are {_kind_of_time(before.type)}; convert them"
        )
    return pa.concat_arrays([before, after])


def _kind_of_time(kind: pa.DataType) -> str:
    if kind == pa.float64():
        return "numbers from another start than 1970"
    return "timestamps without a zone" if kind.tz is None else "times in UTC"


def refuse_unknown_items(log: ClickLog, items: Items, is_allowed: bool) -> None:
    """Raise a ValueError if clicks are on items that are not in the catalogue, unless allowed."""
    clicked = log.item_ids.take(pa.array(np.unique(log.events.item)))
    unknown = clicked.filter(pa.array(items.codes(clicked, "the items of the clicks") < 0))
    if len(unknown) and not is_allowed:
        raise ValueError(
            f"{len(unknown)} items of the new clicks are missing from the catalogue of "
            f"{items.n_items} items, among them {preview(unknown.to_pylist())}; add them first: "
            "rec.add_items(items)"
        )


def are_histories(value: Any, items: Items) -> bool:
    """Whether a value is what `remember` returns, with ids of the type of a catalogue's."""
    if not isinstance(value, pa.Table) or value.column_names not in (
        ["user_id", "history"],
        ["user_id", "history", "times"],
    ):
        return False
    ids = {pa.int64(), pa.large_string()}
    kinds = {name: value.schema.field(name).type for name in value.column_names}
    try:
        columns_of(value)
        value.validate(full=True)
    except (pa.ArrowException, TypeError, KeyError, ValueError):
        return False
    if kinds["user_id"] not in ids or kinds["history"] != pa.large_list(items._ids.type):
        return False
    lists = {name: value[name].combine_chunks() for name in value.column_names[1:]}
    if any(each.null_count or each.flatten().null_count for each in lists.values()):
        return False
    if "times" in lists:
        lengths = [pc.list_value_length(each) for each in lists.values()]
        if kinds["times"] not in map(pa.large_list, TIMES) or not lengths[0].equals(lengths[1]):
            return False
    user = value["user_id"].combine_chunks()
    if user.null_count:
        return False
    return len(user) < 2 or bool(pc.all(pc.less(user[:-1], user[1:])).as_py())
