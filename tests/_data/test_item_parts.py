"""Catalogues that grow: equal to one that is built at once, and the known items are not read."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

from skrec import Items
from skrec._data import item_parts
from skrec._data.item_parts import Part, Parts
from skrec._data.items import are_equal, ids_of


def frame(ids):
    texts = [f"text {i}" for i in ids]
    tags = [[str(i % 3)] * (i % 4) for i in ids]
    return {"item_id": [f"item-{i:06}" for i in ids], "text": texts, "tags": pa.array(tags)}


def grown(sizes):
    """Return a catalogue that was extended step by step, and the one of all items."""
    edges = np.cumsum([0, *sizes]).tolist()
    items = Items(frame(range(edges[1])))
    for start, stop in zip(edges[1:-1], edges[2:], strict=True):
        items = items.extend(frame(range(start, stop)))
    return items, Items(frame(range(edges[-1])))


@pytest.mark.parametrize("sizes", [[7], [40, 1, 1, 1, 1, 1], [20, 5, 1, 9, 2], [1, 30, 4]])
def test_a_grown_catalogue_equals_one_that_is_built_at_once(sizes):
    items, whole = grown(sizes)
    n = whole.n_items
    codes = np.random.default_rng(0).integers(0, n, 2 * n)
    assert items.n_items == n
    # before the parts are joined
    wanted = pa.array([*whole.ids[codes], "unknown"])
    np.testing.assert_array_equal(items.codes(wanted), whole.codes(wanted))
    assert are_equal(items.take(codes), whole.take(codes))
    assert ids_of(items, codes.reshape(2, n)).tolist() == whole.ids[codes].reshape(2, n).tolist()
    assert items.take([]).n_items == 0
    assert "whole" not in vars(items._parts) or len(items._parts._parts) == 1
    assert are_equal(items, whole)
    assert items.to_pandas().equals(whole.to_pandas())
    assert are_equal(pickle.loads(pickle.dumps(items)), whole)


def test_there_are_few_parts_and_few_copies(monkeypatch):
    n_copied, joined = [], item_parts._joined

    def counted(parts):
        n_copied.append(sum(map(len, parts)) if len(parts) > 1 else 0)
        return joined(parts)

    monkeypatch.setattr(item_parts, "_joined", counted)
    parts = Parts([Part(pa.array(np.arange(100_000)), {})])
    for number in range(1000):
        parts = parts.append(Part(pa.array([100_000 + number]), {}))
    assert len(parts._parts) < 12
    assert sum(n_copied) < 1000 * 12  # not 1,000 times the catalogue
    assert parts.codes(pa.array([5, 100_700, 7_000_000]), "ids").tolist() == [5, 100_700, -1]


def test_nothing_new_gives_the_same_catalogue():
    items, _ = grown([20, 3])
    assert items.extend(frame(range(4, 9))) is items
    assert items.extend(items) is items


def test_changed_and_new_items_at_once():
    items, _ = grown([20, 3])
    other = frame([2, 21, 40, 41])
    other["text"] = ["changed", "text 21", "text 40", "text 41"]
    longer = items.extend({**other, "further": [1, 2, 3, 4]})
    assert longer.n_items == 25
    at, new, changed = items._changes(items.conform(other))
    assert [at.tolist(), new.tolist(), changed.tolist()] == [[2, 21, -1, -1], [2, 3], [0]]
    texts = [f"text {i}" for i in [*range(23), 40, 41]]
    texts[2] = "changed"
    assert longer.column("text").to_pylist() == texts
    assert items.column("text")[2].as_py() == "text 2"
