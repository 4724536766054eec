"""Context columns become standardized numbers; what is unknown counts as the mean."""

import datetime
import warnings

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet
import pytest
from encoded import encode
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skrec import Items
from skrec._data import context as _context
from skrec._data.context import distinct_rows, fit_context
from skrec._data.context_columns import warn_unread
from skrec._data.table import Table

ITEMS = Items({1: "", 2: ""})


def rows(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"history": [[1]] * n, **columns})


def fitted(X, asked="auto"):
    return fit_context(asked, Table(X), False)[0]


def read(features, X):
    """Return the features of each row of X."""
    contexts, context_of_row = features.read(Table(X), len(X))
    assert not contexts[0].any()
    assert contexts.dtype == np.float32 and np.isfinite(contexts).all()
    return contexts[context_of_row]


def test_auto_takes_what_describes_a_row_and_names_the_rest():
    X = rows(
        device=pd.Categorical(["a", "b"] * 3),
        new=[True, False] * 3,
        age=[1.5, 2, 3, 4, 5, None],
        country=["de", "fr"] * 3,
        seen=pd.date_range("2024-01-01", periods=6, freq="h"),
        session_id=np.arange(6),
        userId=["a"] * 6,
        rating=[1, 2, 3] * 2,
        tags=[["x"]] * 6,
        time=np.arange(6),
        user_id=np.arange(6),
    )
    features, others = fit_context("auto", Table(X), False)
    kinds = {"device": "category", "new": "category", "age": "number"}
    assert features.kinds == kinds | {"country": "category", "seen": "time"}
    assert features.columns == ["device", "new", "age", "country", "seen"]
    assert others == ["session_id", "userId", "rating", "tags"]


def test_texts_of_many_values_are_no_context():
    X = rows(query=[f"words {i}" for i in range(101)], page=["a"] * 101)
    features, others = fit_context("auto", Table(X), False)
    assert (features.columns, others) == (["page"], ["query"])


@pytest.mark.parametrize("asked", [None, "warn"])
def test_without_context_all_columns_are_left(asked):
    X = rows(device=["a"] * 3, time=[1, 2, 3], clicked=[1, 0, 1], user_id=[1, 2, 3])
    assert fit_context(asked, Table(X), False) == (None, ["device"])


def test_auto_without_such_columns_is_no_context():
    assert fit_context("auto", Table(rows(time=[1, 2])), False) == (None, [])


def test_numbers_are_standardized_and_null_is_the_mean():
    age = np.array([20.0, 30, 40, np.nan, 50])
    features = fitted(rows(age=age))
    expected = (age - np.nanmean(age)) / np.nanstd(age)
    assert_allclose(read(features, rows(age=age))[:, 0], np.nan_to_num(expected), rtol=1e-6)
    # far numbers, which would drown the user vector, are limited
    far = read(features, rows(age=[1e300, -1e300, None]))
    assert_array_equal(far[:, 0], [10, -10, 0])


@pytest.mark.parametrize("values", [[5.0] * 6, [1e9] * 6, [None] * 5 + [3.0], [0.1] * 6])
def test_a_constant_number_says_nothing(values):
    features = fitted(rows(age=pd.Series(values, dtype="float64")))
    assert_allclose(read(features, rows(age=values)), 0, atol=1e-6)


def test_categories_are_centered_and_those_not_seen_are_the_mean():
    device = ["a"] * 15 + ["b"] * 5
    features = fitted(rows(device=device))
    found = read(features, rows(device=["a", "b", "zzz", None]))
    assert_allclose(found, [[0.25, -0.25], [-0.75, 0.75], [0, 0], [0, 0]], atol=1e-7)


def test_null_is_a_category_of_its_own_where_it_is_frequent():
    features = fitted(rows(device=["a"] * 10 + [None] * 10))
    assert_allclose(np.abs(read(features, rows(device=["a", None]))), 0.5)
    assert features.n_features == 2


