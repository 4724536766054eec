"""`Interactions`, which scikit-learn slices in place of an X that it can't slice."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from encoded import encode
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, train_test_split

from skrec import Interactions, Items, explode

ITEMS = Items({100: "", 107: "", 114: ""})
ROWS = {
    "history": [[100], [], [100, 107], [114]],
    "candidates": [[107], [100, 114], [], [107, 114]],
    "clicked": [[1], [0, 1], [], [1, 0]],
    "user_id": ["a", "b", "a", "c"],
}
X = Interactions(ROWS)


def rows_of(wrapped):
    return [ROWS["history"].index(row) for row in wrapped.column("history").to_pylist()]


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        (slice(None), [0, 1, 2, 3]),
        (slice(1, 3), [1, 2]),
        (slice(2, 1), []),
        (slice(-2, None), [2, 3]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        (slice(0, 4, 2), [0, 2]),
        (slice(3, 99), [3]),
        ([2, 0], [2, 0]),
        ([2, 2, 1], [2, 2, 1]),
        ([], []),
        ((2, 0), [2]),  # the columns are ignored
        (([3, 0], ...), [3, 0]),
        ((slice(1, 3), ...), [1, 2]),
        (np.array([1, 2, 3]), [1, 2, 3]),
        (np.array([3, 1], dtype=np.uint8), [3, 1]),
        (np.array([-1, 0]), [3, 0]),
        (np.array([True, False, False, True]), [0, 3]),
        ([False, True, True, False], [1, 2]),
        (np.zeros(4, dtype=bool), []),
        (pd.Series([2, 0], index=[7, 8]), [2, 0]),
        (pa.array([2, 0]), [2, 0]),
        (range(1, 4), [1, 2, 3]),
        (0, [0]),
        (-1, [3]),
        (np.int64(2), [2]),
    ],
)
def test_slices(key, rows):
    part = X[key]
    assert isinstance(part, Interactions)
    assert rows_of(part) == rows
    assert len(part) == len(rows)
    assert part.shape == (len(rows), 4)
    assert (part.kind, part.columns) == (X.kind, X.columns)
    assert len(X) == 4


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (4, IndexError, "row 4 is out of bounds for 4 rows"),
        ([0, -5], IndexError, "row -5 is out of bounds for 4 rows"),
        ([True, False], IndexError, "a mask of 2 was given for 4 rows"),
        ("history", TypeError, r"slice, a mask or row numbers, got 'history'; .*X.column"),
        ([0.5], TypeError, "slice, a mask or row numbers"),
        ([[0, 1]], TypeError, "slice, a mask or row numbers"),
        (None, TypeError, "slice, a mask or row numbers"),
    ],
    ids=repr,
)
def test_keys_that_are_none(key, error, message):
    with pytest.raises(error, match=message):
        X[key]


def test_a_slice_of_a_slice():
    assert rows_of(X[1:][[2, 0]][1:]) == [1]


def test_rows_that_follow_each_other_are_not_copied():
    # test rows of unshuffled folds are consecutive
    whole = X.to_arrow()["history"].chunk(0).values.buffers()[1].address
    for key in (slice(1, 3), [1, 2], np.array([False, True, True, False])):
        assert X[key].to_arrow()["history"].chunk(0).values.buffers()[1].address == whole


def test_it_is_no_sequence_of_values():
    # loops over rows and conversions to a numpy array are always mistakes
    with pytest.raises(TypeError, match="not iterable"):
        iter(X)
    with pytest.raises(TypeError):
        np.asarray(X)


def test_repr_and_columns():
    assert repr(X) == (
        "Interactions(n_rows=4, kind='impressions', "
        "columns=['history', 'candidates', 'clicked', 'user_id'])"
    )
    assert X.column("user_id").to_pylist() == ["a", "b", "a", "c"]
    with pytest.raises(KeyError, match=r"no column 'user'; there are 'history', 'candidates'"):
        X.column("user")


def test_kinds():
    assert Interactions([[100], []]).kind == "histories"
    assert Interactions(np.array([[100, 107]])).kind == "histories"
    assert Interactions({"history": [[]], "candidate": [100]}).kind == "pairs"


def test_wrapping_twice_shares_the_rows():
    assert Interactions(X).to_arrow() is X.to_arrow()
    assert rows_of(Interactions(X[2:])) == [2, 3]


def test_other_libraries_read_it():
    assert pa.table(X).equals(X.to_arrow())
    polars = pytest.importorskip("polars")
    assert polars.DataFrame(X)["user_id"].to_list() == ROWS["user_id"]


@pytest.mark.parametrize("key", [slice(None), slice(1, 3), [2, 0], slice(0, 0)], ids=repr)
def test_pickle(key):
    twin = pickle.loads(pickle.dumps(X[key]))
    assert rows_of(twin) == rows_of(X[key])
    assert repr(twin) == repr(X[key])
    assert rows_of(twin[:1]) == rows_of(X[key][:1])


def test_a_slice_pickles_without_the_rest():
    large = Interactions([[at] * 20 for at in range(5000)])
    assert len(pickle.dumps(large[:5])) < len(pickle.dumps(large)) / 100


# y


def test_labels_are_kept_and_sliced():
    pairs = Interactions({"history": [[100], [], []], "candidate": [100, 107, 114]}, [0, 1, 1])
    assert pairs.columns == ["history", "candidate", "clicked"]
    assert_array_equal(encode(pairs[[2, 0]], items=ITEMS).clicked, [1, 0])
    assert "clicked" in Interactions(pairs).columns
    # y may repeat the column `clicked`
    assert Interactions(pairs, [0, 1, 1]).columns == pairs.columns


@pytest.mark.parametrize(
    ("data", "y", "error", "message"),
    [
        (ROWS, [0, 1, 0, 1], ValueError, "y goes with pairs; impressions carry their clicks"),
        ([[100]], [1], ValueError, "y goes with pairs"),
        ({"history": [[]], "candidate": [100]}, [1, 0], ValueError, "1 rows but y has 2 labels"),
        ({"history": [[]], "candidate": [100]}, [2], ValueError, "y must be 0/1 labels"),
        (
            {"history": [[]], "candidate": [100], "clicked": [0]},
            [1],
            ValueError,
            "y differs from the 'clicked' column",
        ),
        ([], None, ValueError, "X has no rows"),
        ([3, 8, 1], None, TypeError, r"write \[\[3, 8, 1\]\]"),
        ("history", None, TypeError, r"write \[\[3, 8, 1\]\]"),
        ({"histories": [[1]]}, None, ValueError, r"no column 'history' \(is it 'histories'\?\)"),
        ({"history": [[1]], "candidates": [1]}, None, TypeError, "call it 'candidate'"),
        ({"history": [[1]], "candidate": [[1]]}, None, TypeError, "call it 'candidates'"),
        (
            {"history": [[1]], "candidate": [1], "candidates": [[1]]},
            None,
            ValueError,
            "both 'candidate' and 'candidates'",
        ),
        ({"history": [[1]], "user_id": [1, 2]}, None, ValueError, "'user_id' has 2 rows"),
        ({"history": [[1]], "note": [object()]}, None, ValueError, "can't read column 'note'"),
    ],
)
def test_what_is_wrong_with_rows_is_said_at_once(data, y, error, message):
    with pytest.raises(error, match=message):
        Interactions(data, y)


def test_misspelt_columns_warn_where_they_are_wrapped():
    with pytest.warns(UserWarning, match=r"'candidats' of X is not used \(did you mean") as caught:
        Interactions({"history": [[1]], "candidats": [[1]]})
    assert caught[0].filename == __file__


# In scikit-learn


@pytest.fixture(scope="module")
def wrapped(news):
    return Interactions(news.train)


def test_train_test_split(wrapped, news, make_recommender):
    train, test = train_test_split(wrapped, random_state=0)
    expected_train, expected_test = train_test_split(news.train, random_state=0)
    assert (len(train), len(test)) == (len(expected_train), len(expected_test))
    rec = make_recommender(max_epochs=1).fit(train, news.items)
    twin = clone(rec).fit(expected_train, news.items)
    assert rec.score(test) == twin.score(expected_test)


def test_folds(wrapped, news):
    for part, other in zip(
        KFold(3, shuffle=True, random_state=0).split(wrapped),
        KFold(3, shuffle=True, random_state=0).split(news.train),
        strict=True,
    ):
        assert_array_equal(part[1], other[1])


@pytest.mark.parametrize("labels", ["y beside", "y within"])
def test_grid_search_on_pairs_by_groups(labels, news, make_recommender):
    frame, y = explode(news.train)
    pairs = Interactions(frame, y if labels == "y within" else None)
    y_beside = y if labels == "y beside" else None
    groups = pairs.column("impression_id")
    arguments = {"groups": groups, "items": Items(news.items)}
    rec = make_recommender(max_epochs=1)
    searches = [
        GridSearchCV(rec, {"width": [4, 8]}, cv=GroupKFold(2)).fit(X, labels, **arguments)
        for X, labels in ((pairs, y_beside), (frame, y))
    ]
    assert_array_equal(*(search.cv_results_["mean_test_score"] for search in searches))


def test_explode(wrapped, news):
    pairs, y = explode(wrapped)
    expected, labels = explode(news.train)
    assert_array_equal(y, labels)
    assert pairs["candidate"].to_pylist() == expected["candidate"].tolist()
