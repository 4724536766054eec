"""Ragged arrays: segments of different lengths, stored as flat values and offsets.

Segment s of `values` is ``values[offsets[s]:offsets[s + 1]]``. This module contains the arithmetic
of offsets, comparisons of segments, and `GrowingArray`, which moves large arrays into a temporary
file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np

BLOCK = 1 << 22  # elements that are processed at a time; bounds the memory of temporary arrays
IN_MEMORY = 1 << 28  # bytes up to which a `GrowingArray` stays in memory


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Return the offsets (n + 1,) of segments with the given lengths (n,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def segment_ids(offsets: np.ndarray) -> np.ndarray:
    """Return the number of the segment that each element belongs to, of shape (offsets[-1],)."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def gather_ranges(starts: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in ranges, one range after another.

    Parameters
    ----------
    starts, stops : ndarray of int, shape (n,)
        The half-open ranges.

    Returns
    -------
    positions : ndarray of int64, shape (offsets[-1],)
    offsets : ndarray of int64, shape (n + 1,)
        Offsets of the ranges in `positions`.
    """
    offsets = offsets_of(stops - starts)
    shift = np.repeat(starts - offsets[:-1], stops - starts)
    return np.arange(offsets[-1]) + shift, offsets


def gather_segments(offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in the segments with the given numbers; see `gather_ranges`."""
    return gather_ranges(offsets[rows], offsets[rows + 1])


def pad_histories(
    codes: np.ndarray, starts: np.ndarray, stops: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Copy ranges of `codes` into the rows of a padded array.

    Parameters
    ----------
    codes : ndarray of int
        Item codes of all histories.
    starts, stops : ndarray of int, shape (H,)
        The half-open ranges.

    Returns
    -------
    history : ndarray of int64, shape (H, L)
        L is the length of the longest range, but at least 1. Padding is 0.
    mask : ndarray of bool, shape (H, L)
        True for clicks, false for padding.
    """
    lengths = stops - starts
    positions, _ = gather_ranges(starts, stops)
    mask = np.arange(max(1, int(lengths.max(initial=0)))) < lengths[:, None]
    history = np.zeros(mask.shape, dtype=np.int64)
    history[mask] = codes[positions]
    return history, mask


def iterate_blocks(n: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of at most `size` elements that cover ``range(n)``."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def segment_blocks(offsets: np.ndarray) -> Iterator[slice]:
    """Yield consecutive slices of segments, with about BLOCK elements per slice."""
    cuts = np.searchsorted(offsets, np.arange(BLOCK, offsets[-1], BLOCK))
    edges = np.unique(np.concatenate([[0], cuts, [len(offsets) - 1]])).tolist()
    return (slice(*pair) for pair in pairwise(edges))


def hash_segments(offsets: np.ndarray, values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Hash the length, the values and the order of values of each segment.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n + 1,)
    values : ndarray of int, shape (offsets[-1],)
    seed : int, default=0
        Seed of the hash function.

    Returns
    -------
    ndarray of uint64, shape (n,)
    """
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
        # uint64 wraps around, so the difference of two running sums is exactly a segment's sum
        running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
        local = edges - low
        hashes[block] += running[local[1:]] - running[local[:-1]]
    return hashes


def equal_segments(
    offsets: np.ndarray,
    values: np.ndarray,
    rows: np.ndarray,
    other_offsets: np.ndarray,
    other_values: np.ndarray,
    other_rows: np.ndarray,
) -> np.ndarray:
    """Compare segment ``rows[i]`` of one array with segment ``other_rows[i]`` of another.

    Parameters
    ----------
    offsets, other_offsets : ndarray of int64, shape (n + 1,) and (m + 1,)
    values, other_values : ndarray of int
    rows, other_rows : ndarray of int, shape (k,)
        Numbers of the segments to compare.

    Returns
    -------
    ndarray of bool, shape (k,)
    """
    lengths = np.diff(offsets)[rows]
    equal = lengths == np.diff(other_offsets)[other_rows]
    at, own = gather_segments(offsets, rows[equal])
    there, _ = gather_segments(other_offsets, other_rows[equal])
    n_wrong = np.concatenate([[0], np.cumsum(values[at] != other_values[there])])
    equal[equal] = n_wrong[own[1:]] == n_wrong[own[:-1]]
    return equal


def distinct_segments(offsets: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the distinct segments.

    Segments are grouped by a 64-bit hash. The segments of a group are then compared in full, and
    hashed again with another seed if they differ, so that the result is exact.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n + 1,)
    values : ndarray of int32, shape (offsets[-1],)

    Returns
    -------
    first : ndarray of int64, shape (n_distinct,)
        Number of the first segment of each group of equal segments, ascending.
    inverse : ndarray of int64, shape (n,)
        Position in `first` of the segment that equals each segment.
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


def _all_equal_twins(offsets: np.ndarray, values: np.ndarray, twin: np.ndarray) -> bool:
    """Whether each segment s equals segment ``twin[s]``."""
    rows = np.flatnonzero(twin != np.arange(len(twin)))
    per_block = max(1, int(BLOCK / max(1.0, offsets[-1] / max(1, len(twin)))))
    return all(
        equal_segments(offsets, values, rows[block], offsets, values, twin[rows[block]]).all()
        for block in iterate_blocks(len(rows), per_block)
    )


def empty_array(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array to be filled, which is in a temporary file if it is large.

    See `GrowingArray`, whose files are the same.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    ndarray of the shape
        Mapped from a file above `IN_MEMORY` bytes.

    Raises
    ------
    OSError
        If the temporary file cannot be written.
    """
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if n_bytes <= IN_MEMORY:
        return np.empty(shape, dtype)
    with _explained(), tempfile.TemporaryFile(prefix="skrec-") as file:
        # reserved now: a write to a mapped page without room would kill the process
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        else:
            file.truncate(n_bytes)
        return np.asarray(np.memmap(file, dtype, mode="r+", shape=shape))


@contextmanager
def _explained() -> Iterator[None]:
    """Say what to do if a temporary file cannot be written in a block."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"arrays that do not fit into memory could not be written to {tempfile.gettempdir()}: "
            f"{error}; set the environment variable TMPDIR to a folder with more room"
        ) from error


class GrowingArray:
    """A one-dimensional array to which parts are appended.

    Above `IN_MEMORY` bytes, the array is stored in a temporary file, of which the operating system
    keeps in memory what is being read. The file has no name. It is deleted with the last array that
    maps it, or when the process dies.

    Parameters
    ----------
    dtype : dtype
        Type of the array. Parts are cast to it.
    """

    def __init__(self, dtype: Any):
        self._dtype = np.dtype(dtype)
        self._parts: list[np.ndarray] = []
        self._n_bytes = 0
        self._file: Any = None

    def append(self, part: np.ndarray) -> None:
        """Append values of shape (m,).

        Parameters
        ----------
        part : ndarray of shape (m,)
            The values.

        Raises
        ------
        OSError
            If the temporary file cannot be written.
        """
        part = np.ascontiguousarray(part, dtype=self._dtype)
        self._n_bytes += part.nbytes
        self._parts.append(part)
        if self._n_bytes > IN_MEMORY:
            self._write()

    def _write(self) -> None:
        """Move the parts from memory to the file."""
        with _explained():
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="skrec-")  # noqa: SIM115
            for part in self._parts:
                self._file.write(part.data)
            self._file.flush()
        self._parts = []

    def array(self) -> np.ndarray:
        """Return all values; nothing may be appended afterwards."""
        if self._file is None:
            if len(self._parts) == 1:
                return self._parts[0]
            return np.concatenate([np.empty(0, self._dtype), *self._parts])
        self._write()
        mapped = np.memmap(self._file, self._dtype, mode="r+")
        self._file.close()  # the map keeps the file alive
        return np.asarray(mapped)


