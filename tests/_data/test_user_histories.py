"""Remembered histories: users are found, and later clicks are inserted at their places."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skrec import Items
from skrec._data.click_log import Columns, read_log
from skrec._data.user_histories import (
    add_clicks,
    are_histories,
    columns_of,
    find_users,
    forget,
    histories_of,
    remember,
)

COLUMNS = Columns("uid", "sku", "ts")


def make_log(n=80, seed=0, text=False, times=True):
    rng = np.random.default_rng(seed)
    user, item = rng.integers(100, 120, n), rng.integers(0, 15, n)
    columns = {
        "uid": [f"u{u}" for u in user] if text else user,
        "sku": [f"i{i}" for i in item] if text else item,
    }
    return pd.DataFrame(columns | ({"ts": rng.integers(0, 30, n) + 1.7e9} if times else {}))


def remembered(frame, columns=COLUMNS):
    return remember(read_log(frame, columns).in_order(), columns)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("parts", [2, 5])
def test_clicks_that_come_later_are_as_if_they_had_come_first(text, times, parts):
    columns = COLUMNS if times else Columns("uid", "sku", None)
    frame = make_log(text=text, times=times)
    edges = np.linspace(0, len(frame), parts + 1).astype(int)
    days = [frame[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    known = remembered(days[0], columns)
    for day in days[1:]:
        known = add_clicks(known, read_log(day, columns))
        assert are_histories(known, Items({"sku": frame.sku.unique()}, id="sku"))
    whole = remembered(frame, columns)
    assert known.equals(whole)
    assert known.schema.equals(whole.schema, check_metadata=True)
    assert columns_of(known) == columns
    by_user = dict(zip(known["user_id"].to_pylist(), known["history"].to_pylist(), strict=True))
    if times:
        ordered = frame.drop_duplicates().sort_values(["ts", "sku"])
        wanted = ordered.groupby("uid").sku.agg(list)
        # text ids sort by their letters, as in pandas
        assert by_user == wanted.to_dict()
    else:
        assert by_user == frame.groupby("uid").sku.agg(list).to_dict()


def test_late_and_repeated_clicks():
    known = remembered({"uid": [1, 1], "sku": [5, 7], "ts": [10, 30]})
    late = add_clicks(known, read_log({"uid": [1, 2], "sku": [6, 9], "ts": [20, 1]}, COLUMNS))
    assert late["history"].to_pylist() == [[5, 6, 7], [9]]
    assert known["history"].to_pylist() == [[5, 7]]  # never changed
    again = add_clicks(late, read_log({"uid": [1, 1], "sku": [6, 6], "ts": [20, 21]}, COLUMNS))
    assert again["history"].to_pylist() == [[5, 6, 6, 7], [9]]


SECONDS = [1_700_000_000, 1_700_000_100]


@pytest.mark.parametrize(
    "times",
    [
        np.array(SECONDS),
        np.array(SECONDS) * 1000,
        np.array(SECONDS) * 1e6,
        np.array(SECONDS, dtype=float),
        [second * 10**9 for second in SECONDS],
        pd.to_datetime(SECONDS, unit="s", utc=True),
        pd.to_datetime(SECONDS, unit="s", utc=True).tz_convert("Asia/Tokyo"),
    ],
)
def test_times_of_all_units_and_zones_can_be_compared(times):
    known = remembered({"uid": [1], "sku": [5], "ts": [SECONDS[0] + 50]})
    more = add_clicks(known, read_log({"uid": [1, 1], "sku": [6, 7], "ts": times}, COLUMNS))
    assert more["history"].to_pylist() == [[6, 5, 7]]
    assert more.schema.field("times").type.value_type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        (
            [5],
            pd.to_datetime(SECONDS[:1], unit="s"),
            "are timestamps without a zone, .* numbers from",
        ),
        (
            SECONDS[:1],
            [5],
            "are numbers from another start .* are times in UTC",
        ),
        (SECONDS[:1], pd.to_datetime(SECONDS[:1], unit="s"), "are timestamps without a zone"),
    ],
)
def test_times_that_can_not_be_compared(first, then, message):
    known = remembered({"uid": [1], "sku": [5], "ts": first})
    with pytest.raises(ValueError, match=message):
        add_clicks(known, read_log({"uid": [1], "sku": [6], "ts": then}, COLUMNS))


def test_other_numbers_are_compared_as_they_are():
    # milliseconds since the start of the log soon look like seconds since 1970
    known = remembered({"uid": [1], "sku": [5], "ts": [5]})
    more = add_clicks(known, read_log({"uid": [1], "sku": [6], "ts": [2 * 10**8]}, COLUMNS))
    assert more["times"].to_pylist() == [[5.0, 2e8]]


def test_times_on_one_side_only():
    bare = Columns("uid", "sku", None)
    with_times, without = {"uid": [1], "sku": [5], "ts": [1]}, {"uid": [1], "sku": [5]}
    with pytest.raises(ValueError, match="histories have times, and the new clicks have none"):
        add_clicks(remembered(with_times), read_log(without, bare))
    with pytest.raises(ValueError, match="clicks have times, and the remembered histories have no"):
        add_clicks(remembered(without, bare), read_log(with_times, COLUMNS))


def test_ids_of_another_type():
    known = remembered(make_log())
    for change, message in (
        ({"uid": ["a"]}, "users are str ids, but the remembered users have int ids"),
        ({"sku": ["a"]}, "items of the new clicks have str ids, and those of .* int ids"),
    ):
        new = {"uid": [101], "sku": [3], "ts": [1.7e9]} | change
        with pytest.raises(TypeError, match=message):
            add_clicks(known, read_log(new, COLUMNS))


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 17, 100])
def test_users_are_found_by_bisection(text, n):
    rng = np.random.default_rng(n)
    ids = np.sort(rng.choice(500, n, replace=False))
    if text:
        ids = np.sort(np.array([f"u{i}" for i in ids], dtype=object))
    asked = rng.integers(0, 500, 200)
    asked = np.array([f"u{i}" for i in asked], dtype=object) if text else asked
    kind = pa.large_string() if text else pa.int64()
    found = find_users(pa.table({"user_id": pa.array(ids, kind)}), asked)
    position = {user: row for row, user in enumerate(ids)}
    assert found.tolist() == [position.get(user, -1) for user in asked]


def test_some_users_are_forgotten():
    known = remembered(make_log())
    users = known["user_id"].to_pylist()
    left = forget(known, users[1:4])
    assert left["user_id"].to_pylist() == [users[0], *users[4:]]
    assert columns_of(left) == COLUMNS
    with pytest.raises(ValueError, match=r"2 users are not remembered, among them -1, -2; add"):
        forget(known, [users[0], -1, -2, -1])
    assert len(forget(known, users)) == 0
    assert find_users(forget(known, users), users[:2]).tolist() == [-1, -1]
    more = add_clicks(forget(known, users), read_log(make_log(), COLUMNS))
    assert more.equals(known)


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (3, r"flat sequence of user ids: write \[3\]"),
        ("u3", r"write \['u3'\]"),
        ([[3]], "flat sequence of user ids, got list"),
        (["u3"], "users are str ids, but the remembered users have int ids"),
    ],
)
def test_users_that_can_not_be_read(users, message):
    with pytest.raises(TypeError, match=message):
        histories_of(remembered(make_log()), users)


def test_nothing_is_remembered():
    with pytest.raises(ValueError, match=r"no histories are remembered, .* rec\.update\(clicks\)"):
        histories_of(None, [3])


def changed(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: t.to_pylist(),
        lambda t: t.drop(["history"]),
        lambda t: t.replace_schema_metadata(None),
        lambda t: t.replace_schema_metadata({b"skrec": b'{"user": 3}'}),
        lambda t: t.take(pa.array([1, 0, *range(2, len(t))])),
        lambda t: t.take(pa.array([0, 0, *range(2, len(t))])),
        lambda t: changed(t, "user_id", pa.array([None, *t["user_id"].to_pylist()[1:]])),
        lambda t: changed(t, "history", t["times"]),
        lambda t: changed(t, "history", pa.array([[None]] * len(t), pa.large_list(pa.int64()))),
        lambda t: changed(
            t, "history", pa.array([["a"]] * len(t), pa.large_list(pa.large_string()))
        ),
        lambda t: changed(t, "times", pa.array([[]] * len(t), t["times"].type)),
        lambda t: changed(t, "times", t["history"]),
    ],
)
def test_damaged_tables_are_recognised(damage):
    known = remembered(make_log())
    items = Items({"item_id": range(15)})
    assert are_histories(known, items)
    assert not are_histories(damage(known), items)