def test_rare_categories_share_a_feature():
    device = ["a"] * 20 + list("bcdef")
    features = fitted(rows(device=device))
    assert features.n_features == 2
    b, c, unseen = read(features, rows(device=["b", "c", "unseen"]))
    assert_array_equal(b, c)
    assert_array_equal(b, unseen)


@pytest.mark.parametrize("form", ["pandas", "polars", "arrow", "mapping", "parquet"])
def test_any_form_of_X_has_the_same_context(form, tmp_path):
    X = rows(
        device=pd.Categorical(["a", None] * 10),
        n=pd.array([1, None, 3, None] * 5, dtype="Int64"),
        new=pd.array([True, None] * 10, dtype="boolean"),
        seen=pd.to_datetime(["2024-01-01 05:00", None] * 10),
    )
    table = pa.Table.from_pandas(X, preserve_index=False)
    expected = read(fitted(X), X)
    assert expected.any(axis=0).all()
    pyarrow.parquet.write_table(table, tmp_path / "X.parquet")
    forms = {
        "pandas": X,
        "polars": polars.from_arrow(table),
        "arrow": table,
        "mapping": {name: table.column(name).to_pylist() for name in table.column_names},
        "parquet": str(tmp_path / "X.parquet"),
    }
    features = fitted(forms[form])
    contexts, context_of_row = features.read(Table(forms[form]), 20)
    assert_array_equal(contexts[context_of_row], expected)


def test_datetimes_are_the_hour_and_the_weekday():
    seen = pd.to_datetime(["2024-01-01 05:00", "2024-01-02 05:30", "2024-01-08 17:00"] * 10)
    features = fitted(rows(seen=seen), ["seen"])
    same_day = pd.to_datetime(["2025-01-06 05:59", "2024-01-01 05:00"])
    first, second = read(features, rows(seen=same_day))  # Mondays, at five
    assert_array_equal(first, second)
    assert features.n_features == 4  # two hours and two weekdays
    assert read(features, rows(seen=seen)[:3]).shape == (3, 4)
    assert not read(features, rows(seen=[None, None])).any()
    dates = [datetime.date(2024, 1, day) for day in (1, 2, 8)] * 10
    assert fitted(rows(day=dates), ["day"]).n_features == 3  # all dates have one hour


def test_hours_are_those_of_the_time_zone():
    utc = pd.to_datetime(["2024-01-01 23:00", "2024-01-01 11:00"] * 5).tz_localize("UTC")
    features = fitted(rows(seen=utc))
    tokyo = utc.tz_convert("Asia/Tokyo")  # 8 and 20 o'clock, the first on the next day
    there, here = read(features, rows(seen=tokyo))[0], read(features, rows(seen=utc))[0]
    assert there.tolist() != here.tolist()


def test_the_column_time_is_context_where_it_is_named():
    X = rows(time=pd.to_datetime(["2024-01-01 05:00", "2024-01-01 17:00"] * 5))
    assert fit_context("auto", Table(X), False) == (None, [])
    assert fitted(X, ["time"]).kinds == {"time": "time"}


def test_values_of_one_kind_may_change_their_type():
    # ints with gaps are floats in pandas, and a category may come as a string
    hour = pd.Categorical([1, 2] * 10)
    features = fitted(rows(hour=hour, age=[1, 2] * 10, new=[True, False] * 10))
    a = read(features, rows(hour=pd.Categorical([1]), age=[1], new=[True]))
    b = read(features, rows(hour=["1", None], age=[1.0, np.nan], new=["true", None]))
    assert_array_equal(a[0], b[0])
    c = read(features, rows(hour=[1.0, np.nan], age=[1.0, np.nan], new=["true", None]))
    assert_array_equal(b, c)


def test_histories_alone_have_an_unknown_context():
    features = fitted(rows(age=[1, 2]))
    for names in ({"history": [[1], [2]]}, {"history": [[1], [2]], "user_id": [3, 4]}):
        contexts, context_of_row = features.read(Table(names), 2)
        assert contexts.shape == (1, 1) and not contexts.any()
        assert context_of_row.tolist() == [0, 0]


