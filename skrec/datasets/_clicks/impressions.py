"""Impressions from clicks: histories and candidates, with one clicked candidate per row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.checks import check_count
from skrec._common.messages import did_you_mean, warn
from skrec._data.arrow import to_arrow
from skrec._data.click_events import Events, encode_ids
from skrec._data.click_log import ClickLog, Columns, as_catalogue, read_log, warn_of_rows
from skrec._data.ids import look_up
from skrec._data.items import Items
from skrec.datasets._clicks.cut_clicks import ImpressionParts, cut_clicks
from skrec.datasets._files.bunch import DataBunch

DEFAULT = Columns()
# smallest value of each count among the settings
_MINIMUM = {
    "n_valid": 0,
    "n_test": 0,
    "n_train": 0,
    "n_negatives": 1,
    "n_negatives_eval": 1,
    "max_history": 1,
    "min_clicks": 1,
}


def impressions_from_clicks(
    clicks: Any,
    items: Any = None,
    *,
    user: str = "user_id",
    item: str = "item_id",
    time: str | None = "time",
    event: Any = None,
    weight: str | None = None,
    seen: Any = None,
    item_ids: Any = None,
    n_valid: int = 1,
    n_test: int = 2,
    n_train: int = 10,
    n_negatives: int = 4,
    n_negatives_eval: int = 20,
    max_history: int = 50,
    min_clicks: int = 8,
    first_only: bool = False,
    random_state: Any = 0,
) -> DataBunch:
    """Split each user's clicks into history, train, valid and test, with sampled negatives.

    The clicks of each user are sorted by time, then by item id, and split into history, train,
    valid and test in this order. Each click of train, valid and test becomes an impression, in
    which the other candidates are sampled items that the user has not seen. The history of an
    impression contains the clicks before the first click of its part. Clicks with the same user,
    item and time count once, for instance two pieces of an article in one purchase.

    Parameters
    ----------
    clicks : table
        The log, with one click per row: a data frame of pandas or polars, an Arrow table, a
        ``datasets.Dataset``, a mapping of columns, or a parquet file, a folder of parquet files, or
        a list of them. Files are read in batches; see Notes. Columns that are not named here are
        ignored. Rows without a user, whose id is null or blank, are left out.
    items : Items or DataFrame-like with the id column, default=None
        The catalogue. Negatives are sampled from its items, and clicks on other items are left
        out. The id column is `item_id` or has the name `item`.
    user, item : str, default="user_id", "item_id"
        Names of the columns with the ids, which are ints, strings or categories.
    time : str or None, default="time"
        Name of the column with the times: timestamps with or without a zone, dates, durations or
        numbers, but not texts. If numbers count the time since 1970, they must have one unit. If
        this is None, or the log has no column `time`, the rows of each user must be in the order
        of the clicks.
    event : mapping or pyarrow.compute.Expression, default=None
        Which rows are clicks: the value, or the list of values, that a column must have, such as
        ``{"action": ["buy", "cart"]}``, or an expression, such as ``pc.field("rating") >= 4``. None
        takes all rows.
    weight : str, default=None
        Name of a column with positive numbers that say how much a click counts, such as the dwell
        time or the value of a purchase. Those of repeated clicks are added up. The impressions then
        have a column `weights`.
    seen : table, default=None
        A log, with the same names of columns, of all items that each user has seen, for instance
        films with a low rating. They are not used as negatives of the user. None uses the clicks.
    item_ids : array-like, default=None
        Ids of the items to sample negatives from, if `items` is None. They must contain all items
        of the log. None uses the items in `seen`.
    n_valid, n_test : int, default=1, 2
        Number of clicks per user in valid and test. The latest clicks are in test.
    n_train : int, default=10
        Number of clicks per user in train. At most half of the clicks before valid are used, so
        that the other half can serve as history.
    n_negatives : int, default=4
        Number of negatives per impression in train.
    n_negatives_eval : int, default=20
        Number of negatives per impression in valid and test.
    max_history : int, default=50
        Maximum number of clicks in a history. The latest clicks are kept.
    min_clicks : int, default=8
        Minimum number of clicks per user. Users with fewer clicks are left out, and a warning says
        how many. It must be larger than `n_valid` + `n_test`.
    first_only : bool, default=False
        Whether to use only the first click of each user on each item. The item of a later click
        would otherwise be in the history too. Without `time`, it is the only way to leave out
        repeated clicks.
    random_state : int, RandomState instance, Generator or None, default=0
        Seed of the negatives and of the order of candidates. The same int gives the same data.
        `n_train` and `n_negatives` do not change valid and test.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        train, valid, test : pyarrow.Table
            One row per impression, sorted by user, then by time: `impression_id` (unique over the
            three tables), `user_id`, `time` (if `clicks` has times), `history` (list of ids, oldest
            first), `candidates` (list of ids in random order) and `clicked` (list of 0 and 1, with
            exactly one 1). With `weight`, also `weights` (list: that of the click, and 0).
        n_users : int
            Number of users with enough clicks.
        report : dict of str to int
            What was kept: `n_clicks`, `n_users` and `n_items`, of `n_rows` rows. Rows that were
            left out, by the reason: `n_other_events`, `n_without_user`, `n_unknown_items`,
            `n_repeated` and `n_of_few` (clicks of the `n_users_left_out` users with fewer
            than `min_clicks`).

    Raises
    ------
    ValueError
        If no user has enough clicks, if a user has too few unseen items for the negatives, or if a
        parameter is out of its range. If an item or a time is null, if numbers mix units of time,
        or if times are 0 or -1 where others count from 1970. If there is no column `time`, but
        another column looks like one, such as `timestamp` or any column of dates, and the rows are
        not in its order.
    TypeError
        If times are texts, if a count is not an int, or if ids are strings in one table and ints in
        another.

    Warns
    -----
    UserWarning
        If users are left out because of `min_clicks`, or clicks because they have no user or their
        item is not in the catalogue.

    See Also
    --------
    histories_from_clicks : All clicks of each user as one history.

    Notes
    -----
    Of a log in files, the columns that are needed are read a million rows at a time. The distinct
    ids and 16 bytes per click stay in memory, and sorting needs about 40 bytes more per click for a
    moment. The result is in memory, too.

    Examples
    --------
    >>> from skrec.datasets import impressions_from_clicks
    >>> clicks = {"user_id": [7] * 6, "item_id": [1, 2, 3, 4, 5, 6], "time": [5, 4, 3, 2, 1, 0]}
    >>> data = impressions_from_clicks(
    ...     clicks, item_ids=range(20), min_clicks=6, n_test=1, n_negatives_eval=2
    ... )
    >>> data.test["history"].to_pylist()
    [[6, 5, 4, 3, 2]]
    """
    settings = check_settings(
        n_valid=n_valid,
        n_test=n_test,
        n_train=n_train,
        n_negatives=n_negatives,
        n_negatives_eval=n_negatives_eval,
        max_history=max_history,
        min_clicks=min_clicks,
        first_only=first_only,
        random_state=random_state,
    )
    log, parts = cut_table(
        clicks, seen, item_ids, settings, items, Columns(user, item, time), event, weight
    )
    warn_of_rows(log.report)
    if parts.n_left_out:
        warn(
            f"{parts.n_left_out:,} of {parts.n_left_out + parts.n_users:,} users have fewer than "
            f"min_clicks={min_clicks} clicks and are left out",
        )
    bunch = parts.bunch()
    bunch.report = log.report | parts.report
    return bunch


def cut_table(
    clicks: Any,
    seen: Any,
    item_ids: Any,
    settings: dict[str, Any],
    items: Any = None,
    columns: Columns = DEFAULT,
    event: Any = None,
    weight: str | None = None,
) -> tuple[ClickLog, ImpressionParts]:
    """Split a table of clicks; see `impressions_from_clicks`.

    Parameters
    ----------
    clicks, seen, item_ids : table, table or None, array-like or None
        Parameters of `impressions_from_clicks`.
    settings : dict
        Complete settings, as returned by `check_settings`.
    items, event, weight : object
        Parameters of `impressions_from_clicks`.
    columns : Columns
        Names of the columns of the log.

    Returns
    -------
    log : ClickLog
    parts : ImpressionParts
    """
    if items is not None and item_ids is not None:
        raise ValueError("give items, the catalogue, or item_ids, not both")
    log = read_log(clicks, columns, event, weight)
    seen_log = log if seen is None else read_log(seen, replace(columns, time=None), name="seen")
    if items is not None:
        ids = read_item_ids(items, columns.item)
    elif item_ids is not None:
        ids, _ = encode_ids(to_arrow(item_ids, "item_ids"), "item_ids")
    else:
        ids = seen_log.item_ids
    if items is None:
        for each, name in ((seen_log, "seen"), (log, "clicks")):
            _refuse_unlisted(each, ids, name)
    log = log.of_items(ids)
    seen_log = log if seen is None else seen_log.of_items(ids)
    # users who clicked nothing need no negatives
    seen_user = look_up(seen_log.user_ids, log.user_ids, "users of seen")[seen_log.events.user]
    has_clicks = seen_user >= 0
    shown = Events(seen_user[has_clicks], seen_log.events.item[has_clicks], None)
    return log, cut_clicks(log.events, shown, log.user_ids, ids, settings)


def read_item_ids(items: Any, name: str) -> pa.Array:
    """Return the ids of a catalogue, ascending.

    Parameters
    ----------
    items : Items or DataFrame-like
    name : str
        Name of the id column, if it is not `item_id`.
    """
    catalogue = as_catalogue(items, name)
    catalogue = catalogue if isinstance(catalogue, Items) else Items(catalogue)
    return encode_ids(to_arrow(catalogue.ids, "the ids of items"), "items")[0]


def check_settings(**settings: Any) -> dict[str, Any]:
    """Check settings of `impressions_from_clicks`, and return them with defaults for the others.

    Raises
    ------
    TypeError
        If a setting is unknown, a count is not an int, or `first_only` is not a bool.
    ValueError
        If a count is out of its range.
    """
    known = (*_MINIMUM, "first_only", "random_state")
    for name in settings:
        if name not in known:
            raise TypeError(
                f"{name!r} is no setting of impressions{did_you_mean(name, known)}; there are "
                f"{', '.join(known)}"
            )
    defaults: dict[str, Any] = dict(impressions_from_clicks.__kwdefaults__ or {})
    complete = {name: settings.get(name, defaults[name]) for name in known}
    for name, minimum in _MINIMUM.items():
        check_count(name, complete[name], minimum)
    if not isinstance(complete["first_only"], (bool, np.bool_)):
        raise TypeError(f"first_only must be a bool, got {complete['first_only']!r}")
    # numbers of NumPy can't be written to copy.json
    complete = {k: v.item() if isinstance(v, np.generic) else v for k, v in complete.items()}
    held_out = complete["n_valid"] + complete["n_test"]
    if complete["min_clicks"] <= held_out:
        raise ValueError(
            f"min_clicks must be more than n_valid + n_test = {held_out}, "
            f"got {complete['min_clicks']}"
        )
    return complete


def _refuse_unlisted(log: ClickLog, ids: pa.Array, name: str) -> None:
    """Raise a ValueError if an item of a log is not among some ids."""
    unknown = np.flatnonzero(look_up(log.item_ids, ids, f"column 'item_id' of {name}") < 0)
    if len(unknown):
        raise ValueError(f"item_id {log.item_ids[int(unknown[0])].as_py()!r} is not among item_ids")
