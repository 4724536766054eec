"""Distinct rows of codes, whatever their size."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skrec._data.keys import SPARSE, _distinct_by_columns, distinct_codes, distinct_rows


def assert_distinct(columns, found, inverse):
    """Compare with np.unique of the stacked columns."""
    rows, expected = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    assert_array_equal(np.stack(found, axis=1), rows)
    assert_array_equal(inverse, expected)


@pytest.mark.parametrize("scale", [1, 2**40])
def test_distinct_rows(scale):
    # with scale 2**40, one integer per row has no room for all columns
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, size, 300) * scale for size in (5, 3, 4)]
    assert_distinct(columns, *distinct_rows(*columns))


def test_both_ways_to_find_distinct_rows_agree():
    rng = np.random.default_rng(1)
    columns = rng.integers(0, 6, (2, 200))
    found, inverse = distinct_rows(*columns)
    by_columns, other_inverse = _distinct_by_columns(tuple(columns))
    assert_array_equal(found, by_columns)
    assert_array_equal(inverse, other_inverse)


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows(n):
    for size in (1, 2**62):
        column = np.full(n, size)
        found, inverse = distinct_rows(column, column)
        assert [each.tolist() for each in found] == [[size] * n] * 2
        assert inverse.tolist() == [0] * n


@pytest.mark.parametrize("largest", [40, SPARSE * 100 - 2, 100_000_000])
def test_distinct_codes(largest):
    codes = np.random.default_rng(2).integers(0, largest + 1, 100)
    expected, inverse = np.unique(codes, return_inverse=True)
    found, place = distinct_codes(codes.astype(np.int32))
    assert_array_equal(found, expected)
    assert_array_equal(place, inverse)
    assert found.dtype == place.dtype == np.int64


def test_distinct_codes_of_nothing():
    found, place = distinct_codes(np.empty(0, np.int32))
    assert len(found) == len(place) == 0
