"""Scales of numbers, and numbers that are out of all proportion."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.preprocessing import StandardScaler

from skrec import Items, content
from skrec.content._columns.scales import mean_and_scale, standardized

OPERATORS = {
    "MeanPooling": lambda: content.MeanPooling(columns=["price"]),
    "Tabular": lambda: content.Tabular(),
    "Features": lambda: content.Features(StandardScaler(), columns=["price"]),
}


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "column 'price' of the catalogue contains numbers above")
        yield


def catalogue(prices):
    return Items(pd.DataFrame({"item_id": range(len(prices)), "price": prices}))


def test_plain_numbers_are_scaled_as_numpy_does():
    values = np.random.default_rng(0).normal(3, 2, 50)
    mean, scale = mean_and_scale(values)
    assert (mean, scale) == (values.mean(), values.std())
    expected = ((values - mean) / scale).astype(np.float32)
    assert np.array_equal(standardized(values, mean, scale, "x"), expected)
    assert mean_and_scale(np.full(3, 0.1)) == (0.1, 1.0)


@pytest.mark.parametrize("size", [1e150, 1e300, 1.7e308])
def test_huge_numbers_are_scaled_like_small_ones(size):
    values = np.array([1.0, -1.0, 0.5, 0.25, -1.0])
    mean, scale = mean_and_scale(values * size)
    found = standardized(values * size, mean, scale, "x")
    assert_allclose(found, (values - values.mean()) / values.std(), rtol=1e-6)


def test_one_huge_number_among_many_small_ones():
    values = np.ones(100_000)
    values[7] = 1e300
    found = standardized(values, *mean_and_scale(values), "x")
    assert np.isfinite(found).all()
    assert found[7] == found.max() > 100


@pytest.mark.parametrize("name", OPERATORS)
def test_a_huge_number_in_the_training_catalogue_gives_finite_values(name):
    items = catalogue([1.0, 2.0, 1e30, -1e30])
    (column,) = OPERATORS[name]().fit(items).prepare(items).columns.values()
    assert np.isfinite(column.values.numpy()).all()


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("number", [1e300, -1.7e308, 1e20])
def test_a_huge_number_in_a_later_catalogue_names_the_column(name, number):
    operator = OPERATORS[name]().fit(catalogue([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="price.* row 1, out of all|NaN or infinite numbers for 1"):
        operator.prepare(catalogue([1.0, number]))


def test_a_huge_vector_in_a_later_catalogue_names_the_column():
    items = Items({"item_id": [1, 2], "image": [[1e-5, 1e-5], [0.0, 1e-5]]})
    operator = content.Vectors().fit(items)
    new = Items({"item_id": [1, 2], "image": [[1e-5, 1e-5], [3e38, 1e-5]]})
    with pytest.raises(ValueError, match=r"'image'.* holds 3e\+38 in row 1, out of all proportion"):
        operator.prepare(new)


def test_recommendations_of_a_huge_number_are_an_error_that_names_the_column(make_recommender):
    rec = make_recommender(content="tabular").fit([[0, 1], [1, 2]], catalogue([1.0, 2.0, 3.0]))
    new = pd.DataFrame({"item_id": [9], "price": [1e300]})
    with pytest.raises(ValueError, match=r"column 'price' holds 1e\+300 in row"):
        rec.recommend([[0]], items=new)
