"""Times of clicks: texts are refused, and columns that look like times must agree with the rows."""

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skrec._data.click_times import looks_like_time
from skrec.datasets import impressions_from_clicks

SMALL = {"item_ids": range(20), "min_clicks": 4, "n_test": 1, "n_negatives_eval": 2}
USERS = [1, 2] * 5
ITEMS = [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
DAYS = pd.date_range("2026-01-30", periods=10)


def cut(**columns):
    return impressions_from_clicks({"user_id": USERS, "item_id": ITEMS, **columns}, **SMALL)


@pytest.mark.parametrize(
    "name",
    "timestamp Timestamp ts date datetime event_time eventTime eventtime created_at clickedAt dt "
    "unixReviewTime t_dat Time t created when review_date click-timestamp 'date' day time_stamp "
    "_TS".split(),
)
def test_names_of_times(name):
    assert looks_like_time(name)
    with pytest.raises(ValueError, match="clicks has no column 'time', but .* not in its order"):
        cut(**{name: range(10, 0, -1)})
    assert "time" not in cut(**{name: range(10)}).test.column_names
    with pytest.raises(ValueError, match=r"clicks.rename\(columns=\{.*: 'time'\}\), or leave"):
        cut(**{name: [3, 1, 2, 2, 1, 3, 4, 4, 5, 5]})


@pytest.mark.parametrize(
    "name",
    "rating candidate candidates update last_update sentiment runtime day_of_week time_of_day lat "
    "seat format database dates_seen weekday item_title timezone".split(),
)
def test_other_names(name):
    assert not looks_like_time(name)
    cut(**{name: range(10, 0, -1)})


@pytest.mark.parametrize("name", ["dwell_time", "watchtime", "read_time", "time_spent", "max_time"])
def test_durations_are_no_times_unless_they_are_dates(name):
    cut(**{name: np.arange(10, 0, -1) * 0.5})
    with pytest.raises(ValueError, match=name):
        cut(**{name: 1_700_000_000 - np.arange(10)})
    with pytest.raises(ValueError, match=name):
        cut(**{name: DAYS[::-1]})


@pytest.mark.parametrize(
    "values",
    [
        DAYS,
        DAYS.date,
        DAYS.tz_localize("Asia/Tokyo"),
        DAYS.strftime("%Y-%m-%d"),
        DAYS.strftime("%Y-%m-%dT%H:%M:%S"),
        DAYS.strftime("%Y-%m-%d %H:%M:%SZ"),
        pd.Categorical(DAYS),
        pl.Series(DAYS),
        pa.array(DAYS),
    ],
)
def test_dates_under_any_name(values):
    ordered = pd.Series(values) if isinstance(values, pd.Categorical) else values
    cut(logged=ordered)
    with pytest.raises(ValueError, match="'logged' looks like one, and the rows of each user are"):
        cut(logged=ordered[::-1])


def test_every_kind_of_table_is_checked(tmp_path):
    table = {"user_id": USERS, "item_id": ITEMS, "logged": DAYS[::-1]}
    frame = pd.DataFrame(table)
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "log.parquet")
    for clicks in (
        frame,
        pl.from_pandas(frame),
        pa.table(table),
        tmp_path / "log.parquet",
        table,
        frame.set_index("logged", drop=False),
    ):
        with pytest.raises(ValueError, match="logged"):
            impressions_from_clicks(clicks, **SMALL)


@pytest.mark.parametrize("name", ["time", "ts", "logged", None])
def test_times_in_the_index(name):
    clicks = pd.DataFrame({"user_id": USERS, "item_id": ITEMS}, DAYS.rename(name))
    impressions_from_clicks(clicks, **SMALL)
    name = name or "index"
    with pytest.raises(
        ValueError, match=rf"reset_index\(\).rename\(columns=\{{'{name}': 'time'\}}"
    ):
        impressions_from_clicks(clicks.set_index(clicks.index[::-1]), **SMALL)
    impressions_from_clicks(clicks.set_index(np.arange(10, 0, -1)), **SMALL)


