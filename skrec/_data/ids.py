"""Positions of ids in a catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skrec._data.arrow import SLICE, as_ids

WORD = 8  # bytes of the longest string that is looked up as an integer


class IdLookup:
    """Index of the ids of a catalogue.

    If no id has more than 8 bytes, strings are looked up as the integers that their bytes
    represent. For many ids, this is several times faster than comparing strings.

    Parameters
    ----------
    ids : pyarrow.Array of int64 or large_string, shape (N,)
        Distinct ids of the catalogue.
    """

    def __init__(self, ids: pa.Array):
        self._ids = ids
        keys = ids.to_numpy() if pa.types.is_int64(ids.type) else _words(ids)
        self._index = None if keys is None else pd.Index(keys)

    def codes(self, values: pa.Array | pa.ChunkedArray, what: str) -> np.ndarray:
        """Return the positions of ids in the catalogue.

        Parameters
        ----------
        values : pyarrow.Array or pyarrow.ChunkedArray of shape (n,)
            Ids to look up.
        what : str
            Description of the ids in error messages.

        Returns
        -------
        ndarray of int32, shape (n,)
            Positions; -1 for ids that are not in the catalogue.

        Raises
        ------
        TypeError
            If one side has strings and the other ints.
        """
        codes = np.empty(len(values), dtype=np.int32)
        for start in range(0, len(values), SLICE):
            part = values.slice(start, SLICE)
            codes[start : start + len(part)] = self._find(part, what)
        return codes

    def _find(self, part: Any, what: str) -> np.ndarray:
        """Return the positions of some ids; see `codes`."""
        known = as_ids(part, what)
        if known.type != self._ids.type:
            names = {pa.int64(): "int", pa.large_string(): "str"}
            raise TypeError(
                f"{what} are {names[known.type]} ids ({part.type}) but the catalogue's are "
                f"{names[self._ids.type]} ({self._ids.type}); convert one of them"
            )
        if isinstance(known, pa.ChunkedArray):
            known = known.combine_chunks()
        if self._index is not None:
            keys = known.to_numpy() if pa.types.is_int64(known.type) else _words(known)
            if keys is not None:
                return self._index.get_indexer(keys)
        found = pc.index_in(known, value_set=self._ids)
        return found.fill_null(-1).to_numpy(zero_copy_only=False)


def look_up(values: pa.Array | pa.ChunkedArray, ids: pa.Array, what: str) -> np.ndarray:
    """Return the positions of `values` in `ids`, for a single look-up; see `IdLookup.codes`."""
    return IdLookup(ids).codes(values, what)


def _words(texts: pa.Array) -> np.ndarray | None:
    """Return the bytes of each text as an integer.

    Parameters
    ----------
    texts : pyarrow.Array of large_string, shape (n,)

    Returns
    -------
    ndarray of uint64, shape (n,), or None
        None if a text has more than 8 bytes or a zero byte, since texts may then share an integer.
    """
    _, offsets, data = texts.buffers()
    edges = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    lengths = np.diff(edges)
    flat = np.frombuffer(data or b"", np.uint8)[edges[0] : edges[-1]]
    if lengths.max(initial=0) > WORD or not flat.all():
        return None
    padded = np.concatenate([flat, np.zeros(WORD, np.uint8)])
    # the integer of the 8 bytes from each byte on
    windows = np.ndarray((len(flat) + 1,), "<u8", padded, strides=(1,))
    masks = np.array([(1 << 8 * length) - 1 for length in range(WORD + 1)], np.uint64)
    return windows[edges[:-1] - edges[0]] & masks[lengths]
