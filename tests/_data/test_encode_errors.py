"""Errors for invalid X and y, which say how to fix them."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from encoded import encode

from skrec import Items

INTS = Items({100: "", 107: "", 114: ""})


def pairs(**columns):
    return pd.DataFrame({"history": [[100], []], "candidate": [107, 114], **columns})


def impressions(**columns):
    return pd.DataFrame({"history": [[100], []], "candidates": [[107, 114], [100]], **columns})


@pytest.mark.parametrize(
    "X",
    [
        [],
        iter([]),
        np.empty((0, 3), dtype=int),
        pd.Series([]),
        pd.DataFrame({"history": [[1]], "candidates": [[1]]}).iloc[:0],
        {"history": [], "candidate": []},
        pa.table({"history": pa.array([], pa.list_(pa.int64()))}),
        pa.table({"history": pa.chunked_array([], pa.list_(pa.int64()))}),
    ],
)
def test_no_rows_raise(X):
    with pytest.raises(ValueError, match="X has no rows; at least one is needed"):
        encode(X, items=INTS)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (pairs(), [0, 1, 1], "X has 2 rows but y has 3 labels"),
        (pairs(), [], "X has 2 rows but y has 0 labels"),
        (pairs(), [0, 2], "y must be 0/1 labels, got the values 0, 2"),
        (pairs(), [-1, 1], "y must be 0/1 labels, got the values -1, 1"),
        (pairs(), [0, 0.5], "y must be 0/1 labels, got the values 0.0, 0.5"),
        (pairs(), [0, np.nan], "y must be 0/1 labels, got 1 nulls"),
        (pairs(), [None, 1], "y must be 0/1 labels, got 1 nulls"),
        (pairs(), ["no", "yes"], "y must be 0/1 labels, got string such as 'no', 'yes'"),
        (pairs(), 1, r"y must be 1-dimensional 0/1 labels, got shape \(\)"),
        (pairs(), np.eye(2), r"y must be 1-dimensional 0/1 labels, got shape \(2, 2\)"),
        (
            pairs(),
            pd.DataFrame({"title": ["a"], "topic": ["b"]}),
            "one column of 0/1, got a table with columns 'title', 'topic'; .* id column 'item_id'",
        ),
        (pairs(clicked=[0, 1]), [1, 1], "y differs from the 'clicked' column of X; give one"),
        (pairs(clicked=[0, -3]), None, "column 'clicked' must be 0/1 labels, .* got -3 in row 1"),
        (pairs(clicked=[[0], [1]]), None, "column 'clicked' must be 0/1 labels, .* got list"),
        (impressions(), [0, 1], "y goes with pairs; impressions carry their clicks in a 'clicked'"),
        ([[100], []], [0, 1], "bare histories are trained on their own next clicks"),
    ],
)
def test_labels_that_do_not_fit_raise(X, y, message):
    with pytest.raises(ValueError, match=message):
        encode(X, y, items=INTS)


@pytest.mark.parametrize(
    ("clicked", "error", "message"),
    [
        ([[1, 0], [1, 0]], ValueError, "row 1 has 1 candidates but 2 labels in 'clicked'"),
        ([[1], [1, 0]], ValueError, "row 0 has 2 candidates but 1 labels"),  # the totals are equal
        ([[1, -2], [0]], ValueError, "'clicked' must be 0/1 labels, or .* got -2 in row 0"),
        ([[1, None], [0]], ValueError, "'clicked' must be 0/1 labels, .* got 1 nulls, .* in row 0"),
        ([["1", "0"], ["0"]], ValueError, "0/1 labels, .* got string such as '1', '0', '0'"),
        ([[1, 0], None], ValueError, "column 'clicked' is null in row 1; write an empty list"),
        ([1, 0], TypeError, "'clicked' must hold a list of 0/1 for each row's .* got int64"),
    ],
)
def test_clicks_that_do_not_fit_raise(clicked, error, message):
    with pytest.raises(error, match=message):
        encode(impressions(clicked=clicked), items=INTS)


@pytest.mark.parametrize(
    "X",
    [
        [100, 107],
        (100, 107),
        np.array([100, 107]),
        pd.Series([100, 107]),
        pa.array([100, 107]),
        ["item-0 item-1", "item-2"],
        "item-0",
        b"item-0",
        100,
        None,
        [[100], "item-0"],
        [100, [107]],
        [[100], 107],
        [{"history": [100]}],
        np.zeros((2, 2, 2), dtype=int),
    ],
)
def test_what_is_no_list_of_lists_is_answered_with_one(X):
    # a flat list for one user is a common mistake
    with pytest.raises(TypeError, match=r"one for each row: write \[\[3, 8, 1\]\]"):
        encode(X, items=INTS)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"candidates": [100]}, TypeError, "'candidates' must hold a list .*call it 'candidate'"),
        ({"candidate": [[100]]}, TypeError, "'candidate' must hold one id .*it 'candidates'"),
        ({"history": ["100 107"]}, TypeError, r"'history' must hold a list .*\[\[3, 8, 1\]\]"),
        ({"history": [100]}, TypeError, r"'history' must hold a list .*, got int64"),
        ({"candidates": [[100]], "candidate": [100]}, ValueError, "both 'candidate' and 'cand"),
        ({"history": [None]}, TypeError, "'history' must hold a list .* got null"),
    ],
)
def test_lists_and_scalars_in_each_others_place_raise(columns, error, message):
    with pytest.raises(error, match=message):
        encode(pd.DataFrame({"history": [[100]]} | columns), items=INTS)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("candidate", [100, 107, 114]),
        ("candidate", [100]),
        ("clicked", [0, 1, 1]),
        ("impression_id", [1]),
        ("time", [1, 2, 3]),
    ],
)
def test_columns_of_a_mapping_that_differ_in_length_raise(column, values):
    X = {"history": [[100], []], "candidate": [107, 114]} | {column: values}
    message = f"column '{column}' has {len(values)} rows but column 'history' has 2"
    with pytest.raises(ValueError, match=message):
        encode(X, items=INTS)


def arrow(rows):
    return pa.table(rows)


def polars(rows):
    return pytest.importorskip("polars").DataFrame(rows)


def hugging_face(rows):
    return pytest.importorskip("datasets").Dataset.from_dict(rows)


TABLES = [dict, pd.DataFrame, arrow, polars, hugging_face]


@pytest.mark.parametrize("table", TABLES)
def test_each_table_is_refused_for_the_same_reasons(table):
    for columns, error, message in (
        ({"candidates": [100]}, TypeError, "'candidates' must hold a list .*call it 'candidate'"),
        ({"candidate": [[100]]}, TypeError, "'candidate' must hold one id .*it 'candidates'"),
        ({"history": [100]}, TypeError, "'history' must hold a list .*, got int64"),
        ({"candidates": [[100]], "candidate": [100]}, ValueError, "both 'candidate' and 'cand"),
        ({"history": [[100, None]]}, ValueError, "1 of the ids in column 'history' are null"),
        ({"history": [[100.5]]}, ValueError, "whole numbers or strings: .*100.5"),
        ({"history": [["a"]]}, TypeError, "are str ids .* but the catalogue's are int"),
        ({"history": [[5]]}, ValueError, "1 ids in X are missing from the catalogue .* them 5;"),
    ):
        with pytest.raises(error, match=message):
            encode(table({"history": [[100]]} | columns), items=INTS)
    with pytest.raises(ValueError, match=r"no column 'history' \(is it 'histroy'\?\)"):
        encode(table({"histroy": [[100]]}), items=INTS)
    with pytest.warns(UserWarning, match=r"'candidats' of X is not used \(did you mean 'cand"):
        encode(table({"history": [[100]], "candidats": [[100]]}), items=INTS)


@pytest.mark.parametrize("table", TABLES)
def test_a_null_row_of_each_table(table):
    with pytest.raises(ValueError, match="column 'history' is null in row 1; write an empty list"):
        encode(table({"history": [[100], None, []]}), items=INTS)


@pytest.mark.parametrize("table", [arrow, polars, hugging_face])
def test_tables_without_rows(table):
    rows = table({"history": [[100]], "candidates": [[100]], "clicked": [[1]]})
    empty = rows.select([]) if table is hugging_face else rows[:0]
    with pytest.raises(ValueError, match="X has no rows"):
        encode(empty, items=INTS)


def test_a_flat_series_of_polars():
    polars = pytest.importorskip("polars")
    for flat in (polars.Series([100, 107]), polars.Series(["100"])):
        with pytest.raises(TypeError, match=r"write \[\[3, 8, 1\]\] .*flat sequence of.* users=\["):
            encode(flat, items=INTS)


def test_a_misspelt_history_raises_with_the_right_name():
    message = r"X has no column 'history' \(is it 'histroy'\?\); its columns are 'histroy', 'cand"
    with pytest.raises(ValueError, match=message):
        encode(pd.DataFrame({"histroy": [[100]], "candidate": [100]}), items=INTS)
    with pytest.raises(ValueError, match="X has no column 'history'; its columns are 'x'"):
        encode({"x": [[100]]}, items=INTS)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("candidats", "candidates"),
        ("click", "clicked"),
        ("Clicked", "clicked"),
        ("impressionid", "impression_id"),
        ("tme", "time"),
    ],
)
def test_other_misspelt_columns_warn(name, meant):
    message = rf"column '{name}' of X is not used \(did you mean '{meant}'\?\)"
    with pytest.warns(UserWarning, match=message):
        encode(pd.DataFrame({"history": [[100]], name: [[1]]}), items=INTS)


def test_columns_that_mean_nothing_here_do_not_warn():
    X = pairs(age=[1, 2], user_id=[1, 2], impression_id=[1, 2], impressions=[1, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(X, items=INTS)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([[100], None], ValueError, "column 'history' is null in row 1; write an empty list"),
        ([[100, None]], ValueError, "1 of the ids in column 'history' are null; drop them"),
        ([[100.0, np.nan]], ValueError, "1 of the ids in column 'history' are null"),
        ([[100.5]], ValueError, "in column 'history' must be whole numbers or strings: .*100.5"),
        ([[True]], TypeError, "ids in column 'history' must be ints or strings, got bool"),
        ([[[100]]], TypeError, "in column 'history' must be ints or strings, got list"),
        ([["100"]], TypeError, r"are str ids \(string\) but the catalogue's are int \(int64\)"),
        ([[100, "a"]], TypeError, "mixed types or objects"),
        (pairs(candidate=[100, None]), ValueError, "1 of the ids in column 'candidate' are null"),
        (pairs(candidate=["a", "b"]), TypeError, "the ids in column 'candidate' are str ids"),
        (pairs(history=[[100], np.nan]), ValueError, "column 'history' is null in row 1"),
    ],
)
def test_what_is_no_id_raises(X, error, message):
    with pytest.raises(error, match=message):
        encode(X, items=INTS)


def test_a_null_list_in_a_later_chunk_is_told_by_its_row():
    X = pa.table({"history": pa.chunked_array([[[100], []], [[107], None]])})
    with pytest.raises(ValueError, match="column 'history' is null in row 3"):
        encode(X, items=INTS)


@pytest.mark.parametrize("ids", [["a", None], [1, np.nan], [[1], [2]]])
def test_bad_impression_ids_raise(ids):
    with pytest.raises(ValueError, match="'impression_id' must hold one id in each row, no nulls"):
        encode(pairs(impression_id=ids), items=INTS)


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ([1, None], "one number or timestamp in each row, no nulls"),
        ([[1], [2]], "one number or timestamp in each row"),
        (
            ["monday", "tuesday"],
            r"'monday', .*pandas.to_datetime\(X\['time'\], format",
        ),
        (
            ["1700000000", "900000000"],
            r"'1700000000', .* X\['time'\].astype\('int64'",
        ),
        (pd.Categorical(["5", "40"]), "texts such as '5', which sort by their letters"),
        ([b"5", b"40"], "texts such as b'5', which sort by their letters"),
        ([True, False], "must hold numbers or timestamps, got bool"),
        ([{"a": 1}, {"a": 2}], "must hold numbers or timestamps: "),
        ([1, np.inf], "NaN or infinite values"),
    ],
)
def test_bad_times_raise(time, message):
    with pytest.raises(ValueError, match=f"column 'time' .*{message}"):
        encode(pairs(time=time), items=INTS)


@pytest.mark.parametrize("time", [pd.Categorical([5, 40]), pd.to_datetime(["2020", "2021"])])
def test_times_of_other_types_keep_their_order(time):
    data = encode(pairs(time=time), items=INTS)
    assert data.time[0] < data.time[1]
