"""Ids that are rounded, out of range or missing, texts that are no Unicode, and masked arrays."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from encoded import encode

from skrec import Items, zoo
from skrec._data.rows import as_table, read_user_ids, read_users

BIG = [2**60 + i for i in range(4)]
ITEMS = Items({"item_id": BIG, "title": list("abcd")})
SMALL = Items({"item_id": [1, 2, 3], "title": list("abc")})


@pytest.mark.parametrize(
    "X",
    [
        [[float(BIG[0])]],
        [np.array([2.0**53])],
        pd.DataFrame({"history": [[BIG[0]]], "candidate": [float(BIG[1])]}),
        pd.DataFrame({"history": [[BIG[0]]], "candidates": [[float(BIG[1])]]}),
        {"history": [np.array([2**24], dtype=np.float32)]},
    ],
)
def test_floats_that_may_be_rounded_ids_are_refused(X):
    with pytest.raises(ValueError, match=r"are floats .* too large to be exact: from 2\*\*(53|24)"):
        encode(X, items=ITEMS)


def test_floats_that_are_exact_are_ids():
    items = Items({"item_id": [2**53 - 1, 5], "title": ["a", "b"]})
    assert items.codes([2.0**53 - 1, 5.0, -(2.0**53) + 1]).tolist() == [0, 1, -1]
    with pytest.raises(ValueError, match="the catalogue's ids are floats"):
        Items({"item_id": [2.0**53, 5], "title": ["a", "b"]})


def test_groups_and_users_that_may_be_rounded_are_refused():
    pairs = pd.DataFrame({"history": [[1], [2]], "candidate": [2, 3]})
    with pytest.raises(ValueError, match="column 'impression_id' are floats"):
        encode(pairs.assign(impression_id=[2.0**60, 1.0]), items=SMALL)
    with pytest.raises(ValueError, match="column 'user_id' are floats"):
        read_user_ids(as_table(pairs.assign(user_id=[2.0**60, 1.0])))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**30])
def test_ints_of_more_than_64_bits_are_named(number, fitted):
    with pytest.raises(ValueError, match=f"the number {number} in row 1.*write such ids as texts"):
        encode([[1], [2, number]], items=SMALL)
    with pytest.raises(ValueError, match=str(number)):
        SMALL.codes([number])
    with pytest.raises(ValueError, match=str(number)):
        fitted.similar_items([number])
    with pytest.raises(ValueError, match=f"'item_id' holds the number {number}"):
        Items({"item_id": [1, number], "title": ["a", "b"]})


def test_unsigned_ints_out_of_range_are_named():
    with pytest.raises(ValueError, match="18446744073709551615 not in range.*as texts"):
        SMALL.codes(np.array([2**64 - 1], dtype=np.uint64))


@pytest.mark.parametrize(
    "values",
    [["ok", "bad \ud83d"], [["ok"], ["fine", "bad \ud83d"]], np.array(["ok", "bad \ud83d"])],
)
def test_texts_that_are_no_unicode_are_named_with_column_and_row(values):
    with pytest.raises(ValueError, match=r"column 'title' holds text .* in row 1: .*bad \\ud83d"):
        Items({"item_id": [1, 2], "title": values})


OBJECTS = np.array(["ok", "bad \ud83d"], dtype=object)


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.Series(OBJECTS, dtype=object),
        lambda: pd.Series(OBJECTS, dtype=pd.StringDtype("python")),
        lambda: pd.Series([["ok"], ["bad \ud83d"]]),
        lambda: pd.Categorical.from_codes([0, 1], pd.Index(OBJECTS, dtype=object)),
    ],
    ids=["objects", "python storage", "lists", "categories"],
)
def test_data_frames_with_texts_that_are_no_unicode(make):
    # pandas itself refuses such texts in the columns of its default type
    frame = pd.DataFrame({"item_id": [1, 2], "title": make()})
    message = (
        r"column 'title' holds text that is not valid Unicode in row 1: 'bad \\ud83d'; replace"
    )
    with pytest.raises(ValueError, match=message):
        Items(frame)
    with pytest.raises(ValueError, match=message):
        Items(frame.to_dict("list"))


def test_histories_that_are_no_unicode():
    with pytest.raises(ValueError, match="text that is not valid Unicode in row 0"):
        encode([["\ud83d"]], items=SMALL)


@pytest.mark.parametrize(
    ("ids", "shown"),
    [(1001, "1001"), (np.int64(1001), "1001"), ("u7", "'u7'"), (None, "None"), (1.5, "1.5")],
)
def test_a_single_id_is_shown_in_brackets(ids, shown, fitted):
    message = rf"must be a flat sequence of item ids: write \[{shown}\]"
    for call in (fitted.similar_items, fitted.items_.codes):
        with pytest.raises(TypeError, match=message):
            call(ids)
    if ids is not None:
        with pytest.raises(TypeError, match=message):
            fitted.recommend([[]], candidates=ids)


# users


@pytest.mark.parametrize(
    "column",
    [
        [7.0, np.nan, 9.0],
        [7, None, 9],
        pd.array([7, None, 9], dtype="Int64"),
        pa.array([7.0, float("nan"), 9.0]),
        pd.Categorical([7, None, 9]),
    ],
)
def test_gaps_are_rows_without_a_user(column):
    table = as_table({"history": [[1]] * 3, "user_id": column})
    known = read_user_ids(table)
    assert known.to_pylist() == [7, 9]
    assert read_users(table, known, 3).tolist() == [1, 0, 2]


def test_gaps_in_texts_and_columns_of_gaps():
    table = as_table({"history": [[1]] * 2, "user_id": ["b", None]})
    known = read_user_ids(table)
    assert read_users(table, known, 2).tolist() == [1, 0]
    nobody = as_table({"history": [[1]] * 2, "user_id": [None, None]})
    assert read_users(nobody, known, 2).tolist() == [0, 0]
    assert len(read_user_ids(nobody)) == 0


def test_fractions_are_no_users():
    with pytest.raises(ValueError, match="'user_id' must be whole numbers or strings.*7.5"):
        read_user_ids(as_table({"history": [[1]], "user_id": [7.5]}))


def test_rows_with_a_gap_are_answered_as_rows_of_unknown_users(news):
    X = news.train.copy()
    X["user_id"] = X.user_id.where(X.index > 5)  # floats
    rec = zoo.LSTUR(max_epochs=1, random_state=0, early_stopping=False).fit(X, news.items)
    row = news.test.head(1)
    gap, unknown = row.assign(user_id=np.nan), row.assign(user_id=10**9)
    np.testing.assert_array_equal(rec.transform(gap), rec.transform(unknown))
    known = row.assign(user_id=float(row.user_id.iloc[0]))
    np.testing.assert_array_equal(rec.transform(known), rec.transform(row))


# lists longer than the catalogue


def test_lists_longer_than_the_catalogue_are_filled_up(fitted, news):
    for ask in (fitted.recommend, fitted.similar_items):
        given = [news.items.item_id.iloc[:2].tolist()]
        given = given if ask == fitted.recommend else given[0]
        ids, scores = ask(given, k=10**6)
        short, best = ask(given, k=120)
        np.testing.assert_array_equal(ids[:, :120], short)
        np.testing.assert_array_equal(scores[:, :120], best)
        assert (ids[:, 120:] == -1).all()
        assert (scores[:, 120:] == -np.inf).all()
        with pytest.raises(ValueError, match="greater than the catalogue of 120.*k=120 or less"):
            ask(given, k=10**12)


# masked arrays


def test_masked_clicks_are_missing():
    two = np.ma.array([[1, 2], [3, 2]], mask=[[False, True], [False, False]])
    wanted = encode([[1], [3, 2]], items=SMALL)
    rows = [np.ma.array([1, 2], mask=[False, True]), [3, 2]]
    for X in (two, rows, {"history": rows}, {"history": two}, pd.DataFrame({"history": rows})):
        data = encode(X, items=SMALL)
        np.testing.assert_array_equal(data.history_codes, wanted.history_codes)
        np.testing.assert_array_equal(data.history_offsets, wanted.history_offsets)


def test_masked_labels_weights_and_ids_are_null():
    pairs = pd.DataFrame({"history": [[1], [2]], "candidate": [2, 3]})
    masked = np.ma.array([1, 0], mask=[False, True])
    with pytest.raises(ValueError, match="y must be 0/1 labels, got 1 nulls"):
        encode(pairs, masked, items=SMALL)
    with pytest.raises(ValueError, match="sample_weight holds NaN"):
        encode(pairs, [0, 1], items=SMALL, sample_weight=masked)
    with pytest.raises(ValueError, match="null"):
        SMALL.codes(masked)
    with pytest.raises(ValueError, match="'price' holds 1 null"):
        Items({"item_id": [1, 2], "price": np.ma.array([1.5, 2.5], mask=[False, True])})
    unmasked = encode(pairs, np.ma.array([1, 0]), items=SMALL, sample_weight=np.ma.array([1, 2]))
    assert unmasked.clicked.tolist() == [1, 0]
    assert unmasked.weight.tolist() == [1, 2]


@pytest.mark.parametrize(
    "rows",
    [
        [np.array(["2020-01-01"], dtype="datetime64[D]"), np.array([3])],
        [np.array(["2020-01-01"], dtype="datetime64[D]"), np.array(3)],
        [[1], np.ma.masked, np.array(3)],
        [[1], [np.array([1]), [2]], 3],
    ],
)
def test_rows_that_arrow_cannot_mix_are_errors_and_no_crash(rows):
    with pytest.raises(TypeError, match="histories are lists of item ids"):
        encode(rows, items=SMALL)
