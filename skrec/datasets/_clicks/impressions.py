"""Impressions from clicks: histories and candidates, with one clicked candidate per row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.checks import check_count
from skrec._common.messages import did_you_mean
from skrec._data.arrow import to_arrow
from skrec.datasets._clicks.cut_clicks import (
    Events,
    cut_clicks,
    encode_ids,
    positions_in,
    read_columns,
)
from skrec.datasets._files.bunch import DataBunch

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
    random_state: Any = 0,
) -> DataBunch:
    """Split each user's clicks into history, train, valid and test, with sampled negatives.

    The clicks of each user are sorted by time, then by item id, and split into history, train,
    valid and test in this order. Each click of train, valid and test becomes an impression, in
    which the other candidates are sampled items that the user has not seen. The history of an
    impression contains the clicks before the first click of its part.

    Parameters
    ----------
    clicks : table
        Columns `user_id`, `item_id` and optionally `time` (number, date or timestamp). Without
        `time`, the rows must be in the order of the clicks.
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
        Minimum number of clicks per user. Users with fewer clicks are left out. It must be larger
        than `n_valid` + `n_test`.
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
        parameter is out of its range.
    TypeError
        If a count is not an int, or if ids are strings in one table and ints in another.

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
        random_state=random_state,
    )
    clicks = read_columns(clicks, "clicks", ("user_id", "item_id"), ("time",))
    user_ids, user = encode_ids(clicks["user_id"], "column 'user_id' of clicks")
    if seen is None:
        seen_user, seen_ids, seen_name = user, clicks["item_id"], "clicks"
    else:
        seen = read_columns(seen, "seen", ("user_id", "item_id"))
        seen_user = positions_in(user_ids, seen["user_id"], "column 'user_id' of seen")
        seen_ids, seen_name = seen["item_id"], "seen"
    if item_ids is None:
        item_ids, seen_item = encode_ids(seen_ids, f"column 'item_id' of {seen_name}")
    else:
        item_ids, _ = encode_ids(to_arrow(item_ids, "item_ids"), "item_ids")
        seen_item = _known_positions(item_ids, seen_ids, seen_name)
    item = seen_item if seen is None else _known_positions(item_ids, clicks["item_id"], "clicks")
    time = clicks["time"].combine_chunks() if "time" in clicks else None
    has_clicks = seen_user >= 0
    parts = cut_clicks(
        Events(user, item, time),
        Events(seen_user[has_clicks], seen_item[has_clicks], None),
        user_ids,
        item_ids,
        settings,
    )
    tables = {name: pa.concat_tables(blocks) for name, blocks in parts.tables.items()}
    return DataBunch(**tables, n_users=parts.n_users)


def check_settings(**settings: Any) -> dict[str, Any]:
    """Check settings of `impressions_from_clicks`, and return them with defaults for the others.

    Raises
    ------
    TypeError
        If a setting is unknown or a count is not an int.
    ValueError
        If a count is out of its range.
    """
    known = (*_MINIMUM, "random_state")
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
