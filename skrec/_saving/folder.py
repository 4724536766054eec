"""Folders of saved recommenders, which are written atomically and checked when read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from skrec._common.files import (
    locked,
    new_folder,
    previous,
    remove_unfinished,
    sha256,
    sync_folder,
)
from skrec._saving.codec import Damaged

CONTENTS = "skrec.json"  # format, versions, and checksums of all files
MAX_JSON = 4 << 30  # bytes of a JSON file
N_ATTEMPTS = 3  # to read a folder before others that save to it must wait
T = TypeVar("T")


def write_folder(path: Path, fill: Callable[[Path], dict[str, Any]]) -> None:
    """Write files to a temporary folder next to `path`, then rename it to `path`.

    Parameters
    ----------
    path : Path
        A new folder, an empty one, or a saved recommender, which is replaced.
    fill : callable
        Function that writes files to the folder that it receives, and returns a description of
        them. The description is written to `CONTENTS`, with checksums.

    Raises
    ------
    FileExistsError
        If `path` exists and is neither empty nor a saved recommender.
    """
    path = path.expanduser().absolute()
    check_replaceable(path)
    with saving_to(path):
        remove_unfinished(path)
        with new_folder(path) as new:
            about = fill(new)
            about["files"] = {name: sha256(new / name) for name in relative_files(new)}
            about["checksum"] = _own_digest(about)
            (new / CONTENTS).write_text(json.dumps(about, indent=1), encoding="utf-8")
            sync_folder(new)


def check_replaceable(path: Path) -> None:
    """Raise a FileExistsError if something is at a path that skrec has not saved there."""
    if path.exists() and not (path / CONTENTS).is_file() and not _is_empty(path):
        raise FileExistsError(
            f"'{path}' is not a saved recommender, so it is left alone; name another folder"
        )


@contextlib.contextmanager
def saving_to(path: Path, parameter: str = "path") -> Iterator[None]:
    """Hold the lock of a folder, so that one process at a time saves to it.

    Parameters
    ----------
    path : Path
        The folder.
    parameter : str, default="path"
        Name of the parameter that received it, for the error message.

    Yields
    ------
    None
    """
    lock = path.with_name(f".{path.name}.lock")
    with locked(lock, path.parent, parameter):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)  # a process that waits makes another one


def while_replaced(path: Path, read: Callable[[Path], T]) -> T:
    """Read a saved recommender, and read it again if it was replaced meanwhile.

    Parameters
    ----------
    path : Path
        Absolute path that the user passed.
    read : callable
        Function of the folder.

    Returns
    -------
    object
        Result of `read`, for a folder that was there from the beginning to the end.

    Raises
    ------
    FileNotFoundError
        If there is no folder.
    Damaged
        If the folder is not a saved recommender.
    """
    for _ in range(N_ATTEMPTS):
        before = _version(path)
        try:
            found = read(find_folder(path))
        except Exception:
            if before == _version(path) is not None:
                raise
            if before is None and not _is_replaced(path):
                raise
        else:
            if before is not None and before == _version(path):
                return found
            if before is None and not path.exists():
                return found  # the previous one, whose replacement died
    with saving_to(path):  # others save all the time, so let them wait
        return read(find_folder(path))


def _version(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a folder is replaced, or None if there is no folder."""
    try:
        found = os.stat(path / CONTENTS)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _is_replaced(path: Path) -> bool:
    """Whether a process replaces a folder right now, or has just done so."""
    lock = path.with_name(f".{path.name}.lock")
    return lock.exists() or previous(path).exists() or path.exists()


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def find_folder(path: Path) -> Path:
    """Return the folder of a saved recommender.

    If a process died while it replaced a saved recommender, this is the previous one, under a
    temporary name.

    Parameters
    ----------
    path : Path
        Path that the user passed.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If there is no folder.
    Damaged
        If the folder is not a saved recommender.
    """
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
    """Return the description of a folder, without a check of its files.

    Parameters
    ----------
    folder : Path
        Folder of a saved recommender.

    Returns
    -------
    dict

    Raises
    ------
    Damaged
        If the description is not valid JSON, or its checksum is wrong.
    """
    try:
        about = read_json(folder / CONTENTS)
        whole = about["checksum"] == _own_digest(about) and isinstance(about["files"], dict)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Damaged(f"'{folder / CONTENTS}' is damaged: {error!r}") from error
    if not whole:
        raise Damaged(f"'{folder / CONTENTS}' was changed after it was saved")
    return about


def check_files(folder: Path, about: dict[str, Any]) -> None:
    """Compare the files of a folder with the checksums in its description.

    Parameters
    ----------
    folder : Path
        Folder of a saved recommender.
    about : dict
        Its description, as returned by `read_contents`.

    Raises
    ------
    Damaged
        If a file was changed, is missing, is a link, or was not saved with the others. The message
        names the file.
    """
    os.listdir(folder)  # an error if the folder is unreadable; rglob would find nothing
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise Damaged(f"'{path}' is a link, which may lead anywhere")
        if not (path.is_dir() or path.is_file()):
            raise Damaged(f"'{path}' is neither a file nor a folder")
        if path.is_dir():
            os.listdir(path)
    found = set(relative_files(folder)) - {CONTENTS}
    for name in sorted(set(about["files"]) - found):
        raise Damaged(f"'{folder}' lacks the file {name}")
    for name in sorted(found - set(about["files"])):
        raise Damaged(f"'{folder}' holds a file that was not saved with it: {name}")
    for name, wanted in about["files"].items():
        if sha256(folder / name) != wanted:
            raise Damaged(f"'{folder / name}' is damaged, or was changed after it was saved")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises
    ------
    Damaged
        If the file is not JSON, is too large, or is nested too deeply.
    """
    size = path.stat().st_size
    if size > MAX_JSON:
        raise Damaged(f"'{path}' has {size:,} bytes, more than {MAX_JSON:,}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Damaged(f"'{path}' is damaged: {error!r}") from error


def relative_files(folder: Path) -> list[str]:
    """Return all files below a folder, as paths relative to it."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def _own_digest(about: dict[str, Any]) -> str:
    """Return the SHA-256 of a description, without its own checksum."""
    rest = {name: value for name, value in about.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
