"""What data sets of ratings and purchases share: from two tables to impressions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._bunch import DataBunch
from skrec.datasets._impressions import impressions_from_clicks

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
    *,
    threshold: float | None = None,
    what: str = "ratings",
) -> DataBunch:
    """Turn ratings, or other events, into impressions.

    Parameters
    ----------
    items : pyarrow.Table
        With the column `item_id`; the first row of an id counts.
    events : pyarrow.Table
        Columns `user_id`, `item_id`, `time`, and `rating` where there is a threshold. Events of
        items that are not listed are left out.
    description : str
        What the data are, who owns them, and what to cite.
    settings : dict
        For `impressions_from_clicks`.
    threshold : float, default=None
        Lowest rating that is a click; None makes each event one.
    what : str, default="ratings"
        How the description calls events.

    Returns
    -------
    DataBunch
        With `items`, `train`, `valid`, `test`, `feature_names` and `DESCR`.
    """
    from skrec._items import Items

    items = first_of_each(items)
    ids = items["item_id"].combine_chunks()
    events = events.filter(pc.is_in(events["item_id"], value_set=ids))
    clicks, rule = events, f"all {what}"
    if threshold is not None:
        clicks = events.filter(pc.greater_equal(events["rating"], threshold))
        rule = f"{what} of at least {threshold:g}"
    data = impressions_from_clicks(clicks, seen=events, item_ids=ids, **settings)
    counts = _COUNTS.format(
        n_ratings=events.num_rows,
        events=what,
        n_items=items.num_rows,
        n_raters=len(events["user_id"].unique()),
        rule=rule,
        n_users=data.n_users,
        n_train=data.train.num_rows,
        n_valid=data.valid.num_rows,
        n_test=data.test.num_rows,
        settings=", ".join(f"{name}={value!r}" for name, value in settings.items()),
    )
    catalogue = Items(items)
    return DataBunch(
        items=catalogue,
        train=data.train,
        valid=data.valid,
        test=data.test,
        feature_names=list(catalogue.roles),
        DESCR=description.rstrip("\n") + "\n" + counts,
    )


def first_of_each(items: pa.Table) -> pa.Table:
    """Keep the first row of each `item_id`."""
    at = pa.array(range(items.num_rows))
    grouped = (
        pa.table({"item_id": items["item_id"], "at": at})
        .group_by("item_id")
        .aggregate([("at", "min")])
    )
    return items.take(grouped["at_min"].combine_chunks().sort()).combine_chunks()


def first_meetings(events: pa.Table) -> pa.Table:
    """Keep the first row of each user with each item."""
    codes = [
        events[name].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
        for name in ("user_id", "item_id")
    ]
    key = codes[0] * (int(codes[1].max(initial=0)) + 1) + codes[1]
    _, first = np.unique(key, return_index=True)
    return events.take(pa.array(np.sort(first)))


def one_text(lists: Any) -> pa.Array:
    """Join the texts of each list by blanks; null is an empty text."""
    joined = pc.binary_join(lists, " ")
    return pc.fill_null(joined, "")


def as_category(column: Any) -> pa.Array:
    """Return texts as a category; null stays null."""
    return column.combine_chunks().dictionary_encode()
