"""What data sets of ratings and purchases share: from two tables to impressions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._clicks.cut_clicks import Events, coded, columns_of, cut_clicks, positions
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.reading import Reading

MANY = 1 << 20  # rows that may wait until those of known items are dropped
_COUNTS = """
Source       {n_ratings:,} {events} of {n_items:,} items by {n_raters:,} users
Clicks       {rule}
Users        {n_users:,} with enough clicks
Rows         {n_train:,} impressions in train, {n_valid:,} in valid, {n_test:,} in test, made by
             skrec.datasets.impressions_from_clicks({settings})
"""


def bunch_of_ratings(
    items: pa.Table,
    events: pa.Table,
    description: str,
    settings: dict[str, Any],
    reading: Reading,
    *,
    threshold: float | None = None,
    what: str = "ratings",
    first_only: bool = False,
    order: np.ndarray | None = None,
) -> DataBunch:
    """Turn ratings, or other events, into impressions.

    Parameters
    ----------
    items : pyarrow.Table
        With the column `item_id`; the first row of an id counts.
    events : pyarrow.Table
        Columns `user_id`, `item_id`, `time` where there are times, and `rating` where there is a
        threshold. Events of items that are not listed are left out. Of a mapped table, only some
        numbers an event come into memory.
    description : str
        What the data are, who owns them, and what to cite.
    settings : dict
        For `impressions_from_clicks`.
    reading : Reading
        Where impressions are written.
    threshold : float, default=None
        Lowest rating that is a click; None makes each event one.
    what : str, default="ratings"
        How the description calls events.
    first_only : bool, default=False
        Whether a user's later events of the same item are left out.
    order : ndarray of int, shape (n_events,), default=None
        The order of events that have no times; None is that of the rows.

    Returns
    -------
    DataBunch
        With `items`, `train`, `valid`, `test`, `feature_names` and `DESCR`.
    """
    from skrec._data.items import Items

    items = first_of_each(items)
    item_ids, _ = coded(items["item_id"], "item_id")
    user_ids, met, clicks = _read_events(events, item_ids, what, threshold, first_only, order)
    cut = cut_clicks(clicks, met, user_ids, item_ids, settings)
    catalogue = Items(items)
    counts = _COUNTS.format(
        n_ratings=len(met.user),
        events=what,
        n_items=catalogue.n_items,
        n_raters=np.count_nonzero(np.bincount(met.user)),
        rule=f"all {what}" if threshold is None else f"{what} of at least {threshold:g}",
        n_users=cut.n_users,
        **{f"n_{name}": n for name, n in cut.n_rows.items()},
        settings=", ".join(f"{name}={value!r}" for name, value in settings.items()),
    )
    return DataBunch(
        items=catalogue,
        **{name: reading.write(name, tables) for name, tables in cut.tables.items()},
        feature_names=list(catalogue.roles),
        DESCR=description.rstrip("\n") + "\n" + counts,
    )


def _read_events(
    events: pa.Table,
    item_ids: pa.Array,
    what: str,
    threshold: float | None,
    first_only: bool,
    order: np.ndarray | None,
) -> tuple[pa.Array, Events, Events]:
    """Return the ids of users, all events of known items, and those of them that are clicks."""
    columns = columns_of(events, f"the table of {what}", ("user_id", "item_id"), ("time", "rating"))
    user_ids, user = coded(columns["user_id"], "user_id")
    item = positions(columns["item_id"], item_ids, "item_id")
    time = columns["time"].combine_chunks() if "time" in columns else None
    rows = np.flatnonzero(item >= 0) if order is None else order[item[order] >= 0]
    met = Events(user, item, time).take(rows)
    if first_only:
        first = met.first_meetings()
        rows, met = rows[first], met.take(first)
    if threshold is None:
        return user_ids, met, met
    return user_ids, met, met.take(columns["rating"].to_numpy()[rows] >= threshold)


def first_of_each(items: pa.Table) -> pa.Table:
    """Keep the first row of each `item_id`."""
    at = pa.array(np.arange(items.num_rows))
    grouped = (
        pa.table({"item_id": items["item_id"], "at": at})
        .group_by("item_id")
        .aggregate([("at", "min")])
    )
    kept = np.zeros(items.num_rows, dtype=bool)
    kept[grouped["at_min"].to_numpy()] = True
    return items.filter(pa.array(kept))  # keeps chunks, which may hold more text than one could


class FirstRows:
    """Tables that come one after another, of which the first row of each `item_id` is kept."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._n_rows, self._n_kept = 0, 0

    def add(self, table: pa.Table) -> None:
        """Add rows."""
        self._tables.append(first_of_each(table))
        self._n_rows += self._tables[-1].num_rows
        if self._n_rows > 2 * self._n_kept + MANY:
            self._n_rows = self._n_kept = self.table().num_rows

    def table(self) -> pa.Table:
        """Return the rows that are kept."""
        self._tables = [first_of_each(pa.concat_tables(self._tables))]
        return self._tables[0]


def one_text(lists: Any) -> pa.Array:
    """Join the texts of each list by blanks; null is an empty text."""
    joined = pc.binary_join(lists, " ")
    return pc.fill_null(joined, "")


def as_category(column: Any) -> pa.Array:
    """Return texts as a category; null stays null."""
    return column.combine_chunks().dictionary_encode()
