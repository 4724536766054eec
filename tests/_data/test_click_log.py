"""Logs of clicks from any table, in batches, and the rows that are no clicks."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from skrec._data import click_log
from skrec._data.click_log import Columns, describe, read_log

COLUMNS = Columns("uid", "sku", "ts")


def make_log(n=60, seed=0, text=False):
    rng = np.random.default_rng(seed)
    user, item = rng.integers(100, 110, n), rng.integers(0, 15, n)
    return pd.DataFrame(
        {
            "uid": [f"u{u}" for u in user] if text else user,
            "sku": [f"i{i}" for i in item] if text else item,
            "ts": rng.integers(1_700_000_000, 1_700_000_030, n),
            "action": rng.choice(["buy", "view", "cart"], n),
            "rating": rng.integers(1, 6, n),
        }
    )


def by_loops(frame, kept=lambda row: True):
    """Collect histories one click at a time: a list of (user, items, times)."""
    clicks = {}
    for row in frame.itertuples():
        if kept(row):
            clicks.setdefault(row.uid, set()).add((row.ts, row.sku))
    return [
        (user, [item for _, item in sorted(own)], [time for time, _ in sorted(own)])
        for user, own in sorted(clicks.items())
    ]


def as_lists(log):
    found = log.in_order().histories()
    return list(
        zip(*(found[name].to_pylist() for name in ("user_id", "history", "times")), strict=True)
    )


def forms(frame, tmp_path):
    """Yield the same log as every kind of table, and as parquet files."""
    yield frame
    yield pl.from_pandas(frame)
    yield pa.Table.from_pandas(frame)
    yield frame.to_dict("list")
    yield frame.assign(uid=pd.Categorical(frame.uid), sku=pd.Categorical(frame.sku))
    yield (
        pl.from_pandas(frame.assign(uid=frame.uid.astype(str))).with_columns(
            pl.col("uid").cast(pl.Categorical)
        )
        if frame.uid.dtype == object
        else frame
    )
    datasets = pytest.importorskip("datasets")
    yield datasets.Dataset.from_pandas(frame)
    folder = tmp_path / "log"
    folder.mkdir()
    parts = [frame[:17], frame[17:40], frame[40:]]
    for at, part in enumerate(parts):
        pq.write_table(pa.Table.from_pandas(part), folder / f"{at}.parquet", row_group_size=5)
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "whole.parquet")
    yield tmp_path / "whole.parquet"
    yield str(tmp_path / "whole.parquet")
    yield folder
    yield [str(folder / f"{at}.parquet") for at in range(3)]
    yield (folder / "0.parquet", folder / "1.parquet", folder / "2.parquet")


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("batch", [7, 1 << 20])
def test_every_form_and_batch_gives_the_histories_of_a_loop(text, batch, tmp_path, monkeypatch):
    monkeypatch.setattr(click_log, "BATCH_ROWS", batch)
    frame = make_log(text=text)
    wanted = by_loops(frame)
    for clicks in forms(frame, tmp_path):
        log = read_log(clicks, COLUMNS)
        assert as_lists(log) == wanted, type(clicks)
        assert log.report == {"n_rows": 60, "n_other_events": 0, "n_without_user": 0}


def test_only_the_columns_that_are_needed_are_read(tmp_path, monkeypatch):
    # a log may have columns that are larger than memory, or can't be read
    read = []
    whole = pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile,
        "iter_batches",
        lambda self, size, columns: read.append(set(columns)) or whole(self, size, columns=columns),
    )
    pq.write_table(pa.Table.from_pandas(make_log()), tmp_path / "log.parquet")
    read_log(tmp_path / "log.parquet", COLUMNS)
    read_log(tmp_path / "log.parquet", COLUMNS, {"action": "buy"})
    read_log(tmp_path / "log.parquet", COLUMNS, pc.field("rating") >= 4)
    own = {"uid", "sku", "ts"}
    assert read == [own, own | {"action"}, own | {"rating"}]
    read_log(make_log().assign(other=[object()] * 60).to_dict("list"), COLUMNS)


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        ({"action": "buy"}, lambda row: row.action == "buy"),
        ({"action": ["buy", "cart"]}, lambda row: row.action in ("buy", "cart")),
        ({"action": ["buy"], "rating": 5}, lambda row: row.action == "buy" and row.rating == 5),
        (pc.field("rating") >= 4, lambda row: row.rating >= 4),
        (
            (pc.field("rating") >= 4) & (pc.field("action") != "view"),
            lambda row: row.rating >= 4 and row.action != "view",
        ),
    ],
)
def test_events_that_are_clicks(event, kept, monkeypatch):
    monkeypatch.setattr(click_log, "BATCH_ROWS", 9)
    frame = make_log(200)
    for clicks in (frame, frame.assign(action=pd.Categorical(frame.action))):
        log = read_log(clicks, COLUMNS, event)
        assert as_lists(log) == by_loops(frame, kept)
        assert log.report["n_other_events"] == sum(not kept(row) for row in frame.itertuples())


def test_nulls_of_other_events_do_no_harm():
    frame = pd.DataFrame(
        {"uid": [1, 2, 1], "sku": [4, None, 5], "ts": [1, None, 2], "action": ["a", "search", "a"]}
    )
    assert as_lists(read_log(frame, COLUMNS, {"action": "a"})) == [(1, [4, 5], [1, 2])]
    frame["action"] = ["a", None, "a"]
    assert as_lists(read_log(frame, COLUMNS, pc.field("action") == "a")) == [(1, [4, 5], [1, 2])]


@pytest.mark.parametrize(
    ("event", "error", "message"),
    [
        (
            {"action": ["by"]},
            ValueError,
            "keeps the rows of clicks with 'by' in column 'action', and",
        ),
        ({"actoin": "buy"}, ValueError, r"event names a column 'actoin' .*did you mean 'action'"),
        ("buy", TypeError, r"event must map a column to the values .*\{'action': .*got 'buy'"),
        ({}, TypeError, "event must map a column"),
        ({"rating": ["five"]}, TypeError, "event compares column 'rating', of int64, with 'five'"),
        (pc.field("stars") > 4, ValueError, "event does not fit the columns of clicks: .*stars"),
        (pc.field("rating") > "a", ValueError, "event does not fit the columns of clicks"),
        (pc.field("rating") > 9, ValueError, "clicks has no clicks: 60 rows, .*60 other events"),
    ],
)
def test_events_that_can_not_be_found(event, error, message):
    with pytest.raises(error, match=message):
        read_log(make_log(), COLUMNS, event)


@pytest.mark.parametrize("nobody", [None, np.nan, "", "  "])
def test_clicks_without_a_user_are_counted(nobody):
    frame = make_log(text=True)
    some = frame.assign(uid=frame.uid.replace({"u103": nobody}))
    log = read_log(some, COLUMNS)
    assert as_lists(log) == by_loops(frame, lambda row: row.uid != "u103")
    assert log.report["n_without_user"] == (frame.uid == "u103").sum()


def test_int_users_with_gaps_are_floats_in_pandas():
    frame = make_log()
    for gaps in (
        frame.assign(uid=frame.uid.astype(float).where(frame.uid != 103)),
        pl.from_pandas(frame).with_columns(
            uid=pl.when(pl.col("uid") == 103).then(float("nan")).otherwise(pl.col("uid"))
        ),
    ):
        log = read_log(gaps, COLUMNS)
        assert as_lists(log) == by_loops(frame, lambda row: row.uid != 103)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.drop(columns="sku"), ValueError, "clicks has no column 'sku', only uid, ts"),
        (lambda f: f.assign(sku=None), ValueError, "column 'sku' of clicks has 60 nulls"),
        (lambda f: f.assign(sku=0.5), ValueError, "column 'sku' of clicks must be whole numbers"),
        (lambda f: f.assign(uid=True), TypeError, "column 'uid' of clicks must be ints or strings"),
        (lambda f: f.assign(ts=None), ValueError, "column 'ts' of clicks has 60 nulls"),
        (lambda f: f.assign(ts="2026-01-01"), TypeError, r"column 'ts' .*clicks\['ts'\]"),
        (lambda f: f[:0], ValueError, "clicks has no clicks: 0 rows"),
        (lambda f: f.assign(ts=[0, *f.ts[1:]]), ValueError, "'ts' .* 1 values that are 0 or -1"),
        (
            lambda f: f.assign(ts=[*f.ts[:9] * 1000, *f.ts[9:]]),
            ValueError,
            "mixes seconds and mill",
        ),
    ],
)
def test_logs_that_can_not_be_read(change, error, message):
    with pytest.raises(error, match=message):
        read_log(change(make_log()), COLUMNS)


def test_one_column_has_one_role():
    with pytest.raises(ValueError, match="one column of clicks has two roles: uid, uid"):
        read_log(make_log(), Columns("uid", "uid", None))


def test_without_a_time_rows_are_in_order():
    frame = make_log()
    with pytest.raises(ValueError, match="'ts' looks like one, and the rows of each user are not"):
        read_log(frame, Columns("uid", "sku", "time"))
    found = read_log(frame, Columns("uid", "sku", None)).in_order().histories()
    wanted = frame.groupby("uid").sku.agg(list)
    assert found["history"].to_pylist() == wanted.tolist()
    assert found.column_names == ["user_id", "history"]
    ordered = frame.sort_values("ts", kind="stable")
    ordered.loc[ordered.index[5], "uid"] = -1
    nobody = ordered.assign(uid=ordered.uid.astype(float).where(ordered.uid != -1))
    assert read_log(nobody, Columns("uid", "sku", "time")).report["n_without_user"] == 1


def test_unknown_items_and_repeats_are_counted():
    frame = pd.concat([make_log(), make_log()])
    log = read_log(frame, COLUMNS).of_items(pa.array([1, 3, 7])).in_order()
    wanted = by_loops(frame, lambda row: row.sku in (1, 3, 7))
    found = log.histories()
    assert found["history"].to_pylist() == [items for _, items, _ in wanted]
    n_known = int(frame.sku.isin([1, 3, 7]).sum())
    report = log.full_report()
    assert report["n_unknown_items"] == 120 - n_known
    assert report["n_clicks"] == sum(len(items) for _, items, _ in wanted)
    assert report["n_repeated"] == n_known - report["n_clicks"]
    assert report["n_users"] == len(wanted)
    assert report["n_items"] == 3
    assert describe(report).startswith(f"{report['n_clicks']} clicks of {report['n_users']} users")
    assert f"{120 - n_known} on items that are not in the catalogue" in describe(report)


def test_zones_are_one_time():
    utc = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
    tokyo = datetime.timezone(datetime.timedelta(hours=9))
    clicks = {
        "uid": [1, 1, 1],
        "sku": [5, 6, 7],
        "ts": pa.array(
            [
                utc,
                (utc - datetime.timedelta(hours=1)).astimezone(tokyo),
                utc - datetime.timedelta(hours=2),
            ],
            pa.timestamp("us", "Asia/Tokyo"),
        ),
    }
    assert read_log(clicks, COLUMNS).in_order().histories()["history"].to_pylist() == [[7, 6, 5]]
