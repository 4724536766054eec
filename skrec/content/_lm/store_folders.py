"""What lies where below `memory`: a folder a prefix store, with pages, a description and a lock."""

from __future__ import annotations

import contextlib
import json
import re
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skrec._common import files
from skrec.content._lm.pages import PAGE_NAME, UNFINISHED_NAME

FORMAT = "skrec prefix store 1"
_STORE_NAME = re.compile(r"[0-9a-f]{32}")
_DESCRIPTION = "description.json"


def prefixes(memory: str | Path) -> Path:
    """Return the folder of all stores below `memory`; a TypeError or ValueError for no folder."""
    if not isinstance(memory, str | Path):
        raise TypeError(f"memory must be the path of a folder, a str or a Path, got {memory!r}")
    path = Path(memory).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise ValueError(f"memory must be the path of a folder, got the file '{path}'")
    return path / "prefix"


def stores(memory: str | Path) -> list[Path]:
    """Return the folders of the stores below `memory`."""
    root = prefixes(memory)
    if not root.is_dir():
        return []
    folders = (path for path in sorted(root.iterdir()) if _STORE_NAME.fullmatch(path.name))
    return [path for path in folders if path.is_dir()]


def pages_in(folder: Path) -> list[Path]:
    """Return the pages of a store."""
    return _named(folder, PAGE_NAME)


def unfinished_in(folder: Path) -> list[Path]:
    """Return files of a store that are being written, or whose writer was killed."""
    return _named(folder, UNFINISHED_NAME)


def files_in(folder: Path) -> list[Path]:
    """Return all files of a store that skrec wrote."""
    described = [folder / _DESCRIPTION] if read_description(folder) is not None else []
    return [*pages_in(folder), *unfinished_in(folder), *described]


def read_description(folder: Path) -> dict[str, Any] | None:
    """Return what a store says of itself; None where that is missing or not ours."""
    try:
        described = json.loads((folder / _DESCRIPTION).read_bytes())
    except (OSError, ValueError):
        return None
    ours = isinstance(described, dict) and described.get("format") == FORMAT
    return described if ours else None


def write_description(folder: Path, described: dict[str, Any]) -> None:
    """Write what a store says of itself, unless it is there."""
    if read_description(folder) is None:
        created = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"format": FORMAT, **described, "created": created}, indent=1)
        files.write_whole(folder / _DESCRIPTION, [text.encode()])


def make_folder(folder: Path) -> None:
    """Make the folder of a store."""
    files.make_folder(folder, folder.parents[1], "memory")


def locked(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a store; a second process waits for it."""
    return files.locked(_lock_path(folder), folder.parents[1], "memory")


def remove_lock(folder: Path) -> None:
    """Delete the lock that is held: one who waits sees that its file is gone, and takes another."""
    _lock_path(folder).unlink(missing_ok=True)


def remove_empty(folder: Path) -> None:
    """Delete a folder unless something is in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _named(folder: Path, name: re.Pattern[str]) -> list[Path]:
    try:
        return [path for path in sorted(folder.iterdir()) if name.fullmatch(path.name)]
    except FileNotFoundError:
        return []  # cleared
