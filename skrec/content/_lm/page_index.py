"""Index of the keys in the pages of a prefix store, which is kept in a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash

from skrec._common.files import add_to_digest, write_whole
from skrec.content._lm import pages
from skrec.content._lm.pages import (
    KEY_DTYPE,
    DamagedPage,
    Page,
    map_rows,
    open_regular,
    stamp_of,
)
from skrec.content._lm.store_folders import INDEX_NAME

FORMAT = "skrec prefix index 1"
MAX_HEADER = 1 << 24  # bytes
ARRAYS = (KEY_DTYPE, np.dtype("<i8"), np.dtype("<i8"), np.dtype("<i8"))


class PageIndex:
    """Index that maps keys to rows in pages. The address of a row counts the rows of all pages.

    It is immutable.

    Parameters
    ----------
    pages : iterable of Page
        Pages to index.

    Attributes
    ----------
    pages : list of Page
        The P pages.
    bases : ndarray of int64, shape (P,)
        Address of the first row of each page.
    keys : ndarray of S16, shape (n,)
        The distinct keys, ascending.
    places : tuple of three ndarrays of int64, shape (n,)
        For each key: number of its page, address of its first row, and number of rows.
    """

    def __init__(self, pages: Iterable[Page] = ()) -> None:
        self.pages = list(pages)
        self.bases = _bases(self.pages)
        self.keys, self.places = _sorted(self.pages, 0, 0)

    @classmethod
    def _of(cls, pages: list[Page], keys: np.ndarray, places: Any) -> PageIndex:
        """Return an index of sorted keys."""
        made = cls.__new__(cls)
        made.pages, made.keys, made.places = pages, keys, tuple(places)
        made.bases = _bases(pages)
        return made

    def with_pages(self, pages: Iterable[Page]) -> PageIndex:
        """Return an index with further pages. The keys are merged, not sorted again."""
        new = list(pages)
        if not new:
            return self
        n_rows = sum(len(page.rows) for page in self.pages)
        keys, places = _sorted(new, len(self.pages), n_rows)
        _, known = self.find(keys)
        at = np.searchsorted(self.keys, keys[~known])
        merged = [
            np.insert(own, at, other[~known])
            for own, other in zip((self.keys, *self.places), (keys, *places), strict=True)
        ]
        return self._of([*self.pages, *new], merged[0], merged[1:])

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the position of each key in `places`, and whether the key was found."""
        if not len(self.keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
        at = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        return at, self.keys[at] == keys

    def missing(self, keys: np.ndarray) -> np.ndarray:
        """Return the first position of each distinct key that no page contains, in rising order."""
        lost = np.flatnonzero(~self.find(keys)[1])
        _, first = np.unique(keys[lost], return_index=True)
        return lost[np.sort(first)]


def _bases(pages: list[Page]) -> np.ndarray:
    """Return the address of the first row of each page."""
    n_rows = np.array([len(page.rows) for page in pages], dtype=np.int64)
    return np.cumsum(n_rows) - n_rows


def _sorted(pages: list[Page], number: int, base: int) -> tuple[np.ndarray, Any]:
    """Return the sorted keys of pages and their places, if pages and rows begin at some numbers."""
    lengths = np.concatenate([np.zeros(0, np.int64), *(page.lengths for page in pages)])
    numbers = number + np.repeat(np.arange(len(pages)), [len(page.keys) for page in pages])
    first = base + np.cumsum(lengths) - lengths
    keys = np.concatenate([np.zeros(0, KEY_DTYPE), *(page.keys for page in pages)])
    keys, order = np.unique(keys, return_index=True)
    return keys, (numbers[order], first[order], lengths[order])


def write_index(folder: Path, index: PageIndex, names: Mapping[int, str]) -> None:
    """Write an index to the folder of a store.

    Parameters
    ----------
    folder : Path
        Folder of the store.
    index : PageIndex
        The index.
    names : dict of int to str
        Name of the file of each page, by ``id(page)``.
    """
    described = {
        "format": [FORMAT, pages.FORMAT],
        "store": folder.name,
        "n_keys": len(index.keys),
        "pages": [[names[id(page)], len(page.rows), *page.stamp] for page in index.pages],
    }
    arrays = [
        np.ascontiguousarray(array, dtype).view(np.uint8)
        for array, dtype in zip((index.keys, *index.places), ARRAYS, strict=True)
    ]
    digest = _digest(described)
    for array in arrays:
        digest.update(array.data)
    header = json.dumps(described | {"checksum": digest.hexdigest()}).encode()
    header += b" " * (-(8 + len(header)) % 64)
    parts: list[Any] = [len(header).to_bytes(8, "little"), header]
    write_whole(folder / INDEX_NAME, [*parts, *(array.data for array in arrays)])


def read_index(
    folder: Path, width: int, dtype: torch.dtype
) -> tuple[PageIndex, dict[str, Page]] | None:
    """Return the index that `write_index` wrote, and its pages by their names.

    Pages are not opened, and their keys are not read. Those that were written later are not in it.

    Parameters
    ----------
    folder : Path
        Folder of the store.
    width : int
        Size of a row.
    dtype : torch.dtype
        Type of the rows.

    Returns
    -------
    tuple or None
        None if there is no index, if it is damaged, or if one of its pages is gone or has changed.
    """
    path = folder / INDEX_NAME
    try:
        with open_regular(path) as file:
            length = int.from_bytes(file.read(8), "little")
            described = json.loads(file.read(min(length, MAX_HEADER)))
            checksum = described.pop("checksum")
            digest = _digest(described)
            add_to_digest(digest, file)
        own = [FORMAT, pages.FORMAT], folder.name
        if digest.hexdigest() != checksum or (described["format"], described["store"]) != own:
            return None
        found = {}
        for name, n_rows, *stamp in described["pages"]:
            page = folder / name
            if stamp_of(page.stat()) != tuple(stamp):
                return None
            rows = map_rows(page, n_rows, width, dtype)
            found[name] = Page(np.empty(0, KEY_DTYPE), np.empty(0, np.int64), rows, tuple(stamp))
        arrays, start = [], 8 + length
        for each in ARRAYS:
            arrays.append(_mapped(path, each, start, described["n_keys"]))
            start += arrays[-1].nbytes
    except (DamagedPage, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return PageIndex._of(list(found.values()), arrays[0], arrays[1:]), found


def _mapped(path: Path, dtype: np.dtype, start: int, n: int) -> np.ndarray:
    """Return an array of a file, memory-mapped."""
    if not n:
        return np.empty(0, dtype)
    return np.asarray(np.memmap(path, dtype, mode="r", offset=start, shape=(n,)))


def _digest(described: dict[str, Any]) -> Any:
    """Return a hash object that has read a header."""
    return xxhash.xxh3_128(json.dumps(described, sort_keys=True).encode())
