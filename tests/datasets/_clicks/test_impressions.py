"""Impressions from clicks: splits by time, histories and negatives."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from skrec._data.click_events import Events
from skrec.datasets import impressions_from_clicks
from skrec.datasets._clicks import unseen_items as _unseen_items

SMALL = {"min_clicks": 4, "n_test": 1, "n_negatives": 2, "n_negatives_eval": 3}


@pytest.fixture
def clicks():
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{i}", t) for u in range(5) for t, i in enumerate(rng.permutation(30)[:9])]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "time"]).sample(frac=1, random_state=0)


def test_parts_follow_each_other_in_time(clicks):
    data = impressions_from_clicks(clicks, **SMALL)
    for user in clicks.user_id.unique():
        own = clicks[clicks.user_id == user].sort_values("time")
        ordered = own.item_id.tolist()
        found = []
        for part, n in (("train", 3), ("valid", 1), ("test", 1)):
            rows = data[part].to_pandas()
            rows = rows[rows.user_id == user]
            assert len(rows) == n
            for row in rows.itertuples():
                assert row.clicked.sum() == 1
                found.append(row.candidates[row.clicked.argmax()])
                assert list(row.history) == ordered[: 9 - {"train": 5, "valid": 2, "test": 1}[part]]
                others = set(row.candidates) - {found[-1]}
                assert not others & set(ordered)
        assert found == [*ordered[4:7], ordered[7], ordered[8]]
    ids = [
        i for part in ("train", "valid", "test") for i in data[part]["impression_id"].to_pylist()
    ]
    assert ids == list(range(25))
    assert data.n_users == 5


def test_every_kind_of_table_and_seed_gives_the_same(clicks):
    wanted = impressions_from_clicks(clicks, **SMALL)
    for table in (pl.from_pandas(clicks), clicks.to_dict("list"), clicks):
        found = impressions_from_clicks(table, **SMALL)
        for part in ("train", "valid", "test"):
            assert found[part].to_pylist() == wanted[part].to_pylist()
    other = impressions_from_clicks(clicks, **SMALL, random_state=1)
    assert other.test["history"].to_pylist() == wanted.test["history"].to_pylist()
    assert other.test["candidates"].to_pylist() != wanted.test["candidates"].to_pylist()


def test_without_times_rows_are_in_order():
    data = impressions_from_clicks(
        {"user_id": [1, 2, 1, 2, 1, 2, 1], "item_id": [5, 5, 4, 9, 3, 7, 2]},
        item_ids=range(40),
        **SMALL | {"min_clicks": 3},
    )
    assert data.test["history"].to_pylist() == [[5, 4, 3], [5, 9]]
    assert "time" not in data.test.column_names


def test_seen_items_are_no_negatives(clicks):
    seen = pd.concat(
        [clicks, pd.DataFrame({"user_id": "u0", "item_id": [f"i{i}" for i in range(26)]})]
    )
    with pytest.raises(ValueError, match="cannot draw 6 negatives for user 'u0', who never met"):
        impressions_from_clicks(clicks, seen=seen, **SMALL | {"n_negatives_eval": 6})
    data = impressions_from_clicks(clicks, seen=seen, **SMALL | {"n_negatives_eval": 1})
    own = data.test.to_pandas().query("user_id == 'u0'")
    met = set(seen.item_id[seen.user_id == "u0"])
    assert (
        not (set(own.candidates.iloc[0]) - {own.candidates.iloc[0][own.clicked.iloc[0].argmax()]})
        & met
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.drop(columns="user_id"), "clicks has no column 'user_id', only item_id, time"),
        (lambda c: c.assign(item_id=None), "column 'item_id' of clicks has 45 nulls"),
        (lambda c: c.head(3), "no user has min_clicks=4 clicks; the most is"),
        (lambda c: c.assign(user_id=None), "clicks has no clicks: 45 rows, .*45 without a user"),
    ],
)
def test_clicks_that_cannot_be_cut(clicks, change, message):
    with pytest.raises(ValueError, match=message):
        impressions_from_clicks(change(clicks), **SMALL)


def clicked(row):
    return [
        item for item, is_click in zip(row["candidates"], row["clicked"], strict=True) if is_click
    ]


def sequences(data):
    """Return the history and the clicks of each user's test part."""
    rows = data.test.to_pylist()
    found = {row["user_id"]: list(row["history"]) for row in rows}
    for row in rows:
        found[row["user_id"]] += clicked(row)
    return found


