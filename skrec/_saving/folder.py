"""Folders that are written whole or not at all, and checked when they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skrec._common.files import new_folder, previous, sha256
from skrec._saving.codec import Damaged

CONTENTS = "skrec.json"  # what the folder holds, and checksums of it


def write_folder(path: Path, fill: Callable[[Path], dict[str, Any]]) -> None:
    """Write a folder beside its place, then put it there.

    Parameters
    ----------
    path : Path
        A new folder, or one of a saved recommender, which is replaced.
    fill : callable
        Writes files into the folder it is given, and returns what to say about them.

    Raises
    ------
    FileExistsError
        Where something else is at `path`.
    """
    path = path.expanduser().absolute()
    if path.exists() and not (path / CONTENTS).is_file() and not _is_empty(path):
        raise FileExistsError(
            f"'{path}' is not a saved recommender, so it is left alone; name another folder"
        )
    with new_folder(path) as new:
        about = fill(new)
        about["files"] = {name: sha256(new / name) for name in relative_files(new)}
        about["checksum"] = _own_digest(about)
        (new / CONTENTS).write_text(json.dumps(about, indent=1), encoding="utf-8")


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def find_folder(path: Path) -> Path:
    """Return where a saved recommender is: the one before, if its replacement was cut short."""
    path = path.expanduser().absolute()
    old = previous(path)
    if not path.exists() and (old / CONTENTS).is_file():
        return old
    if not path.exists():
        raise FileNotFoundError(f"there is no folder '{path}'")
    if not (path / CONTENTS).is_file():
        raise Damaged(f"'{path}' is not a saved recommender: it has no {CONTENTS}")
    return path


def read_contents(folder: Path) -> dict[str, Any]:
    """Return what a folder says of itself, with its files unchecked.

    Raises
    ------
    Damaged
        Where that is no JSON, or was changed by hand.
    """
    try:
        about = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        whole = about["checksum"] == _own_digest(about) and isinstance(about["files"], dict)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Damaged(f"'{folder / CONTENTS}' is damaged: {error!r}") from error
    if not whole:
        raise Damaged(f"'{folder / CONTENTS}' was changed after it was saved")
    return about


def check_files(folder: Path, about: dict[str, Any]) -> None:
    """Raise unless all files are there, as they were written, and no others.

    Raises
    ------
    Damaged
        Which names the file.
    """
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise Damaged(f"'{path}' is a link, which may lead anywhere")
    found = set(relative_files(folder)) - {CONTENTS}
    for name in sorted(set(about["files"]) - found):
        raise Damaged(f"'{folder}' lacks the file {name}")
    for name in sorted(found - set(about["files"])):
        raise Damaged(f"'{folder}' holds a file that was not saved with it: {name}")
    for name, wanted in about["files"].items():
        if sha256(folder / name) != wanted:
            raise Damaged(f"'{folder / name}' is damaged, or was changed after it was saved")


def relative_files(folder: Path) -> list[str]:
    """Return all files below a folder, as paths relative to it."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def _own_digest(about: dict[str, Any]) -> str:
    rest = {name: value for name, value in about.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
