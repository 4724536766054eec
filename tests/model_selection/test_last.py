"""Splits that test and validate on the last impressions of each user."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from skrec import Interactions, explode
from skrec.model_selection import split_last


def slow_split(X, n_valid, n_test):
    """Compute the split user by user, with impressions sorted by time, then by first row."""
    parts = {"train": [], "valid": [], "test": []}
    ids = X["impression_id"] if "impression_id" in X else range(len(X))
    rows_of = {}
    for row, impression in enumerate(ids):
        rows_of.setdefault(impression, []).append(row)
    for user in set(X["user_id"]):
        own = [rows for rows in rows_of.values() if X["user_id"].iloc[rows[0]] == user]
        if "time" in X:
            own.sort(key=lambda rows: max(X["time"].iloc[row] for row in rows))
        if len(own) <= n_valid + n_test:
            names = ["train"] * len(own)
        else:
            n_train = len(own) - n_valid - n_test
            names = ["train"] * n_train + ["valid"] * n_valid + ["test"] * n_test
        for name, rows in zip(names, own, strict=True):
            parts[name] += rows
    return [sorted(parts[name]) for name in ("train", "valid", "test")]


def rows_of(rng, n=200, n_users=30, n_times=8):
    """Make rows of users with few or many impressions, and with many equal times."""
    return pd.DataFrame(
        {
            "user_id": rng.integers(n_users, size=n) ** 2 // n_users,
            "time": rng.integers(n_times, size=n),
            "history": [[1]] * n,
            "candidates": [[int(i), 900] for i in range(n)],
            "clicked": [[1, 0]] * n,
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize(("n_valid", "n_test"), [(1, 1), (0, 2), (3, 0), (2, 1), (0, 0)])
@pytest.mark.parametrize("seed", range(3))
def test_split_equals_user_by_user_computation(seed, n_valid, n_test):
    X = rows_of(np.random.default_rng(seed))
    for table in (X, X.drop(columns="time")):
        found = split_last(table, n_valid=n_valid, n_test=n_test)
        assert [part.tolist() for part in found] == slow_split(table, n_valid, n_test)


def test_pairs_of_an_impression_stay_together_and_count_as_one():
    rng = np.random.default_rng(0)
    pairs, _ = explode(rows_of(rng))
    pairs = pairs.sample(frac=1, random_state=0).reset_index(drop=True)
    found = split_last(pairs, n_valid=1, n_test=2)
    assert [part.tolist() for part in found] == slow_split(pairs, 1, 2)
    ids = [set(pairs.impression_id.iloc[part]) for part in found]
    assert not ids[0] & ids[1] | ids[1] & ids[2] | ids[0] & ids[2]


def test_an_impression_is_as_late_as_the_latest_of_its_rows():
    X = {
        "user_id": [1] * 5,
        "impression_id": ["a", "a", "b", "c", "a"],
        "time": [1, 9, 5, 4, 2],
        "history": [[]] * 5,
    }
    train, valid, test = split_last(X)
    assert (train.tolist(), valid.tolist(), test.tolist()) == ([3], [2], [0, 1, 4])


def test_equal_times_are_in_the_order_of_rows():
    X = {"user_id": ["a"] * 4, "time": [5, 5, 5, 1]}
    train, valid, test = split_last(X)
    assert (train.tolist(), valid.tolist(), test.tolist()) == ([0, 3], [1], [2])


def test_users_with_too_few_impressions_only_train():
    X = {"user_id": [1, 2, 2, 3, 3, 3], "time": range(6)}
    train, valid, test = split_last(X)
    assert (train.tolist(), valid.tolist(), test.tolist()) == ([0, 1, 2, 3], [4], [5])


def test_all_table_and_id_types():
    X = rows_of(np.random.default_rng(0))
    wanted = [part.tolist() for part in split_last(X)]
    named = X.assign(user_id="u" + X.user_id.astype(str))
    tables = [
        pl.from_pandas(X),
        pa.Table.from_pandas(X),
        X.to_dict("list"),
        Interactions(X),
        named,
        named.astype({"user_id": "category"}),
        X.assign(time=pd.to_datetime(X.time, unit="D")),
        # chunks with different dictionaries
        pa.concat_tables(
            pa.table({"user_id": part.user_id.astype("category"), "time": part.time})
            for part in (named[:70].copy(), named[70:].copy())
        ),
    ]
    for table in tables:
        assert [part.tolist() for part in split_last(table)] == wanted


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"n_test": -1}, "n_test must be a non-negative int, got -1"),
        ({}, {"n_valid": 1.0}, "n_valid must be a non-negative int, got 1.0"),
        ({}, {"n_test": 9}, r"n_valid \+ n_test = 10; the most is 3"),
        ({"user_id": [1, None, 2]}, {}, "1 of column 'user_id' are null"),
        ({"impression_id": [4, 5, 4]}, {}, "impression_id 4 has rows of two users"),
    ],
)
def test_invalid_input_raises(change, arguments, message):
    X = {"user_id": [1, 1, 1 if not change else 2], "history": [[1]] * 3} | change
    with pytest.raises(ValueError, match=message):
        split_last(X, **arguments)


def test_missing_user_id_raises():
    with pytest.raises(ValueError, match="X has no column 'user_id'.*'?history"):
        split_last([[1], [2]])
    with pytest.raises(ValueError, match="no user has more impressions"):
        split_last({"user_id": np.array([], dtype=int), "history": []})
