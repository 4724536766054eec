"""Cache of user vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from skrec._data.ragged import equal_segments, gather_segments, hash_segments

MAX_BYTES = 1 << 28  # size of the cache
MAX_CHUNKS = 64  # a look-up searches all chunks, one after another


@dataclass(frozen=True)
class Chunk:
    """User vectors that were computed in one call, sorted by the hash of their keys.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (H,)
        Hashes of the keys, ascending.
    offsets : ndarray of int64, shape (H + 1,)
        Offsets of the keys in `values`.
    values : ndarray of int64, shape (offsets[-1],)
        The keys; see `UserVectorCache`.
    vectors : tensor of shape (H, K, D)
        The user vectors.
    """

    hashes: np.ndarray
    offsets: np.ndarray
    values: np.ndarray
    vectors: torch.Tensor

    @property
    def n_bytes(self) -> int:
        """Size in memory."""
        arrays = self.hashes.nbytes + self.offsets.nbytes + self.values.nbytes
        return arrays + self.vectors.nbytes


class UserVectorCache:
    """Cache of user vectors, from which the oldest are dropped when it is full.

    The key of a user vector is a segment of ints: the code of the user, followed by the clicks.
    Keys are found by their hash and then compared in full, so a vector of another key is never
    returned. Any number of threads may use the cache: its chunks never change, and the tuple of
    chunks is replaced as a whole. Of two threads that add a chunk at once, one may be lost; it is
    computed again when it is needed.
    """

    def __init__(self) -> None:
        self._chunks: tuple[Chunk, ...] = ()

    def get(
        self,
        offsets: np.ndarray,
        values: np.ndarray,
        compute: Callable[[np.ndarray], torch.Tensor],
    ) -> torch.Tensor:
        """Return the user vectors of keys; missing ones are computed and added.

        Parameters
        ----------
        offsets : ndarray of int64, shape (H + 1,)
            Offsets of the keys in `values`.
        values : ndarray of int64, shape (offsets[-1],)
            The keys.
        compute : callable
            Function that receives the numbers (M,) of the missing keys, and returns their vectors
            (M, K, D).

        Returns
        -------
        tensor of shape (H, K, D)
        """
        hashes = hash_segments(offsets, values)
        is_missing = np.ones(len(hashes), dtype=bool)
        keys: list[np.ndarray] = []
        parts: list[torch.Tensor] = []
        for chunk in self._chunks:
            key, at = self._find(chunk, hashes, offsets, values)
            is_new = is_missing[key]  # two threads may have added the same key
            key, at = key[is_new], at[is_new]
            is_missing[key] = False
            keys.append(key)
            parts.append(chunk.vectors[at])
        missing = np.flatnonzero(is_missing)
        if len(missing) or not keys:
            computed = compute(missing)
            self._add(missing, hashes, offsets, values, computed)
            if len(missing) == len(hashes):
                return computed
            keys.append(missing)
            parts.append(computed)
        place = np.empty(len(hashes), dtype=np.int64)
        place[np.concatenate(keys)] = np.arange(len(hashes))
        together = torch.cat(parts)
        return together[torch.from_numpy(place).to(together.device)]

    @staticmethod
    def _find(
        chunk: Chunk, hashes: np.ndarray, offsets: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the keys that are in a chunk, and their positions in it."""
        at = np.searchsorted(chunk.hashes, hashes).clip(max=len(chunk.hashes) - 1)
        key = np.flatnonzero(chunk.hashes[at] == hashes)
        at = at[key]
        same = equal_segments(offsets, values, key, chunk.offsets, chunk.values, at)
        return key[same], at[same]

    def _add(
        self,
        keys: np.ndarray,
        hashes: np.ndarray,
        offsets: np.ndarray,
        values: np.ndarray,
        vectors: torch.Tensor,
    ) -> None:
        """Add the vectors of some keys as a chunk, and drop the oldest chunks if necessary."""
        order = np.argsort(hashes[keys], kind="stable")
        at, own_offsets = gather_segments(offsets, keys[order])
        by_hash = vectors[torch.from_numpy(order).to(vectors.device)]
        chunk = Chunk(hashes[keys[order]], own_offsets, values[at], by_hash)
        if chunk.n_bytes > MAX_BYTES:
            return
        chunks = (*self._chunks, chunk)[-MAX_CHUNKS:]
        while sum(each.n_bytes for each in chunks) > MAX_BYTES:
            chunks = chunks[1:]
        self._chunks = chunks

    @property
    def n_bytes(self) -> int:
        """Size in memory."""
        return sum(chunk.n_bytes for chunk in self._chunks)
