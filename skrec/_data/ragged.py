"""Arithmetic on ragged arrays: segment s of `values` is ``values[offsets[s]:offsets[s + 1]]``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

# elements handled at a time, so that temporaries stay small beside the data
BLOCK = 1 << 22


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Return the offsets (n + 1,) of segments with some lengths (n,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def segment_ids(offsets: np.ndarray) -> np.ndarray:
    """Return the segment of each element, of shape (offsets[-1],)."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def gather_ranges(starts: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of ranges laid end to end, and the offsets of the result.

    Parameters
    ----------
    starts, stops : ndarray of int, shape (n,)
        The half-open ranges.

    Returns
    -------
    positions : ndarray of int64
    offsets : ndarray of int64, shape (n + 1,)
    """
    offsets = offsets_of(stops - starts)
    shift = np.repeat(starts - offsets[:-1], stops - starts)
    return np.arange(offsets[-1]) + shift, offsets


def gather_segments(offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of some segments laid end to end, and the new offsets."""
    return gather_ranges(offsets[rows], offsets[rows + 1])


def distinct_segments(offsets: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find equal segments.

    Segments are compared by a 64-bit hash, and those that share one are then compared in
    full, so the answer is exact.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n + 1,)
    values : ndarray of int32

    Returns
    -------
    first : ndarray of int64, shape (n_distinct,)
        The first of each set of equal segments, ascending.
    inverse : ndarray of int64, shape (n,)
        The entry of `first` that each segment equals.
    """
    seed = 0
    while True:
        _, first, inverse = np.unique(
            hash_segments(offsets, values, seed), return_index=True, return_inverse=True
        )
        if _all_equal_twins(offsets, values, first[inverse]):
            break
        seed += 1
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def segment_blocks(offsets: np.ndarray) -> Iterator[slice]:
    """Cut segments into consecutive runs of about BLOCK elements."""
    cuts = np.searchsorted(offsets, np.arange(BLOCK, offsets[-1], BLOCK))
    edges = np.unique(np.concatenate([[0], cuts, [len(offsets) - 1]])).tolist()
    return (slice(*pair) for pair in pairwise(edges))


def hash_segments(offsets: np.ndarray, values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return a uint64 for each segment that depends on its values, their order and number."""
    rng = np.random.default_rng(seed)
    odd = rng.integers(1, 2**63, size=3, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashes = np.diff(offsets).astype(np.uint64) * odd[0]
    for block in segment_blocks(offsets):
        edges = offsets[block.start : block.stop + 1]
        low, high = edges[0], edges[-1]
        place = np.arange(low, high) - np.repeat(edges[:-1], np.diff(edges))
        mixed = (values[low:high].astype(np.uint64) + np.uint64(1)) * odd[1]
        mixed += place.astype(np.uint64) * odd[2]
        mixed ^= mixed >> np.uint64(29)
        mixed *= odd[0]
        mixed ^= mixed >> np.uint64(32)
        # sums wrap around, so a segment's sum is exactly the difference of two running sums
        running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
        local = edges - low
        hashes[block] += running[local[1:]] - running[local[:-1]]
    return hashes


def _all_equal_twins(offsets: np.ndarray, values: np.ndarray, twin: np.ndarray) -> bool:
    """Whether each segment equals its twin."""
    rows = np.flatnonzero(twin != np.arange(len(twin)))
    per_block = max(1, int(BLOCK / max(1.0, offsets[-1] / max(1, len(twin)))))
    return all(
        equal_segments(offsets, values, rows[block], offsets, values, twin[rows[block]]).all()
        for block in iterate_blocks(len(rows), per_block)
    )


def equal_segments(
    offsets: np.ndarray,
    values: np.ndarray,
    rows: np.ndarray,
    other_offsets: np.ndarray,
    other_values: np.ndarray,
    other_rows: np.ndarray,
) -> np.ndarray:
    """Compare segment ``rows[i]`` of one array with ``other_rows[i]`` of another, for each i.

    Returns
    -------
    ndarray of bool, shape (len(rows),)
    """
    lengths = np.diff(offsets)[rows]
    equal = lengths == np.diff(other_offsets)[other_rows]
    at, own = gather_segments(offsets, rows[equal])
    there, _ = gather_segments(other_offsets, other_rows[equal])
    n_wrong = np.concatenate([[0], np.cumsum(values[at] != other_values[there])])
    equal[equal] = n_wrong[own[1:]] == n_wrong[own[:-1]]
    return equal


def iterate_blocks(n: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of at most `size` that cover ``range(n)``."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


# bytes of an array that is kept in memory; of a larger one the system keeps what is being read
IN_MEMORY = 1 << 28


class Growing:
    """A one-dimensional array that grows by parts; where it is large, in a temporary file.

    The file has no name: it goes when the last array that maps it does, and when the process dies.

    Parameters
    ----------
    dtype : dtype
        Type of the array; parts are cast to it.
    """

    def __init__(self, dtype: Any):
        self._dtype = np.dtype(dtype)
        self._parts: list[np.ndarray] = []
        self._n_bytes = 0
        self._file: Any = None

    def append(self, part: np.ndarray) -> None:
        """Add values of shape (m,)."""
        part = np.ascontiguousarray(part, dtype=self._dtype)
        self._n_bytes += part.nbytes
        self._parts.append(part)
        if self._n_bytes > IN_MEMORY:
            self._write()

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="skrec-")  # noqa: SIM115
            for part in self._parts:
                self._file.write(part.data)
            self._file.flush()
        except OSError as error:
            raise OSError(
                f"rows of X that do not fit into memory could not be written to "
                f"{tempfile.gettempdir()}: {error}; set the environment variable TMPDIR to a "
                "folder with more room"
            ) from error
        self._parts = []

    def array(self) -> np.ndarray:
        """Return everything that was added; the array must not grow afterwards."""
        if self._file is None:
            if len(self._parts) == 1:
                return self._parts[0]
            return np.concatenate([np.empty(0, self._dtype), *self._parts])
        self._write()
        mapped = np.memmap(self._file, self._dtype, mode="r+")
        self._file.close()  # the map holds on to it
        return np.asarray(mapped)


def take_segments(
    offsets: np.ndarray, rows: np.ndarray, *values: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Copy some segments of arrays end to end, a block at a time.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n + 1,)
    rows : ndarray of int
        The segments, in the order of the result.
    *values : ndarray of shape (offsets[-1],)

    Returns
    -------
    offsets : ndarray of int64, shape (len(rows) + 1,)
    *values : ndarray of shape (offsets[-1],)
    """
    taken = offsets_of(offsets[rows + 1] - offsets[rows])
    grown = [Growing(each.dtype) for each in values]
    for block in segment_blocks(taken):
        at, _ = gather_segments(offsets, rows[block])
        for each, copy in zip(values, grown, strict=True):
            copy.append(each[at])
    return taken, *(copy.array() for copy in grown)


def keep_elements(
    offsets: np.ndarray, kept: np.ndarray, *values: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Drop elements of segments.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n + 1,)
    kept : ndarray of bool, shape (offsets[-1],)
        Which elements stay.
    *values : ndarray of shape (offsets[-1],)

    Returns
    -------
    offsets : ndarray of int64, shape (n + 1,)
    *values : ndarray of shape (offsets[-1],), of the new offsets
    """
    lengths = np.zeros(len(offsets) - 1, dtype=np.int64)
    grown = [Growing(each.dtype) for each in values]
    for block in segment_blocks(offsets):
        edges = offsets[block.start : block.stop + 1]
        stays = kept[edges[0] : edges[-1]]
        running = offsets_of(stays)
        lengths[block] = np.diff(running[edges - edges[0]])
        for each, copy in zip(values, grown, strict=True):
            copy.append(each[edges[0] : edges[-1]][stays])
    return offsets_of(lengths), *(copy.array() for copy in grown)


def pad_histories(
    codes: np.ndarray, starts: np.ndarray, stops: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lay ranges of `codes` out as rows.

    Returns
    -------
    history : ndarray of int64, shape (H, L)
        L is the longest range, and at least 1; the rest is 0.
    mask : ndarray of bool, shape (H, L)
    """
    lengths = stops - starts
    positions, _ = gather_ranges(starts, stops)
    mask = np.arange(max(1, int(lengths.max(initial=0)))) < lengths[:, None]
    history = np.zeros(mask.shape, dtype=np.int64)
    history[mask] = codes[positions]
    return history, mask
