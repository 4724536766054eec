"""Impressions from clicks: histories and candidates, with one clicked candidate per row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.checks import check_count
from skrec._common.messages import did_you_mean, warn
from skrec._data.arrow import to_arrow
from skrec._data.table import Table
from skrec.datasets._clicks.cut_clicks import (
    Events,
    ImpressionParts,
    cut_clicks,
    encode_ids,
    positions_in,
    read_columns,
)
from skrec.datasets._clicks.times import check_row_order, read_times
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.texts import is_text

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
    *,
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
        Columns `user_id`, `item_id` and optionally `time` (number, date or timestamp, but not
        text). Without `time`, the rows must be in the order of the clicks. Other columns are
        ignored.
    seen : table, default=None
        Columns `user_id` and `item_id`: all items that each user has seen, for instance films with
        a low rating. They are not used as negatives of the user. None uses `clicks`.
    item_ids : array-like, default=None
        Ids of the items to sample negatives from, all with the same probability. None uses the
        items in `seen`.
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
            exactly one 1).
        n_users : int
            Number of users with enough clicks.

    Raises
    ------
    ValueError
        If no user has enough clicks, if a user has too few unseen items for the negatives, or if a
        parameter is out of its range. If there is no column `time`, but another column looks like
        one, such as `timestamp` or any column of dates, and the rows are not in its order.
    TypeError
        If times are texts, if a count is not an int, or if ids are strings in one table and ints in
        another.

    Warns
    -----
    UserWarning
        If users are left out because of `min_clicks`.

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
    parts = cut_table(clicks, seen, item_ids, settings)
    if parts.n_left_out:
        warn(
            f"{parts.n_left_out:,} of {parts.n_left_out + parts.n_users:,} users have fewer than "
            f"min_clicks={min_clicks} clicks and are left out",
        )
    return parts.bunch()


def cut_table(clicks: Any, seen: Any, item_ids: Any, settings: dict[str, Any]) -> ImpressionParts:
    """Split a table of clicks; see `impressions_from_clicks`.

    Parameters
    ----------
    clicks, seen, item_ids : table, table or None, array-like or None
        Parameters of `impressions_from_clicks`.
    settings : dict
        Complete settings, as returned by `check_settings`.

    Returns
    -------
    ImpressionParts
    """
    table = Table(clicks)
    columns = read_columns(table, "clicks", ("user_id", "item_id"))
    time = read_times(table, "clicks")
    user_ids, user = encode_ids(columns["user_id"], "column 'user_id' of clicks")
    is_user = is_text(user_ids).to_numpy(zero_copy_only=False)
    if not is_user.all():
        n_empty = np.count_nonzero(~is_user[user])
        raise ValueError(
            f"column 'user_id' of clicks has {n_empty} empty texts; leave out clicks without a user"
        )
    if time is None:
        check_row_order(clicks, table, user)
    clicked_ids = columns["item_id"]
    if seen is None:
        seen_user, seen_ids, seen_name = user, clicked_ids, "clicks"
    else:
        seen = read_columns(seen, "seen", ("user_id", "item_id"))
        seen_user = positions_in(user_ids, seen["user_id"], "column 'user_id' of seen")
        seen_ids, seen_name = seen["item_id"], "seen"
    if item_ids is None:
        item_ids, seen_item = encode_ids(seen_ids, f"column 'item_id' of {seen_name}")
    else:
        item_ids, _ = encode_ids(to_arrow(item_ids, "item_ids"), "item_ids")
        seen_item = _known_positions(item_ids, seen_ids, seen_name)
    item = seen_item if seen is None else _known_positions(item_ids, clicked_ids, "clicks")
    has_clicks = seen_user >= 0
    return cut_clicks(
        Events(user, item, time),
        Events(seen_user[has_clicks], seen_item[has_clicks], None),
        user_ids,
        item_ids,
        settings,
    )


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


def _known_positions(ids: pa.Array, column: pa.ChunkedArray, name: str) -> np.ndarray:
    """Return the position in `ids` of each item of a column. Raise if an item is unknown."""
    at = positions_in(ids, column, f"column 'item_id' of {name}")
    unknown = np.flatnonzero(at < 0)
    if len(unknown):
        raise ValueError(f"item_id {column[int(unknown[0])].as_py()!r} is not among item_ids")
    return at