def test_a_user_whose_times_are_all_equal_or_missing_is_in_order():
    cut(ts=[5, 9] * 5)
    cut(ts=[1, 2, None, None, 2, 3, 3, 4, None, 5])
    cut(ts=[None] * 10)
    with pytest.raises(ValueError, match="'ts'"):
        cut(ts=[2, 2, None, None, 1, 3, 3, 4, None, 5])


def test_texts_of_dates_are_parsed_or_refused():
    as_text = DAYS.strftime("%d/%m/%Y")
    with pytest.raises(ValueError, match="'date' .* such as '30/01/2026'.*to_datetime"):
        cut(date=as_text)  # the order of these texts is unknown
    cut(date=as_text, ts=range(10))  # the rows are in the order of other times
    with pytest.raises(ValueError, match="'date'"):
        cut(date=as_text, ts=[5] * 10)
    cut(date=[str(n) for n in range(1, 11)])  # 10 is later than 9
    cut(date=["Monday"] * 10)
    cut(title=as_text[::-1])


def test_columns_that_cannot_be_read_are_no_times_unless_their_name_says_so():
    cut(other=[1, "a", None, [2], object(), *range(5)])
    with pytest.raises(ValueError, match="'timestamp' looks like one, and it can't be read"):
        cut(timestamp=[1, "a", None, [2], object(), *range(5)])
    cut(is_first_time=[True, False] * 5)


@pytest.mark.parametrize(
    ("times", "how"),
    [
        (DAYS.strftime("%d/%m/%Y"), "such as '30/01/2026'.*to_datetime"),
        (DAYS.strftime("%Y-%m-%d"), "such as '2026-01-30'.*to_datetime"),
        ([str(n) for n in range(10)], r"such as '0'.*astype\('int64'\)"),
        (pd.Series(DAYS.strftime("%Y-%m-%d"), dtype="category"), "to_datetime"),
        (pa.array(["2026"] * 10, pa.large_string()), "astype"),
        (pl.Series(["10:30"] * 10), "to_datetime"),
        ([b"10:30"] * 10, "to_datetime"),
    ],
)
def test_times_as_text_are_refused(times, how):
    with pytest.raises(TypeError, match=f"column 'time' of clicks contains texts .*{how}"):
        cut(time=times)


@pytest.mark.parametrize(
    ("times", "error", "message"),
    [
        ([True] * 10, TypeError, "must contain numbers, dates or timestamps, got bool"),
        ([[1]] * 10, TypeError, "got list"),
        ([datetime.time(3)] * 10, TypeError, "got time64"),
        (pd.Series(pd.period_range("2026", periods=10, freq="M")), TypeError, "got "),
        ([None, *range(9)], ValueError, "has 1 nulls"),
        (pa.array([np.nan, *range(9)]), ValueError, "1 values that are NaN or infinite"),
        ([np.inf, -np.inf, *range(8)], ValueError, "2 values that are NaN or infinite"),
        (DAYS[:9].append(pd.DatetimeIndex([None])), ValueError, "has 1 nulls"),
        ([1, "a", *range(8)], ValueError, "can't read column 'time'"),
    ],
)
def test_other_values_that_are_no_times(times, error, message):
    with pytest.raises(error, match=message):
        cut(time=times)


@pytest.mark.parametrize(
    "times",
    [
        range(10),
        np.arange(10) / 7,
        [decimal.Decimal(n) / 4 for n in range(10)],
        DAYS,
        DAYS.date,
        DAYS.tz_localize("UTC"),
        DAYS - DAYS[0],
        pd.Series(DAYS, dtype="category"),
        pd.array(range(10), dtype="Int64"),
        pl.Series(DAYS),
    ],
)
def test_times_of_all_types(times):
    wanted = cut().test
    found = cut(time=times).test
    assert found.column_names[2] == "time"
    assert found.drop("time").to_pylist() == wanted.to_pylist()
