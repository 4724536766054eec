"""The ids and columns of a catalogue, to which new items are added without copying the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skrec._data.arrow import is_list
from skrec._data.ids import IdLookup


class Part:
    """Ids and columns of some items.

    Parameters
    ----------
    ids : pyarrow.Array of int64 or large_string, shape (n,)
        Distinct ids.
    columns : dict of str to pyarrow.Array
        Content columns of n values.
    """

    def __init__(self, ids: pa.Array, columns: dict[str, pa.Array]):
        self.ids, self.columns = ids, columns

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def lookup(self) -> IdLookup:
        """Index of the ids."""
        return IdLookup(self.ids)

    def take(self, index: pa.Array) -> Part:
        """Return the items at some positions."""
        columns = {name: column.take(index) for name, column in self.columns.items()}
        return Part(self.ids.take(index), columns)


class Parts:
    """The parts of a catalogue, one after another. It is immutable.

    A part is joined with the one before it if it is at least half as long. Therefore, there are
    few parts, and an item is copied a few times however many items are added one by one.

    Parameters
    ----------
    parts : sequence of Part
        One or several parts with the same columns.
    """

    def __init__(self, parts: Sequence[Part]):
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def whole(self) -> Part:
        """All items in one part. It is made when it is first needed."""
        return _joined(self._parts)

    def codes(self, ids: pa.Array | pa.ChunkedArray, what: str) -> np.ndarray:
        """Return the positions (n,) of ids in the catalogue; see `Items.codes`."""
        codes = self._parts[0].lookup.codes(ids, what)
        for part, start in zip(self._parts[1:], self._starts[1:-1], strict=True):
            missing = np.flatnonzero(codes < 0)
            if not len(missing):
                break
            found = part.lookup.codes(ids.take(pa.array(missing)), what)
            codes[missing] = np.where(found < 0, -1, found + np.int32(start))
        return codes

    def take(self, codes: Any) -> Part:
        """Return the items at some positions."""
        codes = np.asarray(codes, dtype=np.int64)
        if len(self._parts) == 1 or not len(codes):
            return self._parts[0].take(pa.array(codes))
        part_of_code = np.searchsorted(self._starts, codes, side="right") - 1
        order = np.argsort(part_of_code, kind="stable")
        taken = [
            self._parts[number].take(pa.array(own - self._starts[number]))
            for number, own in _by_part(part_of_code[order], codes[order])
        ]
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return _joined(taken).take(pa.array(back))

    def ids_at(self, codes: Any) -> pa.Array:
        """Return the ids at some positions."""
        return Parts([Part(part.ids, {}) for part in self._parts]).take(codes).ids

    def append(self, part: Part) -> Parts:
        """Return a catalogue with the items of another part at its end."""
        parts = [*self._parts, part]
        while len(parts) > 1 and 2 * len(parts[-1]) >= len(parts[-2]):
            parts[-2:] = [_joined(parts[-2:])]
        return Parts(parts)

    def extended(self, part: Part, at: np.ndarray, new: np.ndarray, changed: np.ndarray) -> Parts:
        """Return a catalogue with the new and the changed items of another part.

        Parameters
        ----------
        part : Part
            The other items.
        at : ndarray of int, shape (len(part),)
            Positions of the other items in this catalogue, if they are there.
        new, changed : ndarray of int64
            Positions in `part` of items that are new, and of items that replace others.
        """
        if len(changed):
            index = np.arange(len(self) + len(new))
            index[at[changed]] = len(self) + changed
            index[len(self) :] = len(self) + new
            return Parts([Parts([self.whole, part]).take(index)])
        return self.append(part if len(new) == len(part) else part.take(pa.array(new)))


def content_hashes(part: Part, roles: Mapping[str, str]) -> np.ndarray:
    """Return a hash (n,) of the content of each item; see `Items.hashes`. It is read-only."""
    total = np.zeros(len(part), dtype=np.uint64)
    for name in sorted(roles):
        column = part.columns[name]
        if is_list(column.type):
            values = np.array([repr(row) for row in column.to_pylist()], dtype=object)
        else:
            values = column.to_numpy(zero_copy_only=False)
        salt = pd.util.hash_array(np.array([f"{name}:{roles[name]}"], dtype=object))
        total = (total ^ pd.util.hash_array(values) ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    total.flags.writeable = False
    return total


def _joined(parts: Sequence[Part]) -> Part:
    """Return the items of several parts in one."""
    if len(parts) == 1:
        return parts[0]
    columns = {
        name: pa.chunked_array([part.columns[name] for part in parts]).combine_chunks()
        for name in parts[0].columns
    }
    return Part(pa.concat_arrays([part.ids for part in parts]), columns)


def _by_part(part_of_code: np.ndarray, codes: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Return the number of each part and its codes; both arrays are sorted by part."""
    numbers, first = np.unique(part_of_code, return_index=True)
    return list(zip(numbers.tolist(), np.split(codes, first[1:]), strict=True))
