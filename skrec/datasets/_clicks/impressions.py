"""Clicks turned into impressions: histories, and candidates of which one was clicked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.checks import check_count
from skrec._common.messages import did_you_mean
from skrec._data.arrow import to_arrow
from skrec.datasets._clicks.cut_clicks import Events, coded, columns_of, cut_clicks, positions
from skrec.datasets._files.bunch import DataBunch

COUNTS = (
    *("n_valid", "n_test", "n_train", "n_negatives", "n_negatives_eval"),
    *("max_history", "min_clicks"),
)


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
    """Cut each user's clicks into history, train, valid and test, with sampled negatives.

    The clicks of each user are ordered by time, then by item id, and cut in this order; each click
    of a part becomes an impression, together with items that the user never met. The history of a
    part is what came before its first click.

    Parameters
    ----------
    clicks : table
        Columns `user_id`, `item_id` and, if there are times, `time`: a number, a date or a
        timestamp. Without it, rows are in the order of the clicks.
    seen : table, default=None
        Columns `user_id` and `item_id`: all that users met, such as films they rated low, which
        are no negatives of theirs. None takes `clicks`.
    item_ids : array-like, default=None
        The items that negatives are drawn from, all equally likely. None takes those in `seen`.
    n_valid, n_test : int, default=1, 2
        Number of each user's last clicks that validate and test; those that test are the latest.
    n_train : int, default=10
        Number of clicks before them to train on; at most half of what is left, so that the others
        make a history.
    n_negatives : int, default=4
        Number of negatives of each impression in train.
    n_negatives_eval : int, default=20
        Number of negatives of each impression in valid and test.
    max_history : int, default=50
        Number of clicks kept in a history, the latest ones.
    min_clicks : int, default=8
        Users with fewer clicks are left out; more than `n_valid` + `n_test`.
    random_state : int, RandomState instance, Generator or None, default=0
        Seed of the negatives and of the order of candidates. The same int gives the same data, and
        `n_train` and `n_negatives` do not change what is drawn for valid and test.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields `train`, `valid` and `test`: pyarrow tables, one row an impression, by
        user, then by time, with the columns `impression_id` (no two alike in the three tables),
        `user_id`, `time` where there are times, `history` (list of ids, oldest first),
        `candidates` (list of ids in random order) and `clicked` (list of 0 and 1, of which one is
        1). And `n_users`, those with enough clicks.

    Raises
    ------
    ValueError
        Where no user has enough clicks, where a user has met so much that too few negatives are
        left, and for a parameter out of its range.
    TypeError
        For a parameter of the wrong type.

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
    clicks = columns_of(clicks, "clicks", ("user_id", "item_id"), ("time",))
    user_ids, user = coded(clicks["user_id"], "column 'user_id' of clicks")
    if seen is None:
        met_by, met_items, what = user, clicks["item_id"], "clicks"
    else:
        seen = columns_of(seen, "seen", ("user_id", "item_id"))
        met_by = positions(seen["user_id"], user_ids, "column 'user_id' of seen")
        met_items, what = seen["item_id"], "seen"
    if item_ids is None:
        item_ids, met = coded(met_items, f"column 'item_id' of {what}")
    else:
        item_ids, _ = coded(to_arrow(item_ids, "item_ids"), "item_ids")
        met = _known(met_items, item_ids, what)
    item = met if seen is None else _known(clicks["item_id"], item_ids, "clicks")
    time = clicks["time"].combine_chunks() if "time" in clicks else None
    ours = met_by >= 0  # others have no clicks
    cut = cut_clicks(
        Events(user, item, time),
        Events(met_by[ours], met[ours], None),
        user_ids,
        item_ids,
        settings,
    )
    tables = {name: pa.concat_tables(rows) for name, rows in cut.tables.items()}
    return DataBunch(**tables, n_users=cut.n_users)


def check_settings(**settings: Any) -> dict[str, Any]:
    """Return settings of `impressions_from_clicks`, or raise for one that can't work."""
    defaults: dict[str, Any] = dict(impressions_from_clicks.__kwdefaults__ or {})
    for name in settings:
        if name not in defaults or name in ("seen", "item_ids"):
            known = [each for each in defaults if each not in ("seen", "item_ids")]
            raise TypeError(
                f"{name!r} is no setting of impressions{did_you_mean(name, known)}; there are "
                f"{', '.join(known)}"
            )
    least = {"n_negatives": 1, "n_negatives_eval": 1, "max_history": 1, "min_clicks": 1}
    chosen: dict[str, Any] = {
        name: settings.get(name, defaults[name]) for name in (*COUNTS, "random_state")
    }
    for name in COUNTS:
        check_count(name, chosen[name], least.get(name, 0))
    held_out = chosen["n_valid"] + chosen["n_test"]
    if chosen["min_clicks"] <= held_out:
        raise ValueError(
            f"min_clicks must be more than n_valid + n_test = {held_out}, "
            f"got {chosen['min_clicks']}"
        )
    return chosen


def _known(column: pa.ChunkedArray, ids: pa.Array, what: str) -> np.ndarray:
    """Return where the items of a column are among `ids`; all must be there."""
    at = positions(column, ids, f"column 'item_id' of {what}")
    strange = np.flatnonzero(at < 0)
    if len(strange):
        raise ValueError(f"item_id {column[int(strange[0])].as_py()!r} is not among item_ids")
    return at
