"""The prefix store: hidden states of frozen layers, one entry per item, kept on disk."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash

from skrec._common.files import NO_SPACE, check_space, no_space
from skrec._data.states import States
from skrec.content._lm import store_folders as folders
from skrec.content._lm.pages import DamagedPage, Page, PageIndex, open_page, write_page

PAGE_BYTES = 64 << 20


class PrefixStore:
    """States of a frozen prefix, item by item, in pages on disk.

    Parameters
    ----------
    memory : str, Path or None
        Folder that stores share; None for a temporary folder that goes with the object.
    spec : dict
        All that the states depend on besides an item's key; JSON can hold it. Its ``model`` is a
        name for people, and does not count.
    width : int
        Size of a row.
    dtype : torch.dtype
        Of the rows as they are kept.

    Raises
    ------
    TypeError, ValueError
        For a `memory` that is no path, or is the path of a file.
    OSError
        For a `memory` that can't be made or written to.
    """

    def __init__(
        self, memory: str | Path | None, spec: Mapping[str, Any], width: int, dtype: torch.dtype
    ):
        if memory is None:
            memory = tempfile.mkdtemp(prefix="skrec-")
            weakref.finalize(self, _remove_own, memory, os.getpid())
        self._described = {
            "spec": dict(spec),
            "width": width,
            "dtype": str(dtype).removeprefix("torch."),
        }
        counts = {name: value for name, value in spec.items() if name != "model"}
        identified = {"format": folders.FORMAT, **self._described, "spec": counts}
        identity = json.dumps(identified, sort_keys=True)
        self.folder = folders.prefixes(memory) / xxhash.xxh3_128_hexdigest(identity.encode())
        self.width, self.dtype = width, dtype
        self._pages: dict[str, Page] = {}
        self._damaged: set[str] = set()
        self._index = PageIndex()
        folders.make_folder(self.folder)

    def fill(
        self,
        keys: np.ndarray,
        lengths: np.ndarray,
        compute: Callable[[np.ndarray], torch.Tensor],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Compute and keep the states of those items that are not there yet.

        A second process that fills the same store waits, then finds what this one computed.

        Parameters
        ----------
        keys : ndarray of S16, shape (n,)
            What `item_keys` gives; items with equal keys are computed once.
        lengths : ndarray of int64, shape (n,)
            Rows of each item.
        compute : callable
            Maps positions of items to their rows, one item after the other.
        progress : callable, default=None
            Told ``(n_done, n_missing)`` after each page.

        Raises
        ------
        OSError
            Where the disk is full.
        """
        self._forget()
        self._scan()
        if not len(self._index.missing(keys)) and not self._damaged:
            return
        with folders.locked(self.folder):
            folders.make_folder(self.folder)  # it may have been cleared
            self._forget()
            self._scan()
            self._clean()
            missing = self._index.missing(keys)
            sizes = np.asarray(lengths, np.int64)[missing]
            what = f"the states of {len(sizes)} items"
            check_space(self.folder, self._bytes(sizes), what, "memory")
            n_done = 0
            try:
                for cut in self._cuts(sizes):
                    self._add(keys[missing[cut]], sizes[cut], compute(missing[cut]))
                    n_done += len(missing[cut])
                    if progress is not None:
                        progress(n_done, len(missing))
            finally:
                # what was written before an error is kept
                self._index = PageIndex(self._pages.values())

    def take_layout(self, keys: np.ndarray) -> States:
        """Return the states of items that were filled.

        Parameters
        ----------
        keys : ndarray of S16, shape (n,)

        Returns
        -------
        States
        """
        at, found = self._index.find(keys)
        if not found.all():
            self._scan()
            at, found = self._index.find(keys)
        if not found.all():
            raise RuntimeError(
                f"{int((~found).sum())} of {len(keys)} items have no states in '{self.folder}'; "
                "fill() comes before take_layout()"
            )
        rows = tuple(page.rows for page in self._index.pages)
        bases = torch.from_numpy(self._index.bases)
        page, first, lengths = (torch.from_numpy(known[at]) for known in self._index.places)
        return States(rows, bases, page, first, lengths, self.width, self.dtype)

    def _scan(self) -> None:
        """Open pages that came since the last look."""
        known = len(self._pages)
        for path in folders.pages_in(self.folder):
            if path.name in self._pages or path.name in self._damaged:
                continue
            try:
                self._pages[path.name] = open_page(path, self.width, self.dtype)
            except FileNotFoundError:
                continue  # cleared meanwhile
            except DamagedPage as error:
                self._damaged.add(path.name)
                warnings.warn(
                    f"'{path}' is damaged: {error}; its items are computed again", stacklevel=4
                )
        if len(self._pages) > known:
            self._index = PageIndex(self._pages.values())

    def _forget(self) -> None:
        """Let go of pages that were cleared."""
        there = {path.name for path in folders.pages_in(self.folder)}
        if not self._pages.keys() <= there:
            self._pages = {name: page for name, page in self._pages.items() if name in there}
            self._index = PageIndex(self._pages.values())

    def _clean(self) -> None:
        """Delete what is of no use; under the lock, so that no one is writing it."""
        for path in folders.unfinished_in(self.folder):
            path.unlink(missing_ok=True)
        for name in self._damaged:
            (self.folder / name).unlink(missing_ok=True)
        self._damaged.clear()

    def _cuts(self, sizes: np.ndarray) -> Iterator[slice]:
        """Cut items into pages of about PAGE_BYTES, at least one item each."""
        row = self.width * self.dtype.itemsize
        page = (np.cumsum(sizes) - sizes) * row // PAGE_BYTES
        starts = np.flatnonzero(np.diff(page, prepend=-1))
        for start, stop in itertools.pairwise([*starts.tolist(), len(sizes)]):
            yield slice(start, stop)

    def _add(self, keys: np.ndarray, lengths: np.ndarray, rows: torch.Tensor) -> None:
        shape = (int(lengths.sum()), self.width)
        if tuple(rows.shape) != shape:
            raise RuntimeError(f"compute() must return rows {shape}, got {tuple(rows.shape)}")
        try:
            folders.write_description(self.folder, self._described)
            path = write_page(self.folder, keys, lengths, rows.to(self.dtype))
        except OSError as error:
            if error.errno in NO_SPACE:
                needed, what = self._bytes(lengths), f"the states of {len(lengths)} items"
                number = error.errno
                raise no_space(self.folder, needed, what, "memory", number) from error
            raise
        self._pages[path.name] = open_page(path, self.width, self.dtype)

    def _bytes(self, lengths: np.ndarray) -> int:
        return int(lengths.sum()) * self.width * self.dtype.itemsize + 24 * len(lengths)


def _remove_own(folder: str, pid: int) -> None:
    """Remove a temporary folder, but not from a forked child of the process that made it."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)
