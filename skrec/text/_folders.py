"""Folders of written texts below `memory`, which are listed and deleted here."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skrec._common import files
from skrec.text._memory import DESCRIPTION, FORMAT, TEXTS, lock_path, locked, text_of

_FOLDER = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"[0-9a-f]{32}\.(jsonl|tmp)")
_MAX_DESCRIPTION = 1 << 20  # bytes


def text_folders(memory: str | Path) -> list[Path]:
    """Return the folders of texts below `memory`.

    Raises
    ------
    TypeError, ValueError
        If `memory` is not a path, or if it is the path of a file.
    """
    root = files.folder_below(memory, TEXTS)
    found = sorted(root.iterdir()) if root.is_dir() else []
    return [path for path in found if _FOLDER.fullmatch(path.name) and _description(path)]


def describe(folder: Path) -> dict[str, Any]:
    """Return what identifies the model, the number of texts, the size and the age of a folder."""
    keys: set[str] = set()
    n_bytes = 0
    for path in _files(folder):
        with contextlib.suppress(FileNotFoundError):  # merged or deleted by another process
            n_bytes += path.stat().st_size
            if path.suffix == ".jsonl":
                keys.update(*map(text_of, path.read_bytes().split(b"\n")))
    # read last: it is gone if another process has deleted the folder
    with contextlib.suppress(FileNotFoundError):
        seconds = int((folder / DESCRIPTION).stat().st_mtime)
        return {
            "model": (_description(folder) or {}).get("writer"),
            "n_items": len(keys),
            "bytes": n_bytes,
            "created": datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds"),
        }
    return {}


def delete(folder: Path) -> int:
    """Delete the texts of a folder, and return the number of bytes. Other files are not deleted.

    If another process is writing texts to the folder, wait for it.
    """
    freed = 0
    with locked(folder):
        for path in _files(folder):
            freed += path.stat().st_size
            path.unlink()
        with contextlib.suppress(OSError):  # not empty, as it has files of others
            folder.rmdir()
        lock_path(folder).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
    return freed


def _files(folder: Path) -> list[Path]:
    """Return the files that skrec wrote to a folder."""
    try:
        found = [path for path in sorted(folder.iterdir()) if _FILE.fullmatch(path.name)]
    except FileNotFoundError:
        return []  # deleted by another process
    found.append(folder / DESCRIPTION)
    return [path for path in found if path.is_file() and not path.is_symlink()]


def _description(folder: Path) -> dict[str, Any] | None:
    """Return the description of a folder, or None if it has none that skrec wrote."""
    path = folder / DESCRIPTION
    try:
        if not path.is_file() or path.is_symlink():
            return None
        with open(path, "rb") as file:
            found = json.loads(file.read(_MAX_DESCRIPTION))
    except (OSError, ValueError, RecursionError):
        return None
    known = isinstance(found, dict) and found.get("format") == FORMAT
    return found if known else None
