"""Roles of columns, and errors for columns that can't be read."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skrec import Items


def one(values, **options):
    """Return a catalogue with the ids 0, 1, 2, ... and one column `c`."""
    return Items({"item_id": range(len(values)), "c": values}, **options)


def read(values, **options):
    """Return the role of the column `c` and its values after the cast."""
    items = one(values, **options)
    return items.roles["c"], items.column("c").to_pylist()


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(["a", None, "b"], dtype="str"),
        pd.Series(["a", None, "b"], dtype=object),
        pd.array(["a", None, "b"], dtype="string"),
        np.array(["a", None, "b"], dtype=object),
        ["a", np.nan, "b"],
        pa.array(["a", None, "b"], pa.string_view()),
        pa.array(["a", None, "b"], pa.large_string()),
    ],
    ids=lambda values: type(values).__name__,
)
def test_strings_are_text_and_null_text_is_empty(values):
    assert read(values) == ("text", ["a", "", "b"])


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(["x", None, "y"], dtype="category"),
        pd.Categorical(["x", None, "y"]),
        pa.array(["x", None, "y"]).dictionary_encode(),
        # null is an entry of the dictionary, not a null index
        pa.DictionaryArray.from_arrays(pa.array([1, 0, 2]), pa.array([None, "x", "y"])),
        pa.chunked_array([pa.array(part).dictionary_encode() for part in (["x", None], ["y"])]),
    ],
    ids=lambda values: type(values).__name__,
)
def test_dictionaries_are_categories_and_a_null_category_stays_null(values):
    assert read(values) == ("category", ["x", None, "y"])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Categorical([3, 1, 3]), ["3", "1", "3"]),
        (np.array([True, False]), ["true", "false"]),
        (pd.array([True, None], dtype="boolean"), ["true", None]),
        (pd.Series([True, None], dtype=object), ["true", None]),
    ],
)
def test_bools_and_categories_of_ints_are_categories(values, expected):
    assert read(values) == ("category", expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([["a"], [], ["b", "c"]], [["a"], [], ["b", "c"]]),
        ([["a"], None, ["b"]], [["a"], [], ["b"]]),
        ([[1], [], [2, 3]], [["1"], [], ["2", "3"]]),
        ([np.array([1, 2]), np.array([3, 4])], [["1", "2"], ["3", "4"]]),
        (pa.array([[1], [2, 3]], pa.large_list(pa.int8())), [["1"], ["2", "3"]]),
    ],
)
def test_lists_of_strings_or_ints_are_multi_categories(values, expected):
    assert read(values) == ("multi-category", expected)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 2], dtype=np.int8),
        np.array([1, 2], dtype=np.float32),
        pd.array([1, 2], dtype="Int64"),
        pd.Series([1, 2.0], dtype=object),
        [Decimal(1), Decimal(2)],
    ],
    ids=lambda values: str(getattr(values, "dtype", "decimal")),
)
def test_numbers_are_numbers(values):
    assert read(values) == ("number", [1.0, 2.0])


@pytest.mark.parametrize(
    "values",
    [
        [[1.0, 2.0], [3.0, 4.0]],
        [np.array([1.0, 2.0]), np.array([3.0, 4.0], dtype=np.float32)],
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1, 3], [2, 4]]).T,  # ints, and not contiguous
        pa.FixedSizeListArray.from_arrays(pa.array(np.float16([1, 2, 3, 4])), 2),
        pa.array([[9.0, 9.0], [1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64(), 2))[1:],
    ],
    ids=["lists", "arrays", "float array", "int array", "fixed float16", "sliced fixed"],
)
def test_float_lists_and_matrices_are_vectors(values):
    assert read(values) == ("vector", [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("values", "role", "expected"),
    [
        ([7, 8], "category", ["7", "8"]),
        ([7.0, np.nan], "category", ["7", None]),
        (["x", "y"], "category", ["x", "y"]),
        ([7, 8], "text", ["7", "8"]),
        (pd.Categorical(["x", None]), "text", ["x", ""]),
        (["1.5", "2"], "number", [1.5, 2.0]),
        ([True, False], "number", [1.0, 0.0]),
        ([[1, 2], [3, 4]], "vector", [[1.0, 2.0], [3.0, 4.0]]),
        ([[1.0], [2.0]], "multi-category", [["1"], ["2"]]),
        ([None, None], "category", [None, None]),
    ],
)
def test_roles_override_the_dtype(values, role, expected):
    assert read(values, roles={"c": role}) == (role, expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, np.nan], r"column 'c' holds 1 null, NaN or infinite numbers, the first in row 1"),
        ([1.0, np.inf, -np.inf], "column 'c' holds 2 null, NaN or infinite"),
        (pd.array([1, None], dtype="Int64"), "column 'c' holds 1 null, NaN"),
        ([[1.0, 2.0], [3.0]], "must all have one length above 0, got lengths 1, 2"),
        (pa.array([[], []], pa.list_(pa.float64())), "one length above 0, got lengths 0"),
        ([[1.0, 2.0], None], "column 'c' has no vector in row 1"),
        ([[1.0, 2.0], [3.0, None]], "null, NaN or infinite numbers, the first in row 1"),
        ([[1.0, 2.0], [1e300, 0.0]], "infinite numbers, the first in row 1"),  # infinite as float32
        (pd.to_datetime(["2020-01-01"]), r"'c' holds dates .* age in days or a category such as"),
        (pd.to_timedelta(["1 day"]), "'c' holds dates"),
        ([None, None], r"'c' holds null, which has no role; .*roles=\{'c': \.\.\.\} with one of"),
        ([{"a": 1}], r"'c' holds struct<a: int64>, which has no role"),
        ([b"raw"], "'c' holds binary, which has no role"),
        ([1, "a"], "can't read column 'c', mixed types or objects: .*'a'"),
        ([object()], "can't read column 'c', mixed types or objects"),
        (np.zeros((2, 2, 2)), "can't read column 'c', mixed types or objects"),
    ],
)
def test_unreadable_columns_raise_and_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        one(values)


@pytest.mark.parametrize(
    ("values", "roles", "message"),
    [
        (["a"], {"C": "text"}, r"roles names a column 'C' that the catalogue lacks"),
        (["a"], {"cc": "text"}, r"lacks \(did you mean 'c'\?\)"),
        (["a"], {"c": "txt"}, "role of column 'c' must be one of 'text', .*, got 'txt'"),
        (["a"], {"c": "number"}, "column 'c' can't be read as number: .*'a'"),
        (["a"], {"c": "multi-category"}, "column 'c' can't be read as multi-category"),
        ([["a"]], {"c": "text"}, "column 'c' can't be read as text"),
        ([1], {"c": "vector"}, "column 'c' can't be read as vector"),
        (pd.to_datetime(["2020-01-01"]), {"c": "number"}, "can't be read as number"),
    ],
)
def test_roles_that_do_not_fit_raise(values, roles, message):
    with pytest.raises(ValueError, match=message):
        one(values, roles=roles)