@pytest.mark.parametrize("n_test", [1, 2])
def test_exact_repeats_count_once(n_test):
    # user 0 buys two pieces of each item; user 1 buys item 3 again later
    log = [(0, item, at) for at, item in enumerate([5, 4, 3, 2, 1, 0]) for _ in range(2)]
    log += [(1, item, at) for at, item in enumerate([3, 4, 5, 6, 3, 7])]
    log = pd.DataFrame(log, columns=["user_id", "item_id", "time"]).sample(frac=1, random_state=0)
    settings = SMALL | {"n_test": n_test, "item_ids": range(30)}
    data = impressions_from_clicks(log, **settings)
    assert sequences(data) == {0: [5, 4, 3, 2, 1, 0], 1: [3, 4, 5, 6, 3, 7]}
    for part in (data.train, data.valid, data.test):
        assert not any(set(row["history"]) & set(clicked(row)) for row in part.to_pylist()[:1])
    first = impressions_from_clicks(log, first_only=True, **settings)
    assert sequences(first) == {0: [5, 4, 3, 2, 1, 0], 1: [3, 4, 5, 6, 7]}
    # repeats do not count for min_clicks
    with pytest.raises(ValueError, match="no user has min_clicks=7 clicks; the most is 6"):
        impressions_from_clicks(log, **settings | {"min_clicks": 7})
    with pytest.warns(UserWarning, match="1 of 2 users have fewer than min_clicks=6 clicks"):
        assert impressions_from_clicks(log, first_only=True, **settings | {"min_clicks": 6}).n_users


def test_without_times_only_first_only_leaves_repeats_out():
    log = {"user_id": [1] * 7, "item_id": [5, 5, 4, 5, 3, 2, 4]}
    assert sequences(impressions_from_clicks(log, item_ids=range(30), **SMALL)) == {
        1: [5, 5, 4, 5, 3, 2, 4]
    }
    first = impressions_from_clicks(log, item_ids=range(30), first_only=True, **SMALL)
    assert sequences(first) == {1: [5, 4, 3, 2]}
    with pytest.raises(TypeError, match="first_only must be a bool, got 1"):
        impressions_from_clicks(log, first_only=1)


def test_users_who_are_left_out_are_counted(clicks):
    few = clicks[~clicks.user_id.isin(["u3", "u4"]) | (clicks.time > 6)]
    with pytest.warns(
        UserWarning, match="^2 of 5 users have fewer than min_clicks=4 clicks and are"
    ):
        assert impressions_from_clicks(few, **SMALL).n_users == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        impressions_from_clicks(clicks, **SMALL)


def test_items_that_are_not_listed(clicks):
    with pytest.raises(ValueError, match="item_id 'i.*' is not among item_ids"):
        impressions_from_clicks(clicks, item_ids=["i1", "i2"], **SMALL)


def some_events(with_times):
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, [[5], [9]], (2, 300), dtype=np.int32)
    return Events(user, item, pa.array(rng.integers(0, 20, 300)) if with_times else None)


@pytest.mark.parametrize("with_times", [True, False])
def test_the_first_event_of_each_pair_is_the_earliest(with_times):
    events = some_events(with_times)
    first = {}
    times = events.time.to_pylist() if with_times else [0] * 300
    for row in sorted(range(300), key=lambda row: times[row]):
        first.setdefault((events.user[row], events.item[row]), row)
    assert events.first_of_each_pair().tolist() == sorted(first.values())


def test_distinct_pairs_are_numbered_by_user_and_item():
    events = some_events(False)
    pairs = sorted(set(zip(events.user.tolist(), events.item.tolist(), strict=True)))
    assert _unseen_items.distinct_pairs(events.user, events.item, 9).tolist() == [
        user * 9 + item for user, item in pairs
    ]
    many = np.full(1, 2**20, dtype=np.int32)  # the product is too large for an int32
    assert _unseen_items.distinct_pairs(many, many, 2**21).tolist() == [2**41 + 2**20]
    none = np.empty(0, np.int32)
    assert len(_unseen_items.distinct_pairs(none, none, 0)) == 0