def test_a_missing_column_is_named():
    features = fitted(rows(age=[1, 2], device=["a", "b"]))
    X = rows(age=[1, 2], devise=["a", "b"])
    with pytest.raises(ValueError, match=r"no column 'device' \(did you mean 'devise'\?\)"):
        features.read(Table(X), 2)
    with pytest.raises(ValueError, match="no column 'age'.* Give null where a value is unknown"):
        features.read(Table({"history": [[1]], "candidates": [[1]]}), 1)


@pytest.mark.parametrize(
    ("values", "held"),
    [
        ({"age": ["x"]}, "'age' holds .*string.*; in fit it held numbers"),
        ({"device": [[1]]}, "'device' holds list.*; in fit it held categories"),
        ({"seen": [5]}, "'seen' holds int64; in fit it held datetimes"),
        ({"age": [np.inf]}, "'age' holds infinite numbers"),
    ],
)
def test_values_of_another_kind_are_refused(values, held):
    seen = pd.to_datetime(["2024-01-01"])
    known = rows(age=[1], device=["a"], seen=seen)
    features = fitted(known)
    with pytest.raises(ValueError, match=held):
        features.read(Table(known.assign(**values)), 1)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["devise"], r"no such column \(did you mean 'device'\?\); its columns are 'history'"),
        (["clicked"], "'clicked' of X can't be context, because it has another meaning"),
        (["tags"], "'tags' can't be context, because it holds list"),
        (["wait"], "'wait' can't be context, because it holds duration"),
    ],
)
def test_columns_that_cannot_be_context(asked, message):
    X = rows(device=["a"], tags=[["x"]], clicked=[1], wait=[datetime.timedelta(1)])
    with pytest.raises(ValueError, match=message):
        fit_context(asked, Table(X), False)


def test_a_transformer_gets_a_frame_of_single_values():
    seen = {}

    def look(frame):
        seen["columns"] = list(frame.columns)
        return frame[["age"]].to_numpy()

    X = rows(age=[1.0, 3.0], tags=[["x"]] * 2, time=[1, 2], clicked=[0, 1], user_id=[1, 2])
    features = fitted(X, FunctionTransformer(look))
    assert seen["columns"] == features.columns == ["age", "time"]
    assert_allclose(read(features, X)[:, 0], [-1, 1])


def test_a_column_transformer_needs_its_columns_only():
    X = rows(age=[1.0, 3.0] * 5, device=["a", "b"] * 5, other=[1] * 10)
    asked = ColumnTransformer(
        [("age", StandardScaler(), ["age"]), ("device", OneHotEncoder(), ["device"])]
    )
    features, others = fit_context(asked, Table(X), False)
    assert (features.columns, others) == (["age", "device"], ["other"])
    assert_allclose(read(features, X.drop(columns="other"))[0], [-1, 0.5, -0.5])
    assert not hasattr(asked, "transformers_")  # a clone is fitted
    kept = ColumnTransformer([("age", "drop", ["age"])], remainder="passthrough")
    assert fitted(rows(age=[1.0], n=[2]), kept).columns == ["n"]


def test_a_table_vectorizer_reads_all_columns():
    skrub = pytest.importorskip("skrub")
    X = rows(
        device=["phone", "desk", "phone", "tv"] * 5,
        age=[20.0, 30.0, np.nan, 40.0] * 5,
        when=pd.date_range("2024-01-01", periods=20, freq="9h"),
    )
    features = fitted(X, skrub.TableVectorizer())
    assert features.columns == ["device", "age", "when"]
    found = read(features, X)
    assert found.shape[1] >= 6  # devices, the age, and parts of the datetime
    assert_allclose(read(features, X[::-1]), found[::-1])
    assert_allclose(read(features, polars.from_pandas(X)), found)
    new = rows(device=["watch"], age=[np.nan], when=pd.to_datetime(["2025-06-01"]))
    assert read(features, new).shape == (1, found.shape[1])


