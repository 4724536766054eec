"""Files and folders that are written whole or not at all, locks, free space and checksums."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

HASHED_AT_A_TIME = 1 << 20  # bytes
# error numbers of a full disk, an exhausted quota and a file above the size limit
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_whole(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file under a temporary name, then rename it, so that no reader sees a part of it."""
    unfinished = path.with_name(f"{uuid.uuid4().hex}.tmp")
    try:
        with open(unfinished, "xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until all files below a folder are on the disk, so that a power failure spares them."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Make an empty folder next to `target`, which becomes `target` at the end of the block.

    If the block raises, the new folder is deleted and `target` is left unchanged.

    Parameters
    ----------
    target : Path
        Absolute path. A folder at this path is replaced.

    Yields
    ------
    Path
        The new folder.
    """
    new = target.with_name(f".{target.name}.{uuid.uuid4().hex}.new")
    new.mkdir(parents=True)
    try:
        yield new
        _follow_umask(new)
        _replace(target, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _follow_umask(folder: Path) -> None:
    """Give all files in a new folder the modes that follow from its own, which the umask set.

    Libraries that write files and archives that are unpacked may have chosen other modes.
    """
    mode = folder.stat().st_mode & 0o777
    for path in folder.rglob("*"):
        found = path.lstat().st_mode
        wanted = mode if stat.S_ISDIR(found) else mode & 0o666
        if not stat.S_ISLNK(found) and found & 0o777 != wanted:
            path.chmod(stat.S_IMODE(found) & ~0o777 | wanted)


def _replace(target: Path, new: Path) -> None:
    """Rename `new` to `target`. In between, the previous folder is at `previous(target)`."""
    old = previous(target)
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):  # another process replaces it, too
            target.rename(old)
    try:
        new.rename(target)
    except OSError as error:
        # another process was faster, and its folder is as recent as this one
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    shutil.rmtree(old, ignore_errors=True)


def previous(target: Path) -> Path:
    """Return where the previous folder is if a process died while `new_folder` replaced it."""
    return target.with_name(f".{target.name}.old")


def remove_unfinished(target: Path) -> None:
    """Delete new folders of killed processes; to be called with the lock of `target`."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.new"):
        shutil.rmtree(left, ignore_errors=True)


def folder_below(memory: str | Path, name: str) -> Path:
    """Return the folder `name` below the folder that the user passed as `memory`.

    Raises
    ------
    TypeError, ValueError
        If `memory` is not a path, or if it is the path of a file.
    """
    if not isinstance(memory, str | Path):
        raise TypeError(f"memory must be the path of a folder, a str or a Path, got {memory!r}")
    path = Path(memory).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise ValueError(f"memory must be the path of a folder, got the file '{path}'")
    return path / name


def make_folder(folder: Path, root: Path, parameter: str) -> None:
    """Make a folder below `root` and its parents; see `unusable` for the error."""
    for n_left in reversed(range(10)):
        try:
            return folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            # another process that deletes empty folders may interfere, so try again
            if not n_left or not isinstance(error, FileNotFoundError | FileExistsError):
                raise unusable(root, parameter, error) from error


@contextlib.contextmanager
def locked(lock_file: Path, root: Path, parameter: str, wait: bool = True) -> Iterator[bool]:
    """Hold a lock between processes; a second process waits for it.

    Parameters
    ----------
    lock_file : Path
        File of the lock. Its folder is made if it does not exist.
    root : Path
        The folder that the user passed, for the error message.
    parameter : str
        Name of the parameter that received `root`, for the error message.
    wait : bool, default=True
        Whether to wait for a process that holds the lock.

    Yields
    ------
    bool
        Whether the lock is held, which it always is with `wait`.

    Raises
    ------
    OSError
        If the lock file cannot be created.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file)
    while not lock.is_locked:
        make_folder(lock_file.parent, root, parameter)
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except FileNotFoundError:
            continue  # another process deleted the folder in between
        except Timeout:
            yield False
            return
        except OSError as error:
            raise unusable(root, parameter, error) from error
    try:
        yield True
    finally:
        lock.release()


def unusable(root: Path, parameter: str, error: OSError) -> OSError:
    """Return the error to raise if a folder that the user passed cannot be written to."""
    return OSError(
        error.errno,
        f"{parameter} must be a folder that can be written to, got '{root}' ({error.strerror})",
    )


def check_space(folder: Path, n_bytes: int, what: str, parameter: str) -> None:
    """Raise an OSError if a folder has less than `n_bytes` of free space; see `no_space`."""
    if n_bytes > shutil.disk_usage(folder).free:
        raise no_space(folder, n_bytes, what, parameter)


def no_space(
    folder: Path, n_bytes: int, what: str, parameter: str, number: int = errno.ENOSPC
) -> OSError:
    """Return the error to raise if a folder has no space for `what`, of `n_bytes` bytes."""
    free = shutil.disk_usage(folder).free
    return OSError(
        number,
        f"no room in '{folder}' for {what}: {n_bytes:,} bytes needed, {free:,} bytes free; make "
        f"room, or give another folder as {parameter}",
    )


def add_to_digest(digest: Any, file: BinaryIO) -> None:
    """Let a hash object read the rest of a file, in parts that take little memory."""
    while part := file.read(HASHED_AT_A_TIME):
        digest.update(part)


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
