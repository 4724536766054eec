"""Histories and impressions from logs with any names of columns, and what their reports count."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from skrec import Items
from skrec.datasets import histories_from_clicks, impressions_from_clicks

NAMES = {"user": "uid", "item": "sku", "time": "ts"}
SETTINGS = {"min_clicks": 4, "n_test": 1, "n_negatives": 2, "n_negatives_eval": 3}
PARTS = ("train", "valid", "test")


@pytest.fixture
def clicks():
    rng = np.random.default_rng(0)
    rows = [(u, i, t) for u in range(6) for t, i in enumerate(rng.permutation(30)[:9])]
    rows += [(6, 1, 0), (6, 2, 1)]
    log = pd.DataFrame(rows, columns=["uid", "sku", "ts"]).sample(frac=1, random_state=0)
    return log.assign(action=rng.choice(["buy", "view"], len(log)))


@pytest.fixture
def items():
    return pd.DataFrame({"sku": range(25), "title": [f"title {i}" for i in range(25)]})


def plain(clicks):
    return clicks.rename(columns={"uid": "user_id", "sku": "item_id", "ts": "time"})


@pytest.mark.filterwarnings("ignore:.*users have fewer")
def test_names_of_columns_change_nothing(clicks, tmp_path):
    wanted = impressions_from_clicks(plain(clicks), **SETTINGS)
    pq.write_table(pa.Table.from_pandas(clicks[:20]), tmp_path / "a.parquet")
    pq.write_table(pa.Table.from_pandas(clicks[20:]), tmp_path / "b.parquet")
    for log in (clicks, tmp_path, [tmp_path / "a.parquet", tmp_path / "b.parquet"]):
        found = impressions_from_clicks(log, **NAMES, **SETTINGS)
        for part in PARTS:
            assert found[part].equals(wanted[part])
        assert found.report == wanted.report


def test_the_report_of_impressions(clicks, items):
    log = pd.concat([clicks, clicks[:3], clicks[:5].assign(uid=np.nan)])
    with pytest.warns(UserWarning) as caught:
        data = impressions_from_clicks(log, items, **NAMES, **SETTINGS)
    n_unknown = int((pd.concat([clicks, clicks[:3]]).sku >= 25).sum())
    n_repeated = int((clicks[:3].sku < 25).sum())
    known = clicks[clicks.sku < 25]
    said = [str(each.message) for each in caught]
    assert (
        f"of {len(log)} clicks, 5 have no user and {n_unknown} are on unknown items; they"
        in said[0]
    )
    assert "1 of 7 users have fewer than min_clicks=4 clicks and are left out" in said[1]
    assert data.report == {
        "n_rows": len(log),
        "n_other_events": 0,
        "n_without_user": 5,
        "n_unknown_items": n_unknown,
        "n_repeated": n_repeated,
        "n_of_few": 2,
        "n_clicks": len(known) - 2,
        "n_users": 6,
        "n_users_left_out": 1,
        "n_items": known[known.uid < 6].sku.nunique(),
    }
    assert {type(n) for n in data.report.values()} == {int}  # as JSON and print need it
    for part in PARTS:
        for row in data[part].to_pylist():
            assert set(row["candidates"]) | set(row["history"]) <= set(range(25))


@pytest.mark.parametrize("event", [{"action": "buy"}, pc.field("action") == "buy"])
def test_events(event, clicks):
    settings = SETTINGS | {"item_ids": range(60), "min_clicks": 3}
    bought = clicks[clicks.action == "buy"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about users with few clicks
        wanted = impressions_from_clicks(bought, **NAMES, **settings)
        found = impressions_from_clicks(clicks, **NAMES, event=event, **settings)
    for part in PARTS:
        assert found[part].equals(wanted[part])
    assert found.report["n_other_events"] == len(clicks) - len(bought)
    histories = histories_from_clicks(clicks, **NAMES, event=event)
    assert histories.histories.equals(histories_from_clicks(bought, **NAMES).histories)


def test_seen_is_a_log_with_the_same_names(clicks):
    settings = NAMES | SETTINGS | {"item_ids": range(32)}
    seen = pd.DataFrame({"uid": 0, "sku": range(30)})
    with pytest.raises(ValueError, match="cannot draw 3 negatives for user 0, who never met 2 of"):
        impressions_from_clicks(clicks[clicks.uid < 6], seen=seen, **settings)


def test_histories_of_a_loop(clicks, items):
    known = clicks[clicks.sku < 25]
    with pytest.warns(UserWarning, match="are on unknown items; they are left out"):
        data = histories_from_clicks(clicks, Items(items, id="sku"), **NAMES)
    table = data.histories
    assert table.column_names == ["user_id", "history", "time", "times"]
    for row in table.to_pylist():
        own = known[known.uid == row["user_id"]].sort_values("ts")
        assert row["history"] == own.sku.tolist()
        assert row["times"] == own.ts.tolist()
        assert row["time"] == own.ts.max()
    assert data.report["n_clicks"] == len(known)
    assert data.report["n_users"] == table.num_rows == known.uid.nunique()


def test_first_clicks_only():
    log = {"user_id": [1, 1, 1], "item_id": [5, 5, 4], "time": [1, 2, 3]}
    assert histories_from_clicks(log).histories["history"].to_pylist() == [[5, 5, 4]]
    first = histories_from_clicks(log, first_only=True)
    assert first.histories["history"].to_pylist() == [[5, 4]]
    assert first.report["n_repeated"] == 1


def test_histories_are_rows_of_fit(news, make_recommender):
    log = {"user_id": [1, 1, 2, 2], "item_id": news.items.item_id[:4], "time": [1, 2, 3, 4]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as a column that is not used
        make_recommender().fit(histories_from_clicks(log).histories, news.items)


def test_items_or_item_ids(clicks, items):
    with pytest.raises(ValueError, match="give items, the catalogue, or item_ids, not both"):
        impressions_from_clicks(clicks, items, item_ids=[1], **NAMES)


@pytest.mark.parametrize("make", [histories_from_clicks, impressions_from_clicks])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"user": "user"}, ValueError, "clicks has no column 'user', only uid, sku, ts, action"),
        ({"time": "when"}, ValueError, "clicks has no column 'when'"),
        ({"item": "uid"}, ValueError, "one column of clicks has two roles"),
        (
            {"event": {"action": "by"}},
            ValueError,
            "with 'by' in column 'action'",
        ),
        ({"items": {"a": "text"}}, TypeError, "are int ids .* but the catalogue's are str"),
    ],
)
def test_arguments_that_do_not_fit(make, arguments, error, message, clicks):
    with pytest.raises(error, match=message):
        make(clicks, **NAMES | arguments)


@pytest.mark.filterwarnings("ignore:.*users have fewer")
def test_weights_of_clicks(clicks):
    value = np.arange(1.0, len(clicks) + 1)
    log = clicks.assign(value=value)
    twice = pd.concat([log, log[:9]])  # two pieces of an article
    wanted = impressions_from_clicks(clicks, **NAMES, **SETTINGS)
    data = impressions_from_clicks(twice, **NAMES, **SETTINGS, weight="value")
    weights = twice.groupby(["uid", "sku"]).value.sum()
    for part in PARTS:
        assert data[part].drop(["weights"]).equals(wanted[part])
        for row in data[part].to_pylist():
            assert row["weights"] == [
                weights.get((row["user_id"], item), 0) * clicked
                for item, clicked in zip(row["candidates"], row["clicked"], strict=True)
            ]
    first = impressions_from_clicks(twice, **NAMES, **SETTINGS, weight="value", first_only=True)
    weights = log.set_index(["uid", "sku"]).value
    for row in first.test.to_pylist():
        at = row["clicked"].index(1)
        assert row["weights"][at] == weights[row["user_id"], row["candidates"][at]]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (0, ValueError, "column 'value' of clicks has 56 values that are no positive numbers"),
        (None, TypeError, "column 'value' of clicks must contain positive numbers"),
        (np.nan, ValueError, "has 56 values"),
        ("3", TypeError, "must contain positive numbers, the weights, got"),
    ],
)
def test_weights_that_are_none(values, error, message, clicks):
    with pytest.raises(error, match=message):
        impressions_from_clicks(clicks.assign(value=values), **NAMES, **SETTINGS, weight="value")
    with pytest.raises(ValueError, match="clicks has no column 'worth'"):
        impressions_from_clicks(clicks, **NAMES, **SETTINGS, weight="worth")
