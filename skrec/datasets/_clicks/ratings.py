"""Data sets of ratings or other events: from a catalogue and a table of events to impressions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from skrec._data.click_events import Events, encode_ids, positions_in, read_columns
from skrec.datasets._clicks.cut_clicks import cut_clicks
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.texts import is_text

MAX_PENDING_ROWS = 1 << 20  # number of rows that are collected before repeated items are dropped
_DESCR_COUNTS = """
Source       {n_ratings:,} {events} of {n_items:,} items by {n_raters:,} users
Clicks       {rule}
Repeats      {repeats}
Users        {n_users:,} with enough clicks
Rows         {n_train:,} impressions in train, {n_valid:,} in valid, {n_test:,} in test, made by
             skrec.datasets.impressions_from_clicks({settings})
"""


def dataset_from_ratings(
    items: pa.Table,
    events: pa.Table,
    description: str,
    settings: dict[str, Any],
    converter: Converter,
    *,
    threshold: float | None = None,
    event_name: str = "ratings",
    order: np.ndarray | None = None,
) -> DataBunch:
    """Turn ratings or other events into a data set of impressions.

    Parameters
    ----------
    items : pyarrow.Table
        Items with the column `item_id`. If an id occurs several times, its first row is used. Rows
        without an id are left out.
    events : pyarrow.Table
        Columns `user_id`, `item_id`, optionally `time`, and `rating` if there is a threshold.
        Events of unknown items are left out, as are events whose user is an empty text. If the
        table is mapped, only a few numbers per event are loaded into memory.
    description : str
        Description of the data, their owner, and what to cite.
    settings : dict
        Complete settings of `impressions_from_clicks`.
    converter : Converter
        Writer of the impressions.
    threshold : float, default=None
        Lowest rating that is a click. None makes each event a click.
    event_name : str, default="ratings"
        Name of the events in the description.
    order : ndarray of int, shape (n_events,), default=None
        Order of events without times. None uses the order of the rows.

    Returns
    -------
    DataBunch
        Fields `items`, `train`, `valid`, `test`, `feature_names` and `DESCR`.
    """
    from skrec._data.items import Items

    items = first_row_per_item(items.filter(is_text(items["item_id"])))
    item_ids, _ = encode_ids(items["item_id"], "item_id")
    user_ids, seen, clicks = _encode_events(events, item_ids, event_name, threshold, order)
    parts = cut_clicks(clicks, seen, user_ids, item_ids, settings)
    catalogue = Items(items)
    counts = _DESCR_COUNTS.format(
        n_ratings=len(seen.user),
        events=event_name,
        n_items=catalogue.n_items,
        n_raters=np.count_nonzero(np.bincount(seen.user)),
        rule=f"all {event_name}"
        if threshold is None
        else f"{event_name} of at least {threshold:g}",
        repeats="only the first click of a user on an item"
        if settings["first_only"]
        else "clicks with the same user, item and time count once",
        n_users=parts.n_users,
        **{f"n_{name}": n for name, n in parts.n_rows.items()},
        settings=", ".join(f"{name}={value!r}" for name, value in settings.items()),
    )
    return DataBunch(
        items=catalogue,
        **{name: converter.write(name, tables) for name, tables in parts.tables.items()},
        feature_names=list(catalogue.roles),
        DESCR=description.rstrip("\n") + "\n" + counts,
    )


def _encode_events(
    events: pa.Table,
    item_ids: pa.Array,
    event_name: str,
    threshold: float | None,
    order: np.ndarray | None,
) -> tuple[pa.Array, Events, Events]:
    """Return the ids of the users, the events of known items, and those events that are clicks."""
    columns = read_columns(
        events, f"the table of {event_name}", ("user_id", "item_id"), ("time", "rating")
    )
    user_ids, user = encode_ids(columns["user_id"], "user_id")
    item = positions_in(item_ids, columns["item_id"], "item_id")
    time = columns["time"].combine_chunks() if "time" in columns else None
    is_user = is_text(user_ids).to_numpy(zero_copy_only=False)
    is_known = (item >= 0) & is_user[user]
    rows = np.flatnonzero(is_known) if order is None else order[is_known[order]]
    seen = Events(user, item, time).take(rows)
    if threshold is None:
        return user_ids, seen, seen
    return user_ids, seen, seen.take(columns["rating"].to_numpy()[rows] >= threshold)


def first_row_per_item(items: pa.Table) -> pa.Table:
    """Keep the first row of each `item_id`."""
    at = pa.array(np.arange(items.num_rows))
    first = (
        pa.table({"item_id": items["item_id"], "at": at})
        .group_by("item_id")
        .aggregate([("at", "min")])
    )
    is_first = np.zeros(items.num_rows, dtype=bool)
    is_first[first["at_min"].to_numpy()] = True
    # a filter keeps the chunks, which together can contain more text than one chunk can
    return items.filter(pa.array(is_first))


class ItemCollector:
    """Collector of item rows from several tables, which keeps the first row of each `item_id`."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._n_rows, self._n_distinct = 0, 0

    def add(self, table: pa.Table) -> None:
        """Add rows. All tables must have the same columns."""
        self._tables.append(first_row_per_item(table))
        self._n_rows += self._tables[-1].num_rows
        if self._n_rows > 2 * self._n_distinct + MAX_PENDING_ROWS:
            self._n_rows = self._n_distinct = self.table().num_rows

    def table(self) -> pa.Table:
        """Return the first row of each item so far."""
        self._tables = [first_row_per_item(pa.concat_tables(self._tables))]
        return self._tables[0]
