"""States of frozen layers that live as long as their object, without a path on the disk."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from skrec._common.files import NO_SPACE, check_space, no_space
from skrec._common.locks import ForkSafeLock
from skrec._data.states import States
from skrec.content._lm import store
from skrec.content._lm.page_index import PageIndex
from skrec.content._lm.pages import Page, joined
from skrec.content._lm.store import Compute, PrefixStore, Report, is_small, page_cuts, states_of


class TemporaryStore:
    """Store of states in temporary files that no folder lists.

    The operating system frees the files when their last memory map is closed, also if it kills the
    process. Several threads may use a store at once.

    Parameters
    ----------
    width : int
        Size of a row.
    dtype : torch.dtype
        Number type of the stored rows.
    """

    def __init__(self, width: int, dtype: torch.dtype) -> None:
        self.width, self.dtype = width, dtype
        self._index = PageIndex()
        self._lock = ForkSafeLock()

    def fill(
        self,
        keys: np.ndarray,
        lengths: np.ndarray,
        compute: Compute,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Compute and store the states of the items that the store lacks; see `PrefixStore.fill`.

        Parameters
        ----------
        keys : ndarray of S16, shape (n,)
            Keys of the items. Items with equal keys are computed once.
        lengths : ndarray of int64, shape (n,)
            Number of rows of each item.
        compute : callable
            Function that maps positions of items to their rows, concatenated.
        progress : callable, default=None
            Function that is called as ``progress(n_done, n_missing)`` after each page.

        Raises
        ------
        OSError
            If the disk is full.
        """
        with self._lock.held():  # another thread waits, and then finds the states
            missing = self._index.missing(keys)
            sizes = np.asarray(lengths, np.int64)[missing]
            report = Report(progress, len(missing))
            folder, row = Path(tempfile.gettempdir()), self.width * self.dtype.itemsize
            what = f"the states of {len(missing)} items"
            check_space(folder, int(sizes.sum()) * row, what, "memory")
            for cut in page_cuts(sizes, row):
                rows = compute(missing[cut]).to(self.dtype)
                try:
                    stored = _stored(rows)
                except OSError as error:
                    if error.errno in NO_SPACE:
                        raise no_space(folder, rows.nbytes, what, "memory", error.errno) from error
                    raise
                page = Page(keys[missing[cut]], sizes[cut], stored)
                self._index = self._index.with_pages([page])
                report.add(len(missing[cut]))
            self._join_small_pages()

    def _join_small_pages(self) -> None:
        """Join small pages if there are many, because a process may have few memory maps."""
        small = [page for page in self._index.pages if is_small(page)]
        if len(small) < store.MANY_PAGES:
            return
        others = [page for page in self._index.pages if not is_small(page)]
        sizes = np.array([page.rows.nbytes for page in small], dtype=np.int64)
        for cut in page_cuts(sizes, 1):
            keys, lengths, rows = joined(small[cut])
            others.append(Page(keys, lengths, _stored(rows)))
        self._index = PageIndex(others)

    def take_layout(self, keys: np.ndarray) -> States:
        """Return the states of items that `fill` has stored.

        Parameters
        ----------
        keys : ndarray of S16, shape (n,)
            Keys of the items.

        Returns
        -------
        States

        Raises
        ------
        RuntimeError
            If the states of an item are missing.
        """
        return states_of(self._index, keys, self.width, self.dtype, "memory")


def open_store(
    memory: str | Path | None, spec: dict[str, Any], width: int, dtype: torch.dtype
) -> PrefixStore | TemporaryStore:
    """Return the store of a folder, or a new temporary store.

    Parameters
    ----------
    memory : str, Path or None
        Folder that several stores share. None stands for a temporary store.
    spec, width, dtype
        As in `PrefixStore`.

    Returns
    -------
    PrefixStore or TemporaryStore
    """
    if memory is None:
        return TemporaryStore(width, dtype)
    return PrefixStore(memory, spec, width, dtype)


def _stored(rows: torch.Tensor) -> torch.Tensor:
    """Write rows to a temporary file, and return them memory-mapped."""
    rows = rows.contiguous()
    if not rows.nbytes:
        return rows
    # it has no name, or loses it as soon as it is open
    with tempfile.TemporaryFile(prefix="skrec-") as file:
        file.write(rows.view(-1).view(torch.uint8).numpy().data)
        file.flush()
        mapped = _mapped(file, rows.nbytes)
    return mapped.view(rows.dtype).view(rows.shape)


def _mapped(file: IO[bytes], n_bytes: int) -> torch.Tensor:
    """Return the bytes of an open file, memory-mapped."""
    path = f"/proc/self/fd/{file.fileno()}"
    if os.path.exists(path):  # torch closes its descriptor, of which a process has few
        return torch.from_file(path, shared=False, size=n_bytes, dtype=torch.uint8)
    mapped = mmap.mmap(file.fileno(), n_bytes, access=mmap.ACCESS_COPY)
    return torch.frombuffer(mapped, dtype=torch.uint8)
