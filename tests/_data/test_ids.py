"""Positions of ids, compared with those of a dict."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

from skrec import Items
from skrec._data import ids as _ids
from skrec._data.ids import IdLookup

IDS = {
    "short": ["a", "", "ab", "é", "N1234567", "01234567", "\x01", "N1"],
    "long": ["a", "ab", "an id of more than eight bytes", "N1"],
    "with zeros": ["a", "a\0", "a\0\0", "\0"],
    "ints": [5, 0, -1, 2**62, -(2**63)],
    "one": ["x"],
}
OTHERS = {
    str: ["a\0", "b", "N12345678", "an id of more than eight bytes ", "\0", "A", "aé", "", "ab"],
    int: [1, 6, 2**63 - 1, -2],
}


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("slice_size", [3, 1000])
def test_codes_are_those_of_a_dict(name, chunked, slice_size, monkeypatch):
    monkeypatch.setattr(_ids, "SLICE", slice_size)
    ids = IDS[name]
    kind = pa.int64() if isinstance(ids[0], int) else pa.large_string()
    lookup = IdLookup(pa.array(ids, kind))
    code = {value: at for at, value in enumerate(ids)}
    rng = np.random.default_rng(0)
    pool = ids + OTHERS[type(ids[0])]
    for wanted in (pool, ids, [pool[at] for at in rng.integers(len(pool), size=50)], []):
        expected = [code.get(value, -1) for value in wanted]
        for shape in [kind] if kind == pa.int64() else [pa.string(), pa.large_string()]:
            values = pa.array(["skipped", *wanted] if kind != pa.int64() else [9, *wanted], shape)
            values = values.slice(1)  # starts after the beginning of its buffer
            if chunked:
                values = pa.chunked_array([values[:4], values[4:4], values[4:]], shape)
            found = lookup.codes(values, "the ids")
            assert found.dtype == np.int32
            assert found.tolist() == expected
            encoded = values.dictionary_encode()
            assert lookup.codes(encoded, "the ids").tolist() == expected


def test_a_catalogue_is_pickled_without_its_lookup():
    items = Items({"item_id": [f"N{number}" for number in range(1000)]})
    size = len(pickle.dumps(items))
    items.codes(["N3"])
    assert len(pickle.dumps(items)) == size
    assert pickle.loads(pickle.dumps(items)).codes(["N3", "N1000"]).tolist() == [3, -1]
