"""Folders of the prefix stores below `memory`: each has pages, a description and locks."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skrec._common import files
from skrec.content._lm.pages import PAGE_NAME, UNFINISHED_NAME, DamagedPage, open_regular

FORMAT = "skrec prefix store 1"
N_RANGES = 8  # ranges of keys, which as many processes can fill at the same time
_STORE_NAME = re.compile(r"[0-9a-f]{32}")
_DESCRIPTION = "description.json"
INDEX_NAME = "index.bin"
_MAX_DESCRIPTION = 1 << 20  # bytes


def prefix_folder(memory: str | Path) -> Path:
    """Return the folder of all stores below `memory`.

    Raises
    ------
    TypeError, ValueError
        If `memory` is not a path, or if it is the path of a file.
    """
    return files.folder_below(memory, "prefix")


def stores(memory: str | Path) -> list[Path]:
    """Return the folders of the stores below `memory`."""
    root = prefix_folder(memory)
    if not root.is_dir():
        return []
    folders = (path for path in sorted(root.iterdir()) if _STORE_NAME.fullmatch(path.name))
    return [path for path in folders if path.is_dir()]


def page_files(folder: Path) -> list[Path]:
    """Return the pages of a store."""
    return _named(folder, PAGE_NAME)


def unfinished_files(folder: Path) -> list[Path]:
    """Return the files of a store that are being written, or whose writer was killed."""
    return _named(folder, UNFINISHED_NAME)


def store_files(folder: Path) -> list[Path]:
    """Return all files of one store. Files that skrec did not write are left out."""
    described = [folder / _DESCRIPTION] if read_description(folder) is not None else []
    index = _named(folder, re.compile(re.escape(INDEX_NAME)))
    return [*page_files(folder), *unfinished_files(folder), *index, *described]


def read_description(folder: Path) -> dict[str, Any] | None:
    """Return the description of a store, or None if it is missing or was not written by skrec."""
    try:
        with open_regular(folder / _DESCRIPTION) as file:
            described = json.loads(file.read(_MAX_DESCRIPTION))
    except (OSError, ValueError, RecursionError, DamagedPage):
        return None
    known = isinstance(described, dict) and described.get("format") == FORMAT
    return described if known else None


def write_description(folder: Path, described: dict[str, Any]) -> None:
    """Write the description of a store, unless it exists."""
    if read_description(folder) is None:
        created = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"format": FORMAT, **described, "created": created}, indent=1)
        files.write_whole(folder / _DESCRIPTION, [text.encode()])


def make_folder(folder: Path) -> None:
    """Create the folder of a store."""
    files.make_folder(folder, folder.parents[1], "memory")


@contextlib.contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the locks of all ranges of a store. Another process waits for them.

    Parameters
    ----------
    folder : Path
        Folder of the store.
    wait : bool, default=True
        Whether to wait for processes that hold a lock.

    Yields
    ------
    bool
        Whether the locks are held, which they always are with `wait`.
    """
    with contextlib.ExitStack() as stack:
        # all processes take the locks in this order, and none that holds a lock waits for an
        # earlier one
        locks = (range_locked(folder, number, wait) for number in range(N_RANGES))
        yield all(stack.enter_context(lock) for lock in locks)


def range_locked(folder: Path, number: int, wait: bool = True) -> AbstractContextManager[bool]:
    """Return a context that holds the lock of one range of keys; see `locked`."""
    return files.locked(_lock_path(folder, number), folder.parents[1], "memory", wait)


def remove_lock(folder: Path) -> None:
    """Delete the lock files of a store, which the caller holds.

    A process that waits for the lock notices that the file is gone, and creates a new one.
    """
    for number in range(N_RANGES):
        _lock_path(folder, number).unlink(missing_ok=True)


def remove_empty(folder: Path) -> None:
    """Delete a folder if it is empty."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _lock_path(folder: Path, number: int) -> Path:
    """Return the path of the lock file of a range."""
    return folder.with_name(f"{folder.name}.{number}.lock" if number else f"{folder.name}.lock")


def _named(folder: Path, name: re.Pattern[str]) -> list[Path]:
    """Return the files of a folder whose names match a pattern, in sorted order.

    Pipes and folders with such a name were not written by skrec, and are left alone.
    """
    try:
        found = [path for path in sorted(folder.iterdir()) if name.fullmatch(path.name)]
        return [path for path in found if path.is_file()]
    except FileNotFoundError:
        return []  # deleted by another process
