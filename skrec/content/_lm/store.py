"""The prefix store: states of frozen layers, computed once per item and kept on disk."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash

from skrec._common.files import NO_SPACE, check_space, no_space
from skrec._common.locks import ForkSafeLock
from skrec._common.messages import warn
from skrec._data.states import States
from skrec.content._lm import store_folders as folders
from skrec.content._lm.page_index import PageIndex, read_index, write_index
from skrec.content._lm.pages import (
    KEY_DTYPE,
    DamagedPage,
    Page,
    joined,
    open_page,
    write_page,
)

PAGE_BYTES = 64 << 20
RANGE_BYTES = 1 << 28  # of a range of keys, from which on processes fill ranges of their own
MANY_PAGES = 16  # small pages that are joined
GROWTH = 1.125  # of the number of keys, after which the file of the index is written again
Compute = Callable[[np.ndarray], torch.Tensor]


class PrefixStore:
    """States of a frozen prefix, stored in pages on disk.

    Several threads may use a store at once. The open pages and their index are replaced as a
    whole, and a thread that reads takes one version of them.

    Parameters
    ----------
    memory : str or Path
        Folder that several stores share.
    spec : dict
        Everything that the states depend on, except the key of an item. It must be serializable as
        JSON. Its ``model`` is a name for users and does not identify the store.
    width : int
        Size of a row.
    dtype : torch.dtype
        Number type of the stored rows.

    Raises
    ------
    TypeError, ValueError
        If `memory` is not a path, or if it is the path of a file.
    OSError
        If the folder cannot be created or written to.
    """

    def __init__(
        self, memory: str | Path, spec: Mapping[str, Any], width: int, dtype: torch.dtype
    ) -> None:
        self._description = {
            "spec": dict(spec),
            "width": width,
            "dtype": str(dtype).removeprefix("torch."),
        }
        own_spec = {name: value for name, value in spec.items() if name != "model"}
        identity = {"format": folders.FORMAT, **self._description, "spec": own_spec}
        digest = xxhash.xxh3_128_hexdigest(json.dumps(identity, sort_keys=True).encode())
        self.folder = folders.prefix_folder(memory) / digest
        self.width, self.dtype = width, dtype
        self._pages: dict[str, Page] = {}
        self._damaged: frozenset[str] = frozenset()
        self._index = PageIndex()
        self._n_in_file = 0  # keys in the file of the index
        self._lock = ForkSafeLock()
        folders.make_folder(self.folder)

    def fill(
        self,
        keys: np.ndarray,
        lengths: np.ndarray,
        compute: Compute,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Compute and store the states of the items that the store lacks.

        If much is missing, processes that fill the same store at the same time share the work:
        each takes a range of the keys that no other process is filling. Otherwise, a process waits
        and then finds the states of the other.

        Parameters
        ----------
        keys : ndarray of S16, shape (n,)
            Keys of the items, see `item_keys`. Items with equal keys are computed once.
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
        self._drop_deleted()
        self._open_new()
        missing = self._index.missing(keys)
        if not len(missing) and not self._damaged:
            return
        report = Report(progress, len(missing))
        lengths = np.asarray(lengths, np.int64)
        if self._n_bytes(lengths[missing]) < RANGE_BYTES * folders.N_RANGES:
            with folders.locked(self.folder):
                self._refresh()
                for path in folders.unfinished_files(self.folder):
                    path.unlink(missing_ok=True)  # no process is writing them
                self._fill_missing(keys, lengths, compute, report)
        else:
            self._fill_ranges(keys, lengths, compute, report)
        self._tidy()

    def _fill_ranges(
        self, keys: np.ndarray, lengths: np.ndarray, compute: Compute, report: Report
    ) -> None:
        """Fill the ranges of keys that no other process is filling, then wait for the others."""
        in_range = _range_of(keys)
        waiting = list(range(folders.N_RANGES))
        for wait in (False, True):
            for number in waiting.copy():
                own = np.flatnonzero(in_range == number)
                with folders.range_locked(self.folder, number, wait) as is_held:
                    if not is_held:
                        continue
                    waiting.remove(number)
                    n_before = len(self._index.missing(keys[own]))
                    self._refresh()
                    report.add(n_before - len(self._index.missing(keys[own])))

                    def compute_own(at: np.ndarray, own: np.ndarray = own) -> torch.Tensor:
                        return compute(own[at])

                    self._fill_missing(keys[own], lengths[own], compute_own, report)

    def _refresh(self) -> None:
        """Read which pages there are, with a lock; delete damaged ones."""
        folders.make_folder(self.folder)  # another process may have deleted it
        self._drop_deleted()
        self._open_new()
        with self._lock.held():
            for name in self._damaged:
                (self.folder / name).unlink(missing_ok=True)
            self._damaged = frozenset()

    def _fill_missing(
        self, keys: np.ndarray, lengths: np.ndarray, compute: Compute, report: Report
    ) -> None:
        """Compute and store the states that the index lacks, with the lock of their keys."""
        missing = self._index.missing(keys)
        sizes = lengths[missing]
        what = f"the states of {len(sizes)} items"
        check_space(self.folder, self._n_bytes(sizes), what, "memory")
        try:
            for cut in page_cuts(sizes, self.width * self.dtype.itemsize):
                self._add_page(keys[missing[cut]], sizes[cut], compute(missing[cut]))
                report.add(len(missing[cut]))
        finally:
            # keep the pages that were written before an error
            with self._lock.held():
                self._index_new_pages()

    def _tidy(self) -> None:
        """Join small pages if there are many, and write the index if it has grown.

        Nothing is done while another process is filling the store, or without room on the disk.
        """
        are_many = len(self._small_pages()) >= MANY_PAGES
        if not are_many and len(self._index.keys) <= GROWTH * self._n_in_file:
            return
        with contextlib.suppress(OSError), folders.locked(self.folder, wait=False) as is_held:
            if not is_held:
                return
            self._refresh()
            if are_many:
                for names in self._groups(self._small_pages()):
                    self._join(names)
                self._drop_deleted()
            with self._lock.held():
                index, pages = self._index, self._pages
            name_of_page = {id(page): name for name, page in pages.items()}
            write_index(self.folder, index, name_of_page)
            self._n_in_file = len(index.keys)

    def _small_pages(self) -> list[str]:
        """Return the names of the pages that are less than half full."""
        return [name for name, page in self._pages.items() if is_small(page)]

    def _groups(self, names: list[str]) -> Iterator[list[str]]:
        """Yield groups of pages that fill one page together."""
        sizes = np.array([self._pages[name].rows.nbytes for name in names], dtype=np.int64)
        for cut in page_cuts(sizes, 1):
            yield names[cut]

    def _join(self, names: list[str]) -> None:
        """Replace pages by one page with their items. Damaged pages are left to `verify`."""
        paths, pages = [], []
        for path in (self.folder / name for name in names):
            with contextlib.suppress(DamagedPage, FileNotFoundError):
                pages.append(open_page(path, self.width, self.dtype, verify=True))
                paths.append(path)
        if len(pages) < 2:
            return
        self._add_page(*joined(pages))
        for path in paths:
            path.unlink(missing_ok=True)

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
        index = self._index
        for _ in range(3):  # another process may join pages while they are opened
            if index.find(keys)[1].all():
                break
            self._open_new()
            index = self._index
        return states_of(index, keys, self.width, self.dtype, f"'{self.folder}'")

    def _open_new(self) -> None:
        """Open pages that were added since the last call."""
        with self._lock.held():
            if not self._pages:
                found = read_index(self.folder, self.width, self.dtype)
                if found is not None:
                    self._index, self._pages = found
                    self._n_in_file = len(self._index.keys)
            for path in folders.page_files(self.folder):
                if path.name not in self._pages and path.name not in self._damaged:
                    page = self._opened(path)
                    if page is not None:
                        self._pages = {**self._pages, path.name: page}
            self._index_new_pages()

    def _opened(self, path: Path) -> Page | None:
        """Return a page, or None if it is damaged or was deleted by another process."""
        try:
            return open_page(path, self.width, self.dtype)
        except FileNotFoundError:
            return None
        except DamagedPage as error:
            self._damaged = self._damaged | {path.name}
            warn(f"'{path}' is damaged: {error}; its items are computed again")
            return None

    def _index_new_pages(self) -> None:
        """Add pages to the index that it lacks."""
        known = set(map(id, self._index.pages))
        self._index = self._index.with_pages(
            page for page in self._pages.values() if id(page) not in known
        )

    def _drop_deleted(self) -> None:
        """Drop pages whose files were deleted."""
        with self._lock.held():
            present = {path.name for path in folders.page_files(self.folder)}
            if self._pages.keys() <= present:
                return
            pages = {}
            for name, page in self._pages.items():
                if name not in present:
                    continue
                # the keys of a page without any were read from the index
                pages[name] = page if len(page.keys) else self._opened(self.folder / name)
            self._pages = {name: page for name, page in pages.items() if page is not None}
            self._index = PageIndex(self._pages.values())

    def _add_page(self, keys: np.ndarray, lengths: np.ndarray, rows: torch.Tensor) -> None:
        """Write a page of states and open it."""
        shape = (int(lengths.sum()), self.width)
        if tuple(rows.shape) != shape:
            raise RuntimeError(f"compute() must return rows {shape}, got {tuple(rows.shape)}")
        try:
            folders.write_description(self.folder, self._description)
            path = write_page(self.folder, keys, lengths, rows.to(self.dtype))
        except OSError as error:
            if error.errno in NO_SPACE:
                needed, what = self._n_bytes(lengths), f"the states of {len(lengths)} items"
                number = error.errno
                raise no_space(self.folder, needed, what, "memory", number) from error
            raise
        try:  # verified once, because later only the keys are
            page = open_page(path, self.width, self.dtype, verify=True)
        except DamagedPage as error:
            path.unlink(missing_ok=True)
            raise OSError(f"'{path}' could not be read as it was written: {error}") from error
        with self._lock.held():
            # another thread may have opened and indexed the file in the meantime
            if path.name not in self._pages:
                self._pages = {**self._pages, path.name: page}

    def _n_bytes(self, lengths: np.ndarray) -> int:
        """Return the size in bytes of the arrays of items with these numbers of rows."""
        return int(lengths.sum()) * self.width * self.dtype.itemsize + 24 * len(lengths)


def is_small(page: Page) -> bool:
    """Return whether a page is less than half full."""
    return 2 * page.rows.nbytes < PAGE_BYTES


def page_cuts(sizes: np.ndarray, row: int) -> Iterator[slice]:
    """Yield slices of items for pages of about PAGE_BYTES, with at least one item each.

    Parameters
    ----------
    sizes : ndarray of int64, shape (n,)
        Number of rows of each item.
    row : int
        Number of bytes of a row.
    """
    page = (np.cumsum(sizes) - sizes) * row // PAGE_BYTES
    starts = np.flatnonzero(np.diff(page, prepend=-1))
    for start, stop in itertools.pairwise([*starts.tolist(), len(sizes)]):
        yield slice(start, stop)


def states_of(
    index: PageIndex, keys: np.ndarray, width: int, dtype: torch.dtype, where: str
) -> States:
    """Return the states of items.

    Parameters
    ----------
    index : PageIndex
        Index of the pages with the states.
    keys : ndarray of S16, shape (n,)
        Keys of the items.
    width : int
        Size of a row.
    dtype : torch.dtype
        Number type of the rows.
    where : str
        Location of the pages, for the error message.

    Raises
    ------
    RuntimeError
        If the states of an item are missing.
    """
    at, found = index.find(keys)
    if not found.all():
        raise RuntimeError(
            f"{int((~found).sum())} of {len(keys)} items have no states in {where}; "
            "fill() comes before take_layout()"
        )
    rows = tuple(page.rows for page in index.pages)
    bases = torch.from_numpy(index.bases)
    page, first, lengths = (torch.from_numpy(known[at]) for known in index.places)
    return States(rows, bases, page, first, lengths, width, dtype)


class Report:
    """Number of items that are done, for a progress bar."""

    def __init__(self, progress: Callable[[int, int], None] | None, n_missing: int):
        self._progress, self._n_missing, self._n_done = progress, n_missing, 0

    def add(self, n: int) -> None:
        """Report that n more items are done."""
        self._n_done += n
        if self._progress is not None and n:
            self._progress(self._n_done, self._n_missing)


def _range_of(keys: np.ndarray) -> np.ndarray:
    """Return the number of the range that each key belongs to."""
    first = np.ascontiguousarray(keys, KEY_DTYPE).view(np.uint8).reshape(-1, KEY_DTYPE.itemsize)
    return first[:, 0] % folders.N_RANGES