def take_segments(
    offsets: np.ndarray, rows: np.ndarray, *values: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Copy segments of arrays, block by block.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n + 1,)
    rows : ndarray of int, shape (m,)
        Numbers of the segments, in the order of the result.
    *values : ndarray of shape (offsets[-1],)
        Arrays with the same offsets.

    Returns
    -------
    offsets : ndarray of int64, shape (m + 1,)
    *values : ndarray of shape (offsets[-1],), for the new offsets
    """
    taken = offsets_of(offsets[rows + 1] - offsets[rows])
    grown = [GrowingArray(each.dtype) for each in values]
    for block in segment_blocks(taken):
        at, _ = gather_segments(offsets, rows[block])
        for each, copy in zip(values, grown, strict=True):
            copy.append(each[at])
    return taken, *(copy.array() for copy in grown)


def keep_elements(
    offsets: np.ndarray, kept: np.ndarray, *values: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Copy segments of arrays without some of their elements, block by block.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n + 1,)
    kept : ndarray of bool, shape (offsets[-1],)
        Mask of the elements to keep.
    *values : ndarray of shape (offsets[-1],)
        Arrays with the same offsets.

    Returns
    -------
    offsets : ndarray of int64, shape (n + 1,)
    *values : ndarray of shape (offsets[-1],), for the new offsets
    """
    lengths = np.zeros(len(offsets) - 1, dtype=np.int64)
    grown = [GrowingArray(each.dtype) for each in values]
    for block in segment_blocks(offsets):
        edges = offsets[block.start : block.stop + 1]
        stays = kept[edges[0] : edges[-1]]
        running = offsets_of(stays)
        lengths[block] = np.diff(running[edges - edges[0]])
        for each, copy in zip(values, grown, strict=True):
            copy.append(each[edges[0] : edges[-1]][stays])
    return offsets_of(lengths), *(copy.array() for copy in grown)
