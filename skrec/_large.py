"""Arrays that may not fit into memory: large ones lie in temporary files, mapped into memory."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from skrec._segments import gather_segments, offsets_of, segment_blocks

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
