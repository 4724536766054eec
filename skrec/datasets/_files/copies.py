"""Converted copies of data sets, which are read from the owner's files only once.

A copy is a folder below `data_home`. It contains one Arrow file per table, the catalogue as
parquet, and ``copy.json``, which lists the source files. Arrow files are mapped into memory, so
tables can be larger than memory. Parquet files would have to be loaded.

A copy is written to a new folder, which is renamed when it is complete. A lock prevents that
several processes convert the same data set. If a process is killed, its new folder and its lock
file stay until the next reading of any data set, which removes them::

    hm-0123456789abcdef                   copy
    .hm-0123456789abcdef.<random>.new     folder that is being written
    .hm-0123456789abcdef.old              copy that is being replaced
    .hm-0123456789abcdef.lock             lock
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from skrec._common.files import locked, new_folder, previous, remove_unfinished
from skrec._common.messages import say, warn
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copy_folder import (
    FORMAT,
    DamagedCopy,
    flush_folder,
    open_copy,
    open_new,
    write_copy,
)
from skrec.datasets._web.home import get_data_home

N_ATTEMPTS = 3  # to read files that change while they are read
_LEFTOVER = re.compile(r"\.([a-z]+-[0-9a-f]{16})\.(?:[0-9a-f]{32}\.new|old|lock)")


def read_cached(
    family: str,
    path: str | os.PathLike[str],
    settings: dict[str, Any],
    read: Callable[..., DataBunch],
    *,
    data_home: str | os.PathLike[str] | None,
    verbose: bool,
) -> DataBunch:
    """Return a data set from its converted copy. If there is none, read the data set and write one.

    A copy is outdated if a source file has changed: if its size is another one, or if its time and
    its SHA-256 are other ones. A copy is damaged if its files differ from what was written. Nothing
    is cached if `settings` contain a generator or no seed.

    Parameters
    ----------
    family : str
        Name of the data set family, in lower-case letters.
    path : str or path-like
        Folder or file of the owner.
    settings : dict
        Parameters that the result depends on.
    read : callable
        Function that is called with `path`, a `Converter` and the settings, and returns the data.
        The paths of the files that were read are added to the data as `sources`.
    data_home : str, path-like or None
        Folder for the copies. See `get_data_home`. It can be read-only if it has a valid copy.
    verbose : bool
        Whether to print progress.

    Returns
    -------
    DataBunch

    Raises
    ------
    OSError
        If a copy can't be written to the given `data_home`. With the default folder, this is a
        warning. If a source file changes each time that it is read.

    Warns
    -----
    UserWarning
        If a copy is damaged. It is made again.
    """
    path = Path(path).expanduser().absolute()
    name = _copy_name(family, path, settings)
    if name is None:
        return _read_uncached(path, settings, read, verbose)
    with ExitStack() as stack:
        try:
            target = get_data_home(data_home) / name
            _remove_leftovers(target.parent)
            data = _open_valid(target)
            if data is None:
                stack.enter_context(_lock(target))
                data = _open_valid(target, is_locked=True)  # another process may have been faster
            if data is not None:
                return data
            stack.callback(flush_folder, target.parent)
            new = stack.enter_context(new_folder(target))
        except OSError as error:
            if data_home is not None:
                raise
            warn(f"no converted copy of {path} is kept: {error}")
            return _read_uncached(path, settings, read, verbose)
        data, converter = _read(path, settings, read, new, verbose, with_hashes=True)
        write_copy(new, name, data, converter)
        return open_new(new)


def _open_valid(target: Path, is_locked: bool = False) -> DataBunch | None:
    """Open a copy. Return None if it is missing, outdated or damaged."""
    try:
        return open_copy(target)
    except DamagedCopy as error:
        if is_locked:  # otherwise another process can be replacing it
            warn(f"the copy in '{target}' is damaged: {error}; it is made again")
        return None


@contextlib.contextmanager
def _lock(target: Path) -> Iterator[None]:
    """Hold the lock of a copy, and delete what killed processes left of it."""
    lock_file = _lock_file(target)
    with locked(lock_file, target.parent, "data_home"):
        _clean(target)
        try:
            yield
        finally:
            # a process that waits for the lock notices that the file is gone, and makes a new one
            with contextlib.suppress(OSError):
                lock_file.unlink(missing_ok=True)


def _remove_leftovers(home: Path) -> None:
    """Delete what killed processes left in a folder of copies, unless the folder is read-only."""
    from filelock import FileLock, Timeout

    try:
        found = [match[1] for match in map(_LEFTOVER.fullmatch, os.listdir(home)) if match]
    except OSError:
        return
    for name in set(found):
        lock = FileLock(_lock_file(home / name))
        # a process that is still running holds its lock
        with contextlib.suppress(OSError, Timeout), lock.acquire(blocking=False):
            _clean(home / name)
            Path(lock.lock_file).unlink(missing_ok=True)


def _lock_file(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


def _clean(target: Path) -> None:
    """Delete new folders of killed processes, and a copy that one of them was replacing."""
    remove_unfinished(target)
    if target.is_symlink() and not target.exists():
        target.unlink()  # a folder can't get the name of a broken link
    old = previous(target)
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)


def _read(
    path: Path,
    settings: dict[str, Any],
    read: Callable[..., DataBunch],
    folder: Path,
    verbose: bool,
    with_hashes: bool = False,
) -> tuple[DataBunch, Converter]:
    """Read a data set with a converter. Read it again if its files change meanwhile.

    Parameters
    ----------
    path, settings, read, verbose
        Parameters of `read_cached`.
    folder : Path
        Folder for the tables.
    with_hashes : bool, default=False
        Whether to compute the SHA-256 of all files that were read.
    """
    for n_left in reversed(range(N_ATTEMPTS)):
        for file in folder.iterdir():
            file.unlink()  # tables of the attempt before
        converter = Converter(folder, verbose)
        try:
            data = read(path, converter, **settings)
            if with_hashes:
                converter.hash_sources()
        except (OSError, ValueError):
            if not n_left or not converter.changed_sources():
                raise
        else:
            changed = converter.changed_sources()
            if not changed:
                data["sources"] = list(converter.sources)
                return data, converter
        say("files changed while they were read; they are read again", verbose and n_left > 0)
    raise OSError(
        f"'{changed[0]}' changed while it was read, {N_ATTEMPTS} times; call again when it is "
        "complete"
    )


def _read_uncached(
    path: Path, settings: dict[str, Any], read: Callable[..., DataBunch], verbose: bool
) -> DataBunch:
    """Read a data set without a copy. Its mapped tables stay readable when the files are gone."""
    with tempfile.TemporaryDirectory(prefix="skrec-", ignore_cleanup_errors=True) as folder:
        return _read(path, settings, read, Path(folder), verbose)[0]


def _copy_name(family: str, path: Path, settings: dict[str, Any]) -> str | None:
    """Return the folder name of a copy, or None if the result is random and can't be cached."""
    if settings.get("random_state", 0) is None:
        return None
    names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    try:
        described = json.dumps([FORMAT, family, str(path), names, settings], sort_keys=True)
    except TypeError:  # a generator
        return None
    return f"{family}-{hashlib.sha256(described.encode()).hexdigest()[:16]}"
