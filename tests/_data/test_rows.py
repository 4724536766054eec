"""Weights of rows: valid and invalid values, and weights of selected rows."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from encoded import encode
from numpy.testing import assert_array_equal

from skrec import Items

ITEMS = Items({100: "", 107: ""})
X = {
    "history": [[100], [1], []],
    "candidates": [[100], [2, 3], [107, 1]],
    "clicked": [[1], [1, 0], [1, 0]],
}
KNOWN = X | {"history": [[100], [], []], "candidates": [[100], [100, 107], [107, 100]]}


@pytest.mark.parametrize(
    "weights",
    [
        [1, 0, 2],
        (1.0, 0.0, 2.0),
        np.array([1, 0, 2], dtype=np.float32),
        np.array([1, 0, 2], dtype=object),
        pd.Series([1, 0, 2], index=[5, 6, 7]),
        pd.array([1, 0, 2], dtype="Int64"),
        pa.array([1, 0, 2]),
        pa.chunked_array([[1, 0], [2]]),
    ],
    ids=lambda weights: type(weights).__name__,
)
def test_weights_of_any_form(weights):
    weight = encode(KNOWN, items=ITEMS, sample_weight=weights).weight
    assert weight.dtype == np.float64
    assert_array_equal(weight, [1, 0, 2])


def test_weights_of_polars():
    polars = pytest.importorskip("polars")
    weight = encode(KNOWN, items=ITEMS, sample_weight=polars.Series([1, 0, 2])).weight
    assert_array_equal(weight, [1, 0, 2])


def test_without_weights():
    data = encode(KNOWN, items=ITEMS)
    assert data.weight is None
    assert data.take(np.array([1])).weight is None


def test_weights_stay_with_their_rows():
    data = encode(KNOWN, items=ITEMS, sample_weight=[1, 0, 2])
    assert_array_equal(data.take(np.array([2, 0, 2])).weight, [2, 1, 2])
    histories = encode([[100], [], [107, 100]], items=ITEMS, sample_weight=[1, 2, 3])
    assert_array_equal(histories.without_last_click()[0].weight, [1, 3])


def test_weights_of_rows_that_hold_nothing_known_are_dropped_with_them():
    data = encode(X, items=ITEMS, drop_unknown="all", sample_weight=[1, 2, 3])
    assert_array_equal(data.weight, [1, 3])
    assert data.n_rows == 2


def test_the_callers_array_is_not_shared():
    weights = np.array([1.0, 2.0, 3.0])
    data = encode(KNOWN, items=ITEMS, sample_weight=weights)
    weights[:] = 0
    assert_array_equal(data.weight, [1, 2, 3])


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, 2], ValueError, "X has 3 rows but sample_weight has 2 numbers"),
        ([], ValueError, "X has 3 rows but sample_weight has 0 numbers"),
        (1.0, ValueError, r"one number for each row of X, got shape \(\)"),
        (np.ones((3, 1)), ValueError, r"one number for each row of X, got shape \(3, 1\)"),
        ([1, np.nan, 1], ValueError, "sample_weight holds NaN or infinite numbers"),
        ([1, None, 1], ValueError, "sample_weight holds NaN or infinite numbers"),
        ([1, np.inf, 1], ValueError, "sample_weight holds NaN or infinite numbers"),
        ([1, -0.5, 1], ValueError, r"sample_weight must not be negative, got -0\.5"),
        ([0, 0, 0], ValueError, "sample_weight is zero for all rows; at least one must count"),
        (["1", "2", "3"], TypeError, "sample_weight must hold one number for each row of X: got"),
        (pd.Series(["1", "2", "3"]), TypeError, "one number for each row of X: got"),
        ("balanced", TypeError, "sample_weight must hold one number for each row of X: got"),
        ({0: 1}, TypeError, "sample_weight must hold one number for each row of X: "),
        ([[1], [1, 2], [3]], TypeError, "sample_weight must hold one number for each row of X: "),
        ([1, "a", 2], TypeError, "sample_weight must hold one number for each row of X: "),
        ([1, object(), 2], TypeError, "sample_weight must hold one number for each row of X: "),
        ([1j, 1, 1], TypeError, "sample_weight must hold one number for each row of X: "),
        (pd.array([1, None, 2], dtype="Int64"), ValueError, "sample_weight holds NaN or infinite"),
    ],
)
def test_weights_that_can_not_be(weights, error, message):
    with pytest.raises(error, match=message):
        encode(KNOWN, items=ITEMS, sample_weight=weights)
