"""Pages of the prefix store: safetensors files that are written whole and checked when opened."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash

from skrec._common.files import write_whole

PAGE_NAME = re.compile(r"page-[0-9a-f]{32}\.safetensors")
# a file that is being written, or whose writer was killed
UNFINISHED_NAME = re.compile(r"[0-9a-f]{32}\.tmp")
FORMAT = "skrec prefix page 1"
NAMES = {
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.float32: "F32",
    torch.float64: "F64",
}
KEY = np.dtype("S16")
_CHUNK = 1 << 20


class DamagedPage(Exception):
    """A file that isn't the page that was written."""


@dataclass(frozen=True)
class Page:
    """An open page: the keys and row counts of its items, and their rows, memory-mapped.

    Parameters
    ----------
    keys : ndarray of S16, shape (n,)
    lengths : ndarray of int64, shape (n,)
    rows : tensor of shape (lengths.sum(), width)
    """

    keys: np.ndarray
    lengths: np.ndarray
    rows: torch.Tensor


def write_page(folder: Path, keys: np.ndarray, lengths: np.ndarray, rows: torch.Tensor) -> Path:
    """Write a page; the file has its name only when all of it is on the disk."""
    # the rows come last: what is before them keeps each array aligned for its type
    arrays = {
        "lengths": ("I64", [len(keys)], np.ascontiguousarray(lengths, np.int64).view(np.uint8)),
        "keys": ("U8", [len(keys), 16], np.ascontiguousarray(keys, KEY).view(np.uint8)),
        "rows": (NAMES[rows.dtype], list(rows.shape), _bytes_of(rows)),
    }
    tensors: dict[str, Any] = {}
    stop = 0
    for name, (dtype, shape, values) in arrays.items():
        start, stop = stop, stop + values.nbytes
        tensors[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
    digest = _digest(tensors)
    for _, _, values in arrays.values():
        digest.update(values.data)
    metadata = {"format": FORMAT, "checksum": digest.hexdigest()}
    header = json.dumps({"__metadata__": metadata, **tensors}).encode()
    header += b" " * (-(8 + len(header)) % 64)
    parts: list[Any] = [len(header).to_bytes(8, "little"), header]
    parts += [values.data for _, _, values in arrays.values()]
    path = folder / f"page-{uuid.uuid4().hex}.safetensors"
    write_whole(path, parts)
    return path


def open_page(path: Path, width: int, dtype: torch.dtype) -> Page:
    """Map a page, after a look at every byte of it.

    Raises
    ------
    DamagedPage
        Where it is not what was written.
    FileNotFoundError
        Where it is gone.
    """
    tensors, start, checksum = read_header(path)
    digest = _digest(tensors)
    with open(path, "rb") as file:
        file.seek(start)
        # read, not mapped: a checksum must not make the whole page resident
        buffer = bytearray(_CHUNK)
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
        if digest.hexdigest() != checksum:
            raise DamagedPage("its checksum is another")
        n_items, (n_rows, page_width) = tensors["keys"]["shape"][0], tensors["rows"]["shape"]
        if tensors["rows"]["dtype"] != NAMES[dtype] or page_width != width:
            raise DamagedPage(f"its rows are not {width} values of {dtype}")
        file.seek(start)
        lengths = np.frombuffer(file.read(8 * n_items), "<i8")
        keys = np.frombuffer(file.read(16 * n_items), KEY)
    start += 24 * n_items
    size = start + n_rows * width * dtype.itemsize
    # torch closes the file once it is mapped, and lets go of the mapping with the last tensor
    try:
        mapped = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    except RuntimeError as error:
        if path.exists():
            raise
        raise FileNotFoundError(errno.ENOENT, "the page is gone", str(path)) from error
    return Page(keys, lengths, mapped[start:].view(dtype).view(n_rows, width))


def read_header(path: Path) -> tuple[dict[str, Any], int, str]:
    """Return what a page says of its arrays, where these start, and the checksum.

    Raises
    ------
    DamagedPage
        Where that is no header of a page, or where the file has another size than it tells.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= size - 8:
            raise DamagedPage("it is cut short")
        text = file.read(length)
    try:
        tensors = json.loads(text)
        metadata = tensors.pop("__metadata__")
        counts = [*tensors["keys"]["shape"], *tensors["rows"]["shape"]]
        stop = tensors["rows"]["data_offsets"][1]
        if metadata["format"] != FORMAT or not all(type(count) is int for count in counts):
            raise DamagedPage(f"its header is not that of a {FORMAT}")
        if size != 8 + length + stop:
            raise DamagedPage(f"it has {size} bytes in place of {8 + length + stop}")
        return tensors, 8 + length, metadata["checksum"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise DamagedPage("its header can't be read") from error


def item_keys(offsets: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return a 128-bit hash of each item's token ids.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n + 1,)
        Where each item's ids begin.
    ids : ndarray of int64
        Token ids of all items, one item after the other.

    Returns
    -------
    ndarray of S16, shape (n,)
    """
    data = np.ascontiguousarray(ids, "<i8").view(np.uint8).data
    cuts = (8 * np.asarray(offsets)).tolist()
    return np.array(
        [xxhash.xxh3_128_digest(data[a:b]) for a, b in itertools.pairwise(cuts)], dtype=KEY
    )


class PageIndex:
    """Where the rows of each key are; row addresses count through all pages.

    Parameters
    ----------
    pages : iterable of Page

    Attributes
    ----------
    pages : list of Page
    bases : ndarray of int64, shape (P,)
        Address of the first row of each page.
    places : tuple of three ndarrays of int64
        Of each known key: its page, the address of its first row, and its rows.
    """

    def __init__(self, pages: Iterable[Page] = ()):
        self.pages = pages = list(pages)
        ends = np.cumsum([len(page.rows) for page in pages], dtype=np.int64)
        self.bases = ends - [len(page.rows) for page in pages]
        lengths = np.concatenate([np.zeros(0, np.int64), *(page.lengths for page in pages)])
        number = np.repeat(np.arange(len(pages)), [len(page.keys) for page in pages])
        first = np.cumsum(lengths) - lengths
        keys = np.concatenate([np.zeros(0, KEY), *(page.keys for page in pages)])
        self._keys, order = np.unique(keys, return_index=True)
        self.places = (number[order], first[order], lengths[order])

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the position of each key in `places`, and whether it is there."""
        if not len(self._keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
        at = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
        return at, self._keys[at] == keys

    def missing(self, keys: np.ndarray) -> np.ndarray:
        """Return the first position of each key that is in no page, in the order of `keys`."""
        lost = np.flatnonzero(~self.find(keys)[1])
        _, first = np.unique(keys[lost], return_index=True)
        return lost[np.sort(first)]


def _bytes_of(rows: torch.Tensor) -> np.ndarray:
    return rows.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()


def _digest(tensors: dict[str, Any]) -> Any:
    """Begin the checksum of a page with what its header says of the arrays."""
    return xxhash.xxh3_128(json.dumps(tensors, sort_keys=True).encode())
