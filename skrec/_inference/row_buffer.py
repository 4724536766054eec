"""Rows in a tensor with room at its end, so that a few rows are added without copying all."""

from __future__ import annotations

import torch

from skrec._common.locks import ForkSafeLock

ROOM = 1.25  # size of a buffer relative to its rows


class RowBuffer:
    """A tensor whose first rows are in use.

    Rows that are in use never change. Views of them stay valid while other rows are added.

    Parameters
    ----------
    rows : tensor of shape (n, R)
        The first rows.
    n_needed : int
        Number of rows for which there must be room.
    """

    def __init__(self, rows: torch.Tensor, n_needed: int):
        self._storage = rows.new_empty((int(ROOM * n_needed), rows.shape[1]))
        self._storage[: len(rows)] = rows
        self._used = len(rows)
        self._lock = ForkSafeLock()

    def append(self, n: int, new: torch.Tensor) -> torch.Tensor | None:
        """Return the first n rows, followed by new ones.

        Parameters
        ----------
        n : int
            Number of rows that the new ones follow.
        new : tensor of shape (m, R)

        Returns
        -------
        tensor of shape (n + m, R) or None
            None if there is no room, or if other rows were added after the first n.
        """
        with self._lock.held():
            stop = n + len(new)
            if n != self._used or stop > len(self._storage):
                return None
            self._used = stop
        self._storage[n:stop] = new
        return self._storage[:stop]
