"""Looking ids up in a catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skrec._data.arrow import SLICE, as_ids

WORD = 8  # bytes of a string that is looked up as one number


class IdLookup:
    """Finds where ids are in a catalogue.

    Strings of at most 8 bytes are looked up as the numbers that their bytes make: among many ids,
    that is several times faster than comparing strings.

    Parameters
    ----------
    ids : pyarrow.Array of int64 or large_string, shape (N,)
        The catalogue's ids, distinct.
    """

    def __init__(self, ids: pa.Array):
        self._ids = ids
        keys = ids.to_numpy() if pa.types.is_int64(ids.type) else _words(ids)
        self._index = None if keys is None else pd.Index(keys)

    def codes(self, values: pa.Array | pa.ChunkedArray, what: str) -> np.ndarray:
        """Return the positions of ids.

        Parameters
        ----------
        values : pyarrow.Array or pyarrow.ChunkedArray of shape (n,)
            Ids to look up.
        what : str
            How messages call them.

        Returns
        -------
        ndarray of int32, shape (n,)
            Positions, -1 where an id is missing.

        Raises
        ------
        TypeError
            Where one side is strings and the other ints.
        """
        codes = np.empty(len(values), dtype=np.int32)
        for start in range(0, len(values), SLICE):
            part = values.slice(start, SLICE)
            codes[start : start + len(part)] = self._find(part, what)
        return codes

    def _find(self, part: Any, what: str) -> np.ndarray:
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


def _words(texts: pa.Array) -> np.ndarray | None:
    """Return the bytes of each text as a number; None where some are too long, or hold a zero."""
    _, offsets, data = texts.buffers()
    edges = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    lengths = np.diff(edges)
    flat = np.frombuffer(data or b"", np.uint8)[edges[0] : edges[-1]]
    if lengths.max(initial=0) > WORD or not flat.all():
        return None
    padded = np.concatenate([flat, np.zeros(WORD, np.uint8)])
    # a number of 8 bytes that begins at each byte
    windows = np.ndarray((len(flat) + 1,), "<u8", padded, strides=(1,))
    masks = np.array([(1 << 8 * length) - 1 for length in range(WORD + 1)], np.uint64)
    return windows[edges[:-1] - edges[0]] & masks[lengths]


def codes_of(values: pa.Array | pa.ChunkedArray, ids: pa.Array, what: str) -> np.ndarray:
    """Look ids up once; see `IdLookup`."""
    return IdLookup(ids).codes(values, what)
