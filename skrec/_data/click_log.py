"""A log of clicks, with one click per row, from a table of any type.

::

    table or files --batches--> kept rows --> positions among ids (int32), times --> histories

The columns that are needed are read in batches, so files may be larger than memory. A click takes
16 bytes, 4 for its user, 4 for its item and 8 for its time, and 8 more if it has a weight. The
distinct ids are in memory, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import did_you_mean, preview, warn
from skrec._data.arrow import as_ids, lists
from skrec._data.click_events import Events
from skrec._data.click_times import check_row_order, checked_times
from skrec._data.ids import look_up
from skrec._data.item_table import is_indexed_by
from skrec._data.items import Items
from skrec._data.ragged import GrowingArray
from skrec._data.table import Table, is_table
from skrec._data.times import decoded

BATCH_ROWS = 1 << 20  # rows that are read at a time


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a log. Without a time, its rows are in the order of the clicks."""

    user: str = "user_id"
    item: str = "item_id"
    time: str | None = "time"


@dataclass(frozen=True)
class ClickLog:
    """Clicks of users on items.

    Attributes
    ----------
    events : Events
        The clicks, as positions among the ids.
    user_ids, item_ids : pyarrow.Array of int64 or large_string
        Distinct ids, ascending.
    report : dict of str to int
        Number of rows that were read, and of those that were left out, by the reason.
    """

    events: Events
    user_ids: pa.Array
    item_ids: pa.Array
    report: dict[str, int]

    def of_items(self, ids: pa.Array) -> ClickLog:
        """Return the clicks on some items, which become `item_ids`, and count the others.

        Parameters
        ----------
        ids : pyarrow.Array of int64 or large_string
            Distinct ids.
        """
        item = look_up(self.item_ids, ids, "the items of the clicks")[self.events.item]
        known = item >= 0
        events = replace(self.events, item=item).take(known)
        n_unknown = len(known) - int(known.sum())
        return replace(
            self, events=events, item_ids=ids, report=self.report | {"n_unknown_items": n_unknown}
        )

    def in_order(self, first_only: bool = False) -> ClickLog:
        """Return the clicks by user and time, without repeats, which are counted.

        See `Events.in_order`.
        """
        events = self.events.in_order(first_only)
        n_repeated = len(self.events.user) - len(events.user)
        return replace(self, events=events, report=self.report | {"n_repeated": n_repeated})

    def users(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the users with clicks, and the number of clicks of each."""
        n_clicks = np.bincount(self.events.user, minlength=len(self.user_ids))
        user = np.flatnonzero(n_clicks)
        return user, n_clicks[user]

    def histories(self) -> pa.Table:
        """Return one row per user with clicks, by ascending id.

        Returns
        -------
        pyarrow.Table
            Columns `user_id`, `history` and, if the clicks have times, `time` (of the last click)
            and `times` (of all clicks). Lists are in the order of the clicks.
        """
        events = self.events
        user, lengths = self.users()
        columns = {
            "user_id": self.user_ids.take(pa.array(user)),
            "history": lists(self.item_ids.take(pa.array(events.item)), lengths),
        }
        if events.time is not None:
            columns["time"] = events.time.take(pa.array(np.cumsum(lengths) - 1))
            columns["times"] = lists(events.time, lengths)
        return pa.table(columns)

    def full_report(self) -> dict[str, int]:
        """Return `report` with the numbers of clicks, users and items that are kept."""
        return self.report | {
            "n_clicks": len(self.events.user),
            "n_users": len(np.unique(self.events.user)),
            "n_items": len(np.unique(self.events.item)),
        }


def describe(report: dict[str, int]) -> str:
    """Return a report in words, such as "9 clicks of 2 users on 7 items; left out: 1 repeated"."""
    kept = f"{report['n_clicks']:,} clicks of {report['n_users']:,} users"
    if "n_items" in report:
        kept += f" on {report['n_items']:,} items"
    reasons = {
        "n_other_events": "other events",
        "n_without_user": "without a user",
        "n_unknown_items": "on items that are not in the catalogue",
        "n_repeated": "repeated",
        "n_of_few": "of users with few clicks",
    }
    left = [f"{report[name]:,} {why}" for name, why in reasons.items() if report.get(name)]
    return kept + ("; left out: " + ", ".join(left) if left else "")


def warn_of_rows(report: dict[str, int]) -> None:
    """Warn if clicks are left out because of their user or item."""
    reasons = {"n_without_user": "have no user", "n_unknown_items": "are on unknown items"}
    found = [f"{report[name]:,} {why}" for name, why in reasons.items() if report.get(name)]
    if found:
        n_clicks = report["n_rows"] - report["n_other_events"]
        warn(f"of {n_clicks:,} clicks, {' and '.join(found)}; they are left out")


def read_log(
    data: Any,
    columns: Columns,
    event: Any = None,
    weight: str | None = None,
    name: str = "clicks",
) -> ClickLog:
    """Read a log of clicks.

    Parameters
    ----------
    data : table or Table
        Data frame, Arrow table, mapping, ``datasets.Dataset``, or paths of parquet files.
    columns : Columns
        Names of the columns. If the table has no column for the times, its rows must be in the
        order of the clicks. This is checked, unless the time is None.
    event : mapping or pyarrow.compute.Expression, default=None
        Which rows are clicks; see `EventFilter`.
    weight : str, default=None
        Name of the column with the weights of the clicks.
    name : str, default="clicks"
        Name of the table, for error messages.

    Returns
    -------
    ClickLog
        Rows without a user, whose id is null or blank, are left out.

    Raises
    ------
    ValueError
        If a column is missing or has nulls, or a time or weight is invalid.
    TypeError
        If ids are neither ints nor strings, times are texts, or weights are no numbers.
    """
    table = data if isinstance(data, Table) else Table(data)
    is_click = EventFilter(event, table, name)
    names = _present(columns, weight, table, name)
    is_checked = "time" not in names and columns.time is not None
    rows = _ReadRows(names, name, is_checked)
    needed = list(dict.fromkeys([*names.values(), *is_click.columns]))
    for batch in table.batches(needed, BATCH_ROWS):
        rows.add(batch, is_click(batch))
    is_click.check_found()
    report = rows.report()
    if is_checked:
        skipped = *names.values(), *is_click.columns
        check_row_order(data, table, rows.user_of_row.array(), skipped)
    time = checked_times(*rows.column("time")) if "time" in names else None
    weights = _checked_weights(*rows.column("weight")) if weight is not None else None
    user_ids, user = rows.users.ascending()
    item_ids, item = rows.items.ascending()
    return ClickLog(Events(user, item, time, weights), user_ids, item_ids, report)


def _present(columns: Columns, weight: str | None, table: Table, name: str) -> dict[str, str]:
    """Return the names of the columns of a log by their roles, or raise an error.

    The time is left out if it is None, or if the table has no column `time`.
    """
    names = {"user": columns.user, "item": columns.item}
    if columns.time is not None and (columns.time != "time" or "time" in table):
        names["time"] = columns.time
    if weight is not None:
        names["weight"] = weight
    for column in names.values():
        if column not in table:
            raise ValueError(f"{name} has no column {column!r}, only {', '.join(table.names)}")
    if len(set(names.values())) < len(names):
        shown = ", ".join(names.values())
        raise ValueError(f"one column of {name} has two roles: {shown}")
    return names


class _ReadRows:
    """Clicks of a log that is read in batches.

    Parameters
    ----------
    names : dict of str to str
        Names of the columns by their roles.
    log : str
        Name of the log, for error messages.
    keeps_rows : bool
        Whether to keep the user of each row that was read, for `check_row_order`.
    """

    def __init__(self, names: dict[str, str], log: str, keeps_rows: bool):
        self._names, self._log, self._keeps_rows = names, log, keeps_rows
        self.users, self.items = _Ids(self._what("user")), _Ids(self._what("item"))
        self.user_of_row = GrowingArray(np.int32)
        self._chunks: dict[str, list[pa.Array]] = {role: [] for role in names}
        self._n_rows = self._n_events = 0

    def _what(self, role: str) -> str:
        """Return the description of a column for error messages."""
        return f"column {self._names[role]!r} of {self._log}"

    def add(self, batch: pa.Table, is_click: np.ndarray) -> None:
        """Add the rows of a batch that are clicks and have a user."""
        kept = is_click & _is_named(batch[self._names["user"]])
        self._n_rows += len(kept)
        self._n_events += int(is_click.sum())
        clicks = batch.filter(pa.array(kept))
        user = self.users.codes(clicks[self._names["user"]])
        self.items.codes(clicks[self._names["item"]])
        for role in ("time", "weight"):
            if role in self._names:
                self._chunks[role] += clicks[self._names[role]].chunks
        if self._keeps_rows:
            row = np.full(len(kept), -1, dtype=np.int32)
            row[kept] = user
            self.user_of_row.append(row)

    def column(self, role: str) -> tuple[pa.ChunkedArray, str]:
        """Return the values of all clicks, and the description of their column."""
        return pa.chunked_array(self._chunks[role]), self._what(role)

    def report(self) -> dict[str, int]:
        """Return the number of rows that were read and left out.

        Raises
        ------
        ValueError
            If items are null, or there are no clicks.
        """
        self.items.refuse_nulls()
        report = {
            "n_rows": self._n_rows,
            "n_other_events": self._n_rows - self._n_events,
            "n_without_user": self._n_events - self.users.n,
        }
        if not self.users.n:
            left_out = describe(report | {"n_clicks": 0, "n_users": 0})
            raise ValueError(f"{self._log} has no clicks: {self._n_rows} rows, {left_out}")
        return report


def _checked_weights(column: pa.ChunkedArray, what: str) -> np.ndarray:
    """Return weights of clicks as float64, or raise an error if they are not positive numbers."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise TypeError(f"{what} must contain positive numbers, the weights, got {column.type}")
    weight = column.cast(pa.float64()).to_numpy()
    n_bad = int(np.count_nonzero(~(np.isfinite(weight) & (weight > 0))))
    if n_bad:
        raise ValueError(
            f"{what} has {n_bad} values that are no positive numbers; leave these rows out, for "
            "instance with event=pc.field(...) > 0, if they are no clicks"
        )
    return weight


def as_catalogue(items: Any, id: str) -> Any:
    """Return a catalogue; its id column is `item_id`, or else has the name of that of a log.

    Parameters
    ----------
    items : Items, DataFrame-like, mapping or list of texts
    id : str
        Name of the column with the items in the log of clicks.

    Returns
    -------
    Items, or `items` unchanged if its id column is not named `id`
    """
    if isinstance(items, Items) or id == "item_id":
        return items
    if is_indexed_by(items, id):
        return Items(items, id=id)
    if is_table(items) and not is_indexed_by(items, "item_id"):
        names = Table(items).names
        if id in names and "item_id" not in names:
            return Items(items, id=id)
    return items


class EventFilter:
    """Choice of the rows that are clicks.

    Parameters
    ----------
    event : mapping, pyarrow.compute.Expression or None
        The value, or the list of values, that columns must have, by their names. Or an expression,
        such as ``pc.field("rating") >= 4``. None chooses all rows.
    table : Table
    name : str
        Name of the table, for error messages.
    """

    def __init__(self, event: Any, table: Table, name: str):
        self._name = name
        self._values: dict[str, pa.Array] = {}
        self._found: dict[str, bool] = {}
        self._expression: Any = None
        if event is None:
            self.columns: list[str] = []
        elif isinstance(event, pc.Expression):
            # a name may also be found within a longer one, which does no harm
            self._expression = event
            self.columns = [column for column in table.names if column in str(event)]
        elif isinstance(event, Mapping) and event:
            for column, values in event.items():
                if column not in table:
                    raise ValueError(
                        f"event names a column {column!r} that {name} lacks"
                        f"{did_you_mean(str(column), table.names)}"
                    )
                single = isinstance(values, str | bytes) or not hasattr(values, "__iter__")
                self._values[column] = pa.array([values] if single else list(values))
            self._found = dict.fromkeys(self._values, False)
            self.columns = list(self._values)
        else:
            raise TypeError(
                "event must map a column to the values that are kept, such as "
                "{'action': ['buy', 'cart']}, or be an expression of pyarrow, such as "
                f"pc.field('rating') >= 4, got {event!r}"
            )

    def __call__(self, batch: pa.Table) -> np.ndarray:
        """Return which rows of a batch are clicks, as an ndarray of bool. Nulls are none."""
        mask = np.ones(batch.num_rows, dtype=bool)
        if self._expression is not None:
            columns = {name: decoded(batch[name]) for name in self.columns}
            row = pa.array(np.arange(batch.num_rows))
            try:
                kept = pa.table(columns | {"": row}).filter(self._expression)
            except (pa.ArrowException, KeyError) as error:
                raise ValueError(
                    f"event does not fit the columns of {self._name}: {error}"
                ) from error
            mask[:] = False
            mask[kept[""].to_numpy()] = True
        for column, values in self._values.items():
            known = decoded(batch[column])
            try:
                is_kept = pc.is_in(known, value_set=values.cast(known.type)).to_numpy()
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
                raise TypeError(
                    f"event compares column {column!r}, of {known.type}, with "
                    f"{preview(values.to_pylist())}"
                ) from error
            mask &= is_kept
            self._found[column] |= bool(is_kept.any())
        return mask

    def check_found(self) -> None:
        """Raise a ValueError if no row has one of the values."""
        for column, found in self._found.items():
            if not found:
                raise ValueError(
                    f"event keeps the rows of {self._name} with "
                    f"{preview(self._values[column].to_pylist())} in column {column!r}, and there "
                    "are none"
                )


class _Ids:
    """Distinct ids of a column that is read in batches, and the position of each row's id.

    Parameters
    ----------
    what : str
        Description of the column.
    """

    def __init__(self, what: str):
        self._what = what
        self._ids: pa.Array | None = None
        self._codes = GrowingArray(np.int32)
        self.n = self._n_nulls = 0

    def codes(self, column: pa.ChunkedArray) -> np.ndarray:
        """Append a batch, and return the position of each row's id in order of appearance."""
        self._n_nulls += column.null_count
        encoded = decoded(column.drop_null()).combine_chunks().dictionary_encode()
        distinct = as_ids(encoded.dictionary, self._what)
        if self._ids is None or not len(self._ids):
            self._ids = distinct[:0] if len(distinct) else distinct
        at = pc.index_in(distinct, value_set=self._ids).to_numpy(zero_copy_only=False)
        is_new = np.isnan(at) if at.dtype.kind == "f" else np.zeros(len(at), dtype=bool)
        position = np.where(is_new, len(self._ids) + np.cumsum(is_new) - 1, at).astype(np.int32)
        self._ids = pa.concat_arrays([self._ids, distinct.filter(pa.array(is_new))])
        codes = position[encoded.indices.to_numpy()]
        self._codes.append(codes)
        self.n += len(codes)
        return codes

    def refuse_nulls(self) -> None:
        """Raise a ValueError if the column has nulls."""
        if self._n_nulls:
            raise ValueError(f"{self._what} has {self._n_nulls} nulls")

    def ascending(self) -> tuple[pa.Array, np.ndarray]:
        """Return the distinct ids, ascending, and the position of each row's id in them."""
        assert self._ids is not None
        order = pc.sort_indices(self._ids)
        rank = np.empty(len(self._ids), dtype=np.int32)
        rank[order.to_numpy()] = np.arange(len(self._ids), dtype=np.int32)
        return self._ids.take(order), rank[self._codes.array()]


def _is_named(column: pa.ChunkedArray) -> np.ndarray:
    """Return which rows have a user, whose id is neither null, NaN nor blank."""
    if pa.types.is_dictionary(column.type):
        column = decoded(column)
    named = column.is_valid()
    if pa.types.is_floating(column.type):
        named = pc.and_(named, pc.invert(pc.is_nan(column)).fill_null(False))
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        named = pc.not_equal(pc.utf8_trim_whitespace(column), "").fill_null(False)
    return named.to_numpy()
