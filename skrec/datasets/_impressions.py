"""Clicks turned into impressions: histories, and candidates of which one was clicked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._arrow import Table, did_you_mean
from skrec._segments import gather_ranges, offsets_of
from skrec.datasets._bunch import DataBunch
from skrec.datasets._headlines import as_generator, check_count
from skrec.datasets._unmet import NegativeSampler

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
    check_settings(
        n_valid=n_valid,
        n_test=n_test,
        n_train=n_train,
        n_negatives=n_negatives,
        n_negatives_eval=n_negatives_eval,
        max_history=max_history,
        min_clicks=min_clicks,
    )
    rng = as_generator(random_state)
    clicks = _columns(clicks, "clicks", ("user_id", "item_id"), ("time",))
    met = clicks if seen is None else _columns(seen, "seen", ("user_id", "item_id"))
    users = _sorted_ids([clicks["user_id"], met["user_id"]])
    ids = [clicks["item_id"], met["item_id"]] if item_ids is None else [pa.array(item_ids)]
    items = _sorted_ids(ids)
    ordered = _order_clicks(clicks, users, items, min_clicks)
    sampler = NegativeSampler(
        _codes(met["user_id"], users, "user_id"),
        _codes(met["item_id"], items, "item_id"),
        users,
        items,
    )
    test = ordered.n_clicks - n_test
    valid = test - n_valid
    train = valid - np.minimum(n_train, valid // 2)
    # Train is drawn last: its settings then leave valid and test as they are.
    parts = {
        name: _impressions(ordered, sampler, start, stop, n, max_history, rng)
        for name, start, stop, n in (
            ("test", test, ordered.n_clicks, n_negatives_eval),
            ("valid", valid, test, n_negatives_eval),
            ("train", train, valid, n_negatives),
        )
    }
    n_rows = 0
    for name in ("train", "valid", "test"):
        numbers = pa.array(np.arange(n_rows, n_rows + parts[name].num_rows))
        n_rows += parts[name].num_rows
        parts[name] = parts[name].add_column(0, "impression_id", numbers)
    return DataBunch(
        train=parts["train"], valid=parts["valid"], test=parts["test"], n_users=len(ordered.user)
    )


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


def _columns(
    data: Any, what: str, needed: tuple[str, ...], wanted: tuple[str, ...] = ()
) -> dict[str, pa.Array]:
    """Return some columns of a table, those that are `wanted` if it has them."""
    table = Table(data)
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(f"{what} has no column {missing[0]!r}, only {', '.join(table.names)}")
    names = [*needed, *(name for name in wanted if name in table)]
    columns = {name: table.column(name).combine_chunks() for name in names}
    for name, column in columns.items():
        if column.null_count:
            raise ValueError(f"column {name!r} of {what} has {column.null_count} nulls")
    return columns


def _sorted_ids(columns: list[pa.Array]) -> pa.Array:
    """Return the distinct ids of some columns, ascending."""
    distinct = pa.concat_arrays([column.unique() for column in columns]).unique()
    return distinct.take(pc.sort_indices(distinct))


def _codes(column: pa.Array, ids: pa.Array, name: str) -> np.ndarray:
    """Return where the ids of a column are; all must be known."""
    found = pc.index_in(column, value_set=ids)
    if found.null_count:
        stranger = column.filter(found.is_null())[0]
        raise ValueError(f"{name} {stranger.as_py()!r} is not among item_ids")
    return found.to_numpy(zero_copy_only=False).astype(np.int64)


@dataclass(frozen=True)
class Clicks:
    """Clicks of all users end to end; `user`, `first` and `n_clicks` are of the users kept."""

    user_ids: pa.Array
    item_ids: pa.Array
    user: np.ndarray
    first: np.ndarray
    n_clicks: np.ndarray
    item: np.ndarray
    time: pa.Array | None


def _order_clicks(
    columns: dict[str, pa.Array], users: pa.Array, items: pa.Array, min_clicks: int
) -> Clicks:
    """Sort clicks by user, time and item, and keep the users with enough of them."""
    user = _codes(columns["user_id"], users, "user_id")
    item = _codes(columns["item_id"], items, "item_id")
    time = columns.get("time")
    if time is None:
        order = np.argsort(user, kind="stable")
    else:
        order = np.lexsort((item, time.to_numpy(zero_copy_only=False), user))
    n_clicks = np.bincount(user, minlength=len(users))
    first = offsets_of(n_clicks)[:-1]
    kept = np.flatnonzero(n_clicks >= min_clicks)
    if not len(kept):
        raise ValueError(
            f"no user has min_clicks={min_clicks} clicks; the most is {n_clicks.max(initial=0)}"
        )
    sorted_time = None if time is None else time.take(pa.array(order))
    return Clicks(users, items, kept, first[kept], n_clicks[kept], item[order], sorted_time)


def _impressions(
    clicks: Clicks,
    sampler: NegativeSampler,
    start: np.ndarray,
    stop: np.ndarray,
    n_negatives: int,
    max_history: int,
    rng: np.random.Generator,
) -> pa.Table:
    """Make an impression of each click from start to stop, both counted from a user's first."""
    row = np.repeat(np.arange(len(start)), stop - start)
    click, _ = gather_ranges(clicks.first + start, clicks.first + stop)
    n_kept = np.minimum(start, max_history)
    ends = (clicks.first + start)[row]
    history, _ = gather_ranges(ends - n_kept[row], ends)
    target = clicks.item[click][:, None]
    negatives = sampler.draw(clicks.user[row], n_negatives, rng)
    candidates = rng.permuted(np.hstack([target, negatives]), axis=1)
    n_candidates = np.full(len(row), n_negatives + 1)
    times = {} if clicks.time is None else {"time": clicks.time.take(pa.array(click))}
    return pa.table(
        {
            "user_id": clicks.user_ids.take(pa.array(clicks.user[row])),
            **times,
            "history": lists(clicks.item_ids.take(pa.array(clicks.item[history])), n_kept[row]),
            "candidates": lists(clicks.item_ids.take(pa.array(candidates.ravel())), n_candidates),
            "clicked": lists((candidates == target).astype(np.int8).ravel(), n_candidates),
        }
    )


def lists(values: Any, lengths: np.ndarray) -> pa.Array:
    """Cut values into lists of some lengths."""
    offsets = offsets_of(lengths)
    if offsets[-1] < 2**31:
        return pa.ListArray.from_arrays(offsets.astype(np.int32), values)
    return pa.LargeListArray.from_arrays(offsets, values)
