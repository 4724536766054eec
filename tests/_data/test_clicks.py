"""Weights of clicks: in `clicked` or in a column of their own."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from encoded import encode
from numpy.testing import assert_array_equal

from skrec import Interactions, Items, explode
from skrec._data.clicks import click_weights
from skrec._data.explode import labeled_pairs
from skrec.datasets import sample_negatives
from skrec.model_selection import without_items

ITEMS = Items({number: "text" for number in range(9)})  # noqa: C420
X = {"history": [[1], [2], []], "candidates": [[3, 4], [5], [6, 7, 8]]}
LABELS = [[0, 1], [1], [1, 0, 1]]
GRADED = [[0.0, 2.5], [1.0], [0.5, 0.0, 7.0]]
FLAT = [0, 2.5, 1, 0.5, 0, 7]


@pytest.mark.parametrize(
    "columns",
    [
        {"clicked": GRADED},
        {"clicked": LABELS, "weights": GRADED},
        {"clicked": LABELS, "weights": [[9.0, 2.5], [1.0], [0.5, 9.0, 7.0]]},
    ],
    ids=["clicked", "weights", "weights of others"],
)
@pytest.mark.parametrize("form", [dict, pd.DataFrame, pl.DataFrame, pa.table, Interactions])
def test_weights_of_clicks_are_read(columns, form):
    data = encode(form(X | columns), items=ITEMS)
    assert data.clicked.dtype == np.int8
    assert_array_equal(data.clicked, np.sign(FLAT))
    assert_array_equal(data.click_weight, FLAT)
    assert_array_equal(data.gains(), FLAT)
    taken = data.take(np.array([2, 0]))
    assert_array_equal(taken.click_weight, [0.5, 0, 7, 0, 2.5])
    kept = data.keep_candidates(np.arange(6) != 1)
    assert_array_equal(kept.click_weight, [0, 1, 0.5, 0, 7])


def test_a_search_cuts_weights_with_the_rows():
    cut = Interactions(X | {"clicked": LABELS, "weights": GRADED})[[2, 0]]
    assert_array_equal(encode(cut, items=ITEMS).click_weight, [0.5, 0, 7, 0, 2.5])


@pytest.mark.parametrize(
    "columns",
    [
        {"clicked": LABELS},
        {"clicked": [[0.0, 1.0], [1.0], [1.0, 0.0, 1.0]]},
        {"clicked": [[False, True], [True], [True, False, True]]},
        {"clicked": LABELS, "weights": [[3, 1], [1], [1, 5, 1]]},
    ],
    ids=["ints", "floats", "bools", "ones"],
)
def test_equal_weights_are_none(columns):
    data = encode(X | columns, items=ITEMS)
    assert data.click_weight is None
    assert data.gains() is data.clicked


def test_unknown_candidates_are_dropped_with_their_weights():
    data = encode(X | {"clicked": GRADED}, items=ITEMS, drop_unknown="all")
    few = Items({number: "text" for number in range(8)})  # noqa: C420
    fewer = encode(X | {"clicked": GRADED}, items=few, drop_unknown="all")
    assert_array_equal(fewer.click_weight, data.click_weight[:5])


def test_predictions_do_not_read_weights():
    table = X | {"clicked": LABELS, "weights": [["a"]] * 3}
    assert encode(table, items=ITEMS, labels="ignored").click_weight is None


def test_pairs_have_one_weight_each():
    pairs = {"history": [[1], [2], [3]], "candidate": [4, 5, 6]}
    for columns, y in (
        ({"clicked": [0, 2, 3.5]}, None),
        ({"clicked": [0, 2, 3.5]}, [0, 1, 1]),
        ({"weights": [9, 2, 3.5]}, [0, 1, 1]),
        ({"weights": [9, 2, 3.5], "clicked": [0, 1, 1]}, None),
    ):
        data = encode(pairs | columns, y, items=ITEMS)
        assert_array_equal(data.clicked, [0, 1, 1])
        assert_array_equal(data.click_weight, [0, 2, 3.5])
        _, labels = labeled_pairs(pairs | columns, y, "pairs")
        assert_array_equal(labels, [0, 1, 1])  # what scorers of scikit-learn read


@pytest.mark.parametrize("form", [pd.DataFrame, pa.table])
def test_explode_keeps_weights(form):
    table = form(X | {"clicked": GRADED, "weight": [1, 2, 3]})
    pairs, y = explode(table)
    assert_array_equal(y, np.sign(FLAT))
    assert y.dtype == np.int8
    assert_array_equal(np.asarray(pairs["weights"]), FLAT)
    assert_array_equal(encode(pairs, y, items=ITEMS).click_weight, FLAT)
    again = explode(form(X | {"clicked": LABELS, "weights": GRADED}))[0]
    assert_array_equal(np.asarray(again["weights"]), FLAT)
    assert "weights" not in list(explode(pd.DataFrame(X | {"clicked": LABELS}))[0].columns)


def test_functions_that_change_candidates_keep_weights():
    for columns in ({"clicked": GRADED}, {"clicked": LABELS, "weights": GRADED}):
        rows = without_items(X | columns, [3, 7])
        assert rows["clicked"].to_pylist() == [[2.5], [1], [0.5, 7]]
        assert "weights" not in rows.column_names
        more = sample_negatives(X | columns, range(9), n=3, random_state=0)
        assert [sorted(row)[3:] for row in more["clicked"].to_pylist()] == [[2.5], [1], [0.5, 7]]
        assert "weights" not in more.column_names


def lists(*values):
    return [list(values), [1], [1, 1, 1]]


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"clicked": lists(0, -2)}, ValueError, r"positive numbers, got -2 in row 0"),
        (
            {"clicked": pa.array([[0, 1.0], [float("nan")], [1, 1, 1]])},
            ValueError,
            "'clicked' must be 0/1 labels, or weights.*got nan in row 1",
        ),
        ({"clicked": [[0, 1], [1], [1, np.inf, 0]]}, ValueError, "got inf in row 2"),
        ({"clicked": [[0, 1], [None], [1, 1, 0]]}, ValueError, "1 nulls, the first one in row 1"),
        ({"weights": lists(1, -0.5)}, ValueError, "'weights' must be .* got -0.5 in row 0"),
        ({"weights": lists(1, 0)}, ValueError, "has 0 for a click in row 0; the weight of a click"),
        ({"weights": [[1, 1], [1], [1, 1]]}, ValueError, "row 2 has 3 candidates but 2 weights"),
        ({"weights": [["a", "b"], ["c"], ["d", "e", "f"]]}, ValueError, "got string such as 'a'"),
        ({"weights": [1, 2, 3]}, TypeError, "'weights' must hold a list of numbers in each row"),
        ({"clicked": GRADED, "weights": GRADED}, ValueError, "weights of clicks twice"),
    ],
)
def test_wrong_weights_are_errors(columns, error, message):
    with pytest.raises(error, match=message):
        encode(X | {"clicked": LABELS} | columns, items=ITEMS)


def test_wrong_weights_of_other_rows_are_errors():
    pairs = {"history": [[1], [2]], "candidate": [4, 5], "clicked": [0, 1]}
    with pytest.raises(TypeError, match="'weights' must hold one number in each row, got list"):
        encode(pairs | {"weights": [[1], [2]]}, items=ITEMS)
    with pytest.raises(ValueError, match="got -1 in row 1"):
        encode(pairs | {"clicked": [0, -1]}, items=ITEMS)
    with pytest.raises(ValueError, match="goes with the candidates .* sample_weight"):
        encode({"history": [[1], [2]], "weights": [[1], [2]]}, items=ITEMS)


def test_weights_in_the_loss_have_the_mean_one():
    weights = click_weights(np.array([0.0, 2, 0, 6]), np.array([0, 1, 0, 1]))
    assert_array_equal(weights, [1, 0.5, 1, 1.5])
    assert_array_equal(click_weights(None, np.array([0, 1])), [1, 1])