def test_unknown_numbers_of_a_transformer_are_the_mean():
    features = fitted(rows(age=[1.0, 3.0, None]), FunctionTransformer())
    assert_allclose(read(features, rows(age=[None, 3.0]))[:, 0], [0, 1])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda frame: np.zeros(len(frame)), r"one vector per row, .*got shape \(3,\)"),
        (lambda frame: np.zeros((1, 2)), r"got shape \(1, 2\)"),
        (lambda frame: np.zeros((len(frame), 0)), r"got shape \(3, 0\)"),
        (lambda frame: np.full((len(frame), 1), np.inf), "infinite numbers for the columns 'age'"),
        (lambda frame: np.array([["x"]] * len(frame)), "must give numbers for the columns 'age'"),
    ],
)
def test_a_transformer_must_give_finite_vectors(function, message):
    with pytest.raises(ValueError, match=message):
        fitted(rows(age=[1, 2, 3]), FunctionTransformer(function))


def test_a_transformer_must_give_as_many_numbers_as_in_fit():
    growing = FunctionTransformer(lambda frame: np.zeros((len(frame), int(frame["n"].iloc[0]))))
    features = fitted(rows(n=[1, 1]), growing)
    with pytest.raises(ValueError, match="gave 2 numbers a row, but 1 in fit"):
        features.read(Table(rows(n=[2])), 1)


def test_a_transformer_without_columns_is_refused():
    with pytest.raises(ValueError, match="has no columns to read"):
        fitted(pd.DataFrame({"history": [[1]]}), StandardScaler())


def test_blocks_of_rows_give_the_same_contexts(monkeypatch):
    rng = np.random.default_rng(0)
    X = rows(age=rng.integers(5, size=50), device=rng.choice(list("abc"), 50))
    asked = make_pipeline(ColumnTransformer([("d", OneHotEncoder(), ["device"])]))
    whole = [read(fitted(X, each), X) for each in ("auto", asked)]
    monkeypatch.setattr(_context, "ROWS", 7)
    for expected, each in zip(whole, ("auto", asked), strict=True):
        assert_allclose(read(fitted(X, each), X), expected, rtol=1e-6)


def test_distinct_rows_are_those_of_numpy():
    matrix = np.random.default_rng(0).integers(2, size=(60, 3)).astype(float)
    distinct, codes = distinct_rows(matrix)
    assert_array_equal(distinct[codes], matrix)
    assert len(distinct) == len(np.unique(matrix, axis=0))


def test_encode_keeps_each_context_once():
    X = rows(age=[1, 2, 1, 1])
    data = encode(X, items=ITEMS, context=fitted(X))
    assert data.contexts.shape == (3, 1)
    codes = data.context_of_row
    assert codes[0] == codes[2] == codes[3] != codes[1]
    assert_array_equal(data.user_context(), np.stack([np.zeros(4), codes], axis=1))
    assert_array_equal(encode(X, items=ITEMS).user_context(), np.zeros((4, 2)))


def test_columns_that_nothing_reads_are_named_in_one_warning():
    table = Table(rows(age=[1], device=["a"], clickd=[1], rating=[1]))
    with pytest.warns(UserWarning) as caught:
        warn_unread(table, "warn", ["age", "device", "clickd", "rating"])
    assert len(caught) == 1
    message = str(caught[0].message)
    # others have a warning of their own, which knows better what they are
    assert message.startswith("columns 'age', 'device' of X are not used. Give context='auto'")
    with pytest.warns(UserWarning, match="column 'age' of X is not used, because context='auto'"):
        warn_unread(table, "auto", ["age"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_unread(table, None, ["age", "device"])
        warn_unread(table, ["device"], ["age"])
        warn_unread(table, "warn", [])


def test_context_is_not_called_misspelled():
    X = pd.DataFrame({"history": [[1]] * 10, "candidate": [1] * 10, "user": ["a", "b"] * 5})
    with pytest.warns(UserWarning, match="'user' of X is not used .did you mean 'user_id'"):
        encode(X, items=ITEMS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(X, items=ITEMS, context=fitted(X, ["user"]))
