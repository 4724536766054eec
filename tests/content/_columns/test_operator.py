"""Conversion of the columns of each role to tensors."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from skrec import Items, content
from skrec._data.packed import Dense, Packed, Ragged
from skrec.content._columns.operator import ColumnSchema


def prepare(train, other=None, **options):
    """Fit on a column of values, prepare other values; return packed column and schema."""
    operator = content.MeanPooling().fit(one(train, **options))
    packed = operator.prepare(one(train if other is None else other, **options))
    return packed.columns["c"], operator.schema_[0]


def one(values, **options):
    return Items({"item_id": range(len(values)), "c": values}, **options)


def lists(ragged):
    return [part.tolist() for part in torch.tensor_split(ragged.values, ragged.offsets[1:-1])]


# Categories


def test_categories_are_numbered_in_sorted_order_and_the_rest_is_zero():
    # codes must not depend on the order of the rows
    train = pd.Categorical(["b", None, "a", "b"])
    column, schema = prepare(train, pd.Categorical(["a", "b", "new", None]))
    assert column.values.squeeze(1).tolist() == [1, 2, 0, 0]
    assert schema == ColumnSchema("c", "category", 3)


def test_values_alike_in_text_are_one_category():
    column, _ = prepare([True, False, True])
    assert column.values.squeeze(1).tolist() == [2, 1, 2]


def test_category_that_is_always_null():
    column, schema = prepare(pd.Categorical([None, None], categories=["a"]))
    assert column.values.squeeze(1).tolist() == [0, 0]
    assert schema.size == 1


def test_multi_categories_keep_their_lists():
    train = [["b", "a"], [], ["c"]]
    column, schema = prepare(train, [["a", "new", None], None, ["c"]])
    assert lists(column) == [[1, 0, 0], [], [3]]
    assert schema == ColumnSchema("c", "multi-category", 4)


def test_multi_categories_of_a_slice():
    # the offsets of an Arrow slice do not start at zero
    values = pa.array([["x"], ["b", "a"], [], ["c"]]).slice(1)
    assert lists(prepare(values)[0]) == [[2, 1], [], [3]]


def test_an_unseen_category_starts_neutral():
    module = content.MeanPooling().build((ColumnSchema("c", "category", 3),), 4)
    layer = module.embeddings["0"]
    assert not layer.weight[0].any()
    assert layer.weight[1:].all()


# Numbers


def test_numbers_are_standardised_by_the_training_catalogue():
    column, schema = prepare([1.0, 3.0], [2.0, 5.0])
    assert column.values.squeeze(1).tolist() == [0.0, 3.0]
    assert schema == ColumnSchema("c", "number", 1)


@pytest.mark.parametrize("value", [0.0, 0.7, 1e9 / 3])
def test_constant_numbers_are_zero_and_a_new_one_stays_small(value):
    # rounding gives seven times 0.7 a deviation of 1e-16, which must not become the scale
    column, _ = prepare([value] * 7, [value, value + 1])
    assert column.values.squeeze(1).tolist() == pytest.approx([0.0, 1.0], abs=1e-6)


def test_whole_numbers_and_one_item():
    assert prepare([5])[0].values.tolist() == [[0.0]]


# Vectors


def test_vectors_are_read_as_they_are():
    vectors = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    column, schema = prepare(pd.Series(list(vectors)))
    assert column.values.tolist() == vectors.tolist()
    assert schema == ColumnSchema("c", "vector", 3)


def test_numbers_and_vectors_go_through_a_linear_layer():
    schema = (ColumnSchema("n", "number", 1), ColumnSchema("v", "vector", 2))
    module = content.MeanPooling().build(schema, 4).double()
    numbers, vectors = torch.tensor([[2.0]]), torch.tensor([[1.0, -1.0]])  # float32, as prepared
    mask = torch.ones(1, 1, dtype=torch.bool)
    found = module({"n": (numbers, mask), "v": (vectors, mask)})[0]
    first, second = module.embeddings["0"], module.embeddings["1"]
    number = first.weight[:, 0] * 2 + first.bias
    vector = second.weight[:, 0] - second.weight[:, 1] + second.bias
    torch.testing.assert_close(found, (number + vector) / 2)


# Text


def test_text_columns_share_one_table_and_others_have_their_own():
    items = Items(
        {"item_id": [0], "a": ["x y"], "b": ["y z"], "c": pd.Categorical(["u"]), "d": [1.5]}
    )
    operator = content.MeanPooling().fit(items)
    module = operator.build(operator.schema_, 4)
    assert set(module.embeddings) == {"text", "2", "3"}
    packed = operator.prepare(items)
    y = operator.tokenizer_.token_to_id("y")
    assert y in packed.columns["a"].values
    assert y in packed.columns["b"].values


def test_null_text_is_empty():
    assert lists(prepare(["a", None, "a"])[0])[1] == []


def test_roles_may_override_the_dtype():
    column, schema = prepare([7, 9, 7], roles={"c": "category"})
    assert (schema.role, column.values.squeeze(1).tolist()) == ("category", [1, 2, 1])


# Packed


@pytest.fixture
def packed():
    ragged = Ragged(torch.tensor([0, 2, 2, 5]), torch.tensor([7, 8, 4, 5, 6]))
    return Packed({"text": ragged, "code": Dense(torch.tensor([[1], [2], [3]]))})


def test_lengths_of_some_items(packed):
    assert packed.lengths.tolist() == [3, 1, 4]
    assert packed.lengths_of(torch.tensor([2, 0, 2])).tolist() == [4, 3, 4]


def test_take_pads_to_the_longest_taken(packed):
    taken = packed.take(torch.tensor([1, 0]))
    assert taken["text"][0].tolist() == [[0, 0], [7, 8]]
    assert taken["text"][1].tolist() == [[False, False], [True, True]]
    assert taken["code"][0].tolist() == [[2], [1]]
    assert taken["code"][1].tolist() == [[True], [True]]


def test_take_of_empty_texts_has_one_place(packed):
    # a sequence of length zero breaks convolutions
    values, mask = packed.take(torch.tensor([1]))["text"]
    assert values.tolist() == [[0]]
    assert mask.tolist() == [[False]]
    nothing = Ragged(torch.tensor([0, 0]), torch.tensor([], dtype=torch.long))
    assert nothing.take(torch.tensor([0]))[0].tolist() == [[0]]


def test_take_changes_nothing(packed):
    packed.take(torch.tensor([0, 1, 2]))["text"][0].fill_(99)
    assert packed.columns["text"].values.tolist() == [7, 8, 4, 5, 6]


def test_lengths_are_summed_over_the_columns(packed):
    assert packed.lengths.tolist() == [3, 1, 4]
    assert len(packed) == 3
