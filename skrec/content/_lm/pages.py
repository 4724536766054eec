"""Pages of the prefix store: safetensors files with a checksum, written whole or not at all."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import stat
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash

from skrec._common.files import add_to_digest, write_whole

PAGE_NAME = re.compile(r"page-[0-9a-f]{32}\.safetensors")
# files that are being written, or whose writer was killed
UNFINISHED_NAME = re.compile(r"[0-9a-f]{32}\.tmp")
FORMAT = "skrec prefix page 2"  # 1 did not name the store
DTYPE_NAMES = {
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.float32: "F32",
    torch.float64: "F64",
}
KEY_DTYPE = np.dtype("S16")
_MAX_HEADER = 1 << 20  # bytes


class DamagedPage(Exception):
    """Raised if a file is not a page of the store, or differs from what was written."""


@dataclass(frozen=True)
class Page:
    """An open page with the states of n items.

    Parameters
    ----------
    keys : ndarray of S16, shape (n,)
        Keys of the items, see `item_keys`.
    lengths : ndarray of int64, shape (n,)
        Number of rows of each item.
    rows : tensor of shape (lengths.sum(), width)
        Rows of all items, memory-mapped.
    stamp : tuple of (int, int)
        Size of the file, and time of its last change.
    """

    keys: np.ndarray
    lengths: np.ndarray
    rows: torch.Tensor
    stamp: tuple[int, int] = (0, 0)


def joined(pages: Sequence[Page]) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """Return the keys, lengths and rows of several pages, one page after another."""
    keys = np.concatenate([page.keys for page in pages])
    lengths = np.concatenate([page.lengths for page in pages])
    return keys, lengths, torch.cat([page.rows for page in pages])


def write_page(folder: Path, keys: np.ndarray, lengths: np.ndarray, rows: torch.Tensor) -> Path:
    """Write a page to a folder and return its path. A reader never sees an incomplete page.

    The page contains the name of its folder, which identifies the store. A page that comes from
    the store of another model is therefore not believed.
    """
    # in this order, each array starts at a multiple of the size of its numbers
    lengths, keys = np.ascontiguousarray(lengths, np.int64), np.ascontiguousarray(keys, KEY_DTYPE)
    arrays = {
        "lengths": ("I64", [len(keys)], lengths.view(np.uint8)),
        "keys": ("U8", [len(keys), 16], keys.view(np.uint8)),
        "rows": (DTYPE_NAMES[rows.dtype], list(rows.shape), _bytes_of(rows)),
    }
    tensors: dict[str, Any] = {}
    stop = 0
    for name, (dtype, shape, values) in arrays.items():
        start, stop = stop, stop + values.nbytes
        tensors[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
    digest = _digest(tensors, folder.name)
    metadata = {"format": FORMAT, "store": folder.name}
    for name, (_, _, values) in arrays.items():
        digest.update(values.data)
        metadata["index" if name == "keys" else "checksum"] = digest.hexdigest()
    header = json.dumps({"__metadata__": metadata, **tensors}).encode()
    header += b" " * (-(8 + len(header)) % 64)
    parts: list[Any] = [len(header).to_bytes(8, "little"), header]
    parts += [values.data for _, _, values in arrays.values()]
    path = folder / f"page-{uuid.uuid4().hex}.safetensors"
    write_whole(path, parts)
    return path


def open_page(path: Path, width: int, dtype: torch.dtype, verify: bool = False) -> Page:
    """Open a page through a memory map.

    Parameters
    ----------
    path : Path
        The page.
    width : int
        Size of a row.
    dtype : torch.dtype
        Type of the rows.
    verify : bool, default=False
        Whether to compare the rows with their checksum, too. That reads the whole file.

    Returns
    -------
    Page

    Raises
    ------
    DamagedPage
        If the keys and lengths, or with `verify` any byte, differ from what was written.
    FileNotFoundError
        If the file no longer exists.
    """
    tensors, start, checksums = read_header(path)
    n_items, (n_rows, page_width) = tensors["keys"]["shape"][0], tensors["rows"]["shape"]
    digest = _digest(tensors, path.parent.name)
    with open_regular(path) as file:
        file.seek(start)
        index, stamp = file.read(24 * n_items), stamp_of(os.fstat(file.fileno()))
        digest.update(index)
        if digest.hexdigest() != checksums.get("index", digest.hexdigest()):
            raise DamagedPage("the checksum of its keys is another")
        if verify or "index" not in checksums:  # earlier versions wrote no checksum of the keys
            # a checksum over the memory map would load the whole page into memory
            add_to_digest(digest, file)
            if digest.hexdigest() != checksums["checksum"]:
                raise DamagedPage("its checksum is another")
    if tensors["rows"]["dtype"] != DTYPE_NAMES[dtype] or page_width != width:
        raise DamagedPage(f"its rows are not {width} values of {dtype}")
    lengths = np.frombuffer(index, "<i8", n_items)
    keys = np.frombuffer(index, KEY_DTYPE, n_items, 8 * n_items)
    if (lengths < 0).any() or sum(lengths.tolist()) != n_rows:
        raise DamagedPage(f"its items have {sum(lengths.tolist())} rows, and it has {n_rows}")
    return Page(keys, lengths, map_rows(path, n_rows, width, dtype), stamp)


def stamp_of(found: os.stat_result) -> tuple[int, int]:
    """Return the size of a file and the time of its last change."""
    return found.st_size, found.st_mtime_ns


def map_rows(path: Path, n_rows: int, width: int, dtype: torch.dtype) -> torch.Tensor:
    """Return the rows (n_rows, width) of a page, which are at the end of its file, memory-mapped.

    Raises
    ------
    FileNotFoundError
        If the file no longer exists.
    """
    # torch closes the file after mapping it, and unmaps it when the last tensor is deleted
    try:
        size = path.stat().st_size
        mapped = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    except RuntimeError as error:
        if path.exists():
            raise
        raise FileNotFoundError(errno.ENOENT, "the page is gone", str(path)) from error
    start = size - n_rows * width * dtype.itemsize
    return mapped[start:].view(dtype).view(n_rows, width)


def check_page(path: Path) -> None:
    """Compare all bytes of a page with what was written.

    Raises
    ------
    DamagedPage
        If they differ.
    FileNotFoundError
        If the file does not exist.
    """
    rows = read_header(path)[0]["rows"]
    dtype = {name: each for each, name in DTYPE_NAMES.items()}[rows["dtype"]]
    open_page(path, rows["shape"][1], dtype, verify=True)


def read_header(path: Path) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Return the descriptions of a page's arrays, the offset of the first array, and the checksums.

    Raises
    ------
    DamagedPage
        If the file does not start with the header of a page of this store, or if its size does not
        match it.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size - 8, _MAX_HEADER):
            raise DamagedPage("it is cut short")
        text = file.read(length)
    try:
        tensors = json.loads(text)
        metadata = tensors.pop("__metadata__")
        if metadata["format"] != FORMAT:
            raise DamagedPage(f"its header is not that of a {FORMAT}")
        if metadata["store"] != path.parent.name:
            raise DamagedPage("it belongs to another store")
        stop = _check_arrays(tensors)
        if size != 8 + length + stop:
            raise DamagedPage(f"it has {size} bytes in place of {8 + length + stop}")
        checksums = {name: metadata[name] for name in metadata if name not in ("format", "store")}
        if checksums.keys() not in ({"checksum"}, {"checksum", "index"}):
            raise DamagedPage("its checksums can't be read")
        return tensors, 8 + length, checksums
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise DamagedPage("its header can't be read") from error


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading. A pipe or a folder is refused, and reading never waits.

    Raises
    ------
    DamagedPage
        If there is something else than a file.
    FileNotFoundError
        If there is nothing.
    """
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        number = os.open(path, os.O_RDONLY | flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_file():
            raise
        raise DamagedPage("it is not a file") from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise DamagedPage("it is not a file")
    return open(number, "rb")


def _check_arrays(tensors: dict[str, Any]) -> int:
    """Return the total size of a page's arrays; raise an error unless shapes and offsets agree."""
    n_items = tensors["keys"]["shape"][0]
    n_rows, width = tensors["rows"]["shape"]
    itemsize = {name: each.itemsize for each, name in DTYPE_NAMES.items()}[tensors["rows"]["dtype"]]
    counts = n_items, n_rows, width
    expected = {
        "lengths": ("I64", [n_items], 8 * n_items),
        "keys": ("U8", [n_items, 16], 16 * n_items),
        "rows": (tensors["rows"]["dtype"], [n_rows, width], itemsize * n_rows * width),
    }
    stop = 0
    for name, (dtype, shape, n_bytes) in expected.items():
        start, stop = stop, stop + n_bytes
        wanted = {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
        if tensors[name] != wanted or not all(type(each) is int and each >= 0 for each in counts):
            raise DamagedPage(f"the description of its {name} is wrong")
    return stop


def item_keys(offsets: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return a 128-bit hash of the token ids of each item.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n + 1,)
        Item i has the ids from ``offsets[i]`` up to ``offsets[i + 1]``.
    ids : ndarray of int64
        Token ids of all items, concatenated.

    Returns
    -------
    ndarray of S16, shape (n,)
    """
    data = np.ascontiguousarray(ids, "<i8").view(np.uint8).data
    cuts = (8 * np.asarray(offsets)).tolist()
    return np.array(
        [xxhash.xxh3_128_digest(data[a:b]) for a, b in itertools.pairwise(cuts)], dtype=KEY_DTYPE
    )


def _bytes_of(rows: torch.Tensor) -> np.ndarray:
    """Return the bytes of a tensor as an array of uint8."""
    return rows.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()


def _digest(tensors: dict[str, Any], store: str) -> Any:
    """Return a hash object that has read the name of a store and the descriptions of arrays."""
    return xxhash.xxh3_128(json.dumps([store, tensors], sort_keys=True).encode())
