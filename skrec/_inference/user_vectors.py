"""User vectors that were computed before, found again by what the histories hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from skrec._data.ragged import equal_segments, gather_segments, hash_segments

MAX_BYTES = 1 << 28  # of vectors that are kept
MAX_CHUNKS = 64  # each is looked through in turn


@dataclass(frozen=True)
class Chunk:
    """The vectors (H, K, D) of some readers, by ascending hash of what these have read."""

    hashes: np.ndarray
    offsets: np.ndarray
    values: np.ndarray
    vectors: torch.Tensor

    @property
    def n_bytes(self) -> int:
        """Size in memory."""
        arrays = self.hashes.nbytes + self.offsets.nbytes + self.values.nbytes
        return arrays + self.vectors.nbytes


class UserStore:
    """Vectors of readers: each is computed once, as long as there is room.

    A reader is a segment of ints: a user's code and the clicks. Hashes find it, and a comparison
    in full decides, so that an answer is never another reader's. The oldest are dropped first.
    """

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []

    def get(
        self,
        offsets: np.ndarray,
        values: np.ndarray,
        compute: Callable[[np.ndarray], torch.Tensor],
    ) -> torch.Tensor:
        """Return the vectors of some readers.

        Parameters
        ----------
        offsets : ndarray of int64, shape (H + 1,)
        values : ndarray of int64, shape (offsets[-1],)
            Segment h is what reader h has read.
        compute : callable
            Takes the numbers (M,) of readers that are missing, and returns their vectors
            (M, K, D).

        Returns
        -------
        tensor of shape (H, K, D)
        """
        hashes = hash_segments(offsets, values)
        found = [self._find(chunk, hashes, offsets, values) for chunk in self._chunks]
        missing = np.ones(len(hashes), dtype=bool)
        for reader, _ in found:
            missing[reader] = False
        rows = np.flatnonzero(missing)
        if len(rows) == len(hashes):
            vectors = compute(rows)
            self._keep(rows, hashes, offsets, values, vectors)
            return vectors
        parts = [chunk.vectors[at] for chunk, (_, at) in zip(self._chunks, found, strict=True)]
        readers = [reader for reader, _ in found]
        if len(rows):
            fresh = compute(rows)
            self._keep(rows, hashes, offsets, values, fresh)
            parts.append(fresh)
            readers.append(rows)
        place = np.empty(len(hashes), dtype=np.int64)
        place[np.concatenate(readers)] = np.arange(len(hashes))
        together = torch.cat(parts)
        return together[torch.from_numpy(place).to(together.device)]

    @staticmethod
    def _find(
        chunk: Chunk, hashes: np.ndarray, offsets: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return which readers a chunk has, and where."""
        at = np.searchsorted(chunk.hashes, hashes).clip(max=len(chunk.hashes) - 1)
        reader = np.flatnonzero(chunk.hashes[at] == hashes)
        at = at[reader]
        same = equal_segments(offsets, values, reader, chunk.offsets, chunk.values, at)
        return reader[same], at[same]

    def _keep(
        self,
        rows: np.ndarray,
        hashes: np.ndarray,
        offsets: np.ndarray,
        values: np.ndarray,
        vectors: torch.Tensor,
    ) -> None:
        order = np.argsort(hashes[rows], kind="stable")
        at, own = gather_segments(offsets, rows[order])
        by_hash = vectors[torch.from_numpy(order).to(vectors.device)]
        chunk = Chunk(hashes[rows[order]], own, values[at], by_hash)
        if chunk.n_bytes > MAX_BYTES:
            return
        self._chunks.append(chunk)
        while len(self._chunks) > MAX_CHUNKS or self.n_bytes > MAX_BYTES:
            self._chunks.pop(0)

    @property
    def n_bytes(self) -> int:
        """Size in memory."""
        return sum(chunk.n_bytes for chunk in self._chunks)
