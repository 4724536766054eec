"""What processes compare before they train: texts that differ if, and only if, inputs differ."""

from dataclasses import fields, replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import nn

from skrec import Items, behavior, content
from skrec._data.coded import CodedInteractions
from skrec._data.encode import encode
from skrec._data.rows import as_table
from skrec._training.processes import Processes
from skrec._training.same_everywhere import _describe, check_same, describe_inputs, describe_rows

ITEMS = Items({1: "red apple", 2: "green pear", 3: "blue plum"})
ROWS = {
    "history": [[1, 2], [3]],
    "candidates": [[3], [1, 2]],
    "clicked": [[1], [0, 1]],
    "time": [1.0, 2.0],
    "user_id": [7, 8],
}


def coded():
    users = pa.array([7, 8])
    data = encode(
        as_table(ROWS), items=ITEMS, labels="required", sample_weight=[1.0, 2.0], users=users
    )
    return replace(
        data,
        click_weight=np.array([0.5, 0.0, 2.0]),
        contexts=np.array([[0.0], [1.5]], dtype=np.float32),
        context_of_row=np.array([0, 1]),
    )


def describe(data=None, items=ITEMS, users=None, **parameters):
    return describe_inputs(
        parameters, describe_rows(coded() if data is None else data), items, users
    )


class Together(Processes):
    """Two processes, the other of which has other values."""

    def gathered(self, function, topic):
        return [function(), self.other]


def together(**other):
    processes = Together(0, 2)
    object.__setattr__(processes, "other", other)
    return processes


def test_equal_inputs_are_described_equally():
    assert describe(width=8) == describe(width=8)
    again = Items({1: "red apple", 2: "green pear", 3: "blue plum"})
    assert describe(items=again) == describe()


@pytest.mark.parametrize("name", [f.name for f in fields(CodedInteractions) if f.name != "kind"])
def test_rows_that_differ_in_anything_are_described_differently(name):
    data = coded()
    value = getattr(data, name)
    assert value is not None
    changed = value.copy()
    changed[-1] += 1
    assert describe(replace(data, **{name: changed}))["rows:"] != describe(data)["rows:"]


def test_catalogues_that_differ_are_described_differently():
    texts = [{1: "red apple", 2: "green pear", 3: "a plum"}, {1: "red apple", 2: "green pear"}]
    texts.append({1: "red apple", 2: "green pear", 4: "blue plum"})
    described = {describe(items=Items(each))["catalogue:"] for each in texts}
    assert len(described | {describe()["catalogue:"]}) == 4


def test_parameters_of_own_machines_are_not_compared():
    own = {"device": "cuda:1", "memory": "/here", "verbose": 1, "random_state": 3}
    assert describe(**own, processes="auto") == describe()
    assert describe(width=8) != describe(width=9)


def test_descriptions_of_parameters_have_no_addresses():
    for make in (
        lambda: behavior.GRU(dropout=0.5),
        lambda: content.WithID(content.MeanPooling()),
        lambda: content.Features(TfidfVectorizer(tokenizer=object().__repr__)),
        lambda: {"a": [object(), (1, None)], "b": np.arange(3)},
        lambda: nn.Linear(2, 3),
    ):
        first, second = make(), make()  # both exist, so their addresses differ
        assert _describe(first) == _describe(second)
        assert "0x" not in _describe(first)
    assert _describe(behavior.GRU(dropout=0.5)) != _describe(behavior.GRU())
    assert _describe(np.arange(3)) != _describe(np.arange(3) + 1)
    assert _describe(nn.Linear(2, 3)) != _describe(nn.Linear(2, 4))
    assert "torch.float32" in _describe(torch.float32)


def test_the_message_says_what_differs_and_what_to_do():
    check_same(together(a="1", b="2"), {"a": "1", "b": "2"})
    message = "differ: b 2 in process 0, but 3 in process 1. Each process must pass all rows"
    with pytest.raises(ValueError, match=message):
        check_same(together(a="1", b="3"), {"a": "1", "b": "2"})


def test_long_values_that_end_differently_differ_in_the_message():
    one, other = "x" * 100 + "1", "x" * 100 + "2"
    with pytest.raises(ValueError, match="differ") as caught:
        check_same(together(a=other), {"a": one})
    first, second = str(caught.value).split(" in process 0, but ")
    assert first.split("... (")[1] != second.split("... (")[1][: len(first.split("... (")[1])]
    assert len(str(caught.value)) < 450
