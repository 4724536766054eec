"""Histories from clicks: one row per user."""

from __future__ import annotations

from typing import Any

from skrec._data.click_log import Columns, read_log, warn_of_rows
from skrec.datasets._clicks.impressions import read_item_ids
from skrec.datasets._files.bunch import DataBunch


def histories_from_clicks(
    clicks: Any,
    items: Any = None,
    *,
    user: str = "user_id",
    item: str = "item_id",
    time: str | None = "time",
    event: Any = None,
    first_only: bool = False,
) -> DataBunch:
    """Collect the clicks of each user as one history.

    The clicks of each user are sorted by time, then by item id. Clicks with the same user, item and
    time count once.

    Parameters
    ----------
    clicks : table
        The log, with one click per row; see :func:`impressions_from_clicks`.
    items : Items or DataFrame-like with the id column, default=None
        The catalogue. Clicks on other items are left out. None keeps all clicks.
    user, item : str, default="user_id", "item_id"
        Names of the columns with the ids.
    time : str or None, default="time"
        Name of the column with the times. Clicks with the same time are ordered by the ids of their
        items. Without it, the rows of each user must be in the order of the clicks.
    event : mapping or pyarrow.compute.Expression, default=None
        Which rows are clicks, such as ``{"action": ["buy", "cart"]}`` or
        ``pc.field("rating") >= 4``. None takes all rows.
    first_only : bool, default=False
        Whether to use only the first click of each user on each item.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        histories : pyarrow.Table
            One row per user, by ascending id: `user_id`, `history` (list of ids, oldest first) and,
            if the log has times, `time` (of the last click) and `times` (list, of all clicks).
        report : dict of str to int
            What was kept: `n_clicks`, `n_users` and `n_items`, of `n_rows` rows. Rows that were
            left out, by the reason: `n_other_events`, `n_without_user`, `n_unknown_items` (with
            `items`) and `n_repeated`.

    Raises
    ------
    ValueError, TypeError
        If the log cannot be read; see :func:`impressions_from_clicks`.

    Warns
    -----
    UserWarning
        If clicks are left out because they have no user or their item is not in the catalogue.

    See Also
    --------
    impressions_from_clicks : Split of the clicks, to measure how good a recommender is.

    Examples
    --------
    >>> from skrec.datasets import histories_from_clicks
    >>> clicks = {"uid": ["b", "a", "b"], "sku": [5, 7, 3], "ts": [2, 1, 1]}
    >>> data = histories_from_clicks(clicks, user="uid", item="sku", time="ts")
    >>> data.histories["history"].to_pylist()
    [[7], [3, 5]]
    >>> data.report["n_clicks"]
    3
    """
    log = read_log(clicks, Columns(user, item, time), event)
    if items is not None:
        log = log.of_items(read_item_ids(items, item))
    log = log.in_order(first_only)
    warn_of_rows(log.report)
    return DataBunch(histories=log.histories(), report=log.full_report())
