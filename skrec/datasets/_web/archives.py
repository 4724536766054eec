"""Archives unpacked whole or not at all, and never outside of their folder."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from skrec._common.messages import say
from skrec.datasets._web.download import locked

_DAMAGE = (zipfile.BadZipFile, gzip.BadGzipFile, tarfile.TarError, zlib.error, EOFError)


def unpack(archive: Path, folder: Path, *, verbose: bool = False) -> Path:
    """Unpack a .zip or .tar.gz file, unless its folder is there and younger than it.

    Parameters
    ----------
    archive : Path
    folder : Path
        Where the contents go. They are unpacked beside it, and then it gets its name; one that is
        older than the archive is replaced.
    verbose : bool, default=False
        Whether a line is printed.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    ValueError
        For what is no archive, is damaged, or has a member that is no plain file or folder or
        whose path leads out of the folder; nothing is left then.
    OSError
        Where the disk is full or can't be written to.
    """
    if _is_done(archive, folder):
        return folder
    with locked(folder):
        if _is_done(archive, folder):
            return folder  # by another process, while this one waited
        for left in folder.parent.glob(f".{folder.name}.*"):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            say(f"{archive.name}: unpacking", verbose)
            _extract(archive, new)
            shutil.rmtree(folder, ignore_errors=True)
            os.utime(new)  # younger than the archive, whatever is inside
            new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return folder


def _is_done(archive: Path, folder: Path) -> bool:
    return folder.is_dir() and folder.stat().st_mtime_ns >= archive.stat().st_mtime_ns


def _extract(archive: Path, folder: Path) -> None:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                for info in packed.infolist():
                    kind = stat.S_IFMT(info.external_attr >> 16)
                    plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
                    _check_member(archive, info.filename, plain)
                _check_room(folder, (info.file_size for info in packed.infolist()))
                packed.extractall(folder)
        else:
            with gzip.open(archive) as stream, tarfile.open(fileobj=stream) as packed_tar:
                members = packed_tar.getmembers()
                for member in members:
                    _check_member(archive, member.name, member.isfile() or member.isdir())
                _check_room(folder, (member.size for member in members))
                packed_tar.extractall(folder, filter="data")
                while stream.read(1 << 20):
                    pass  # to its very end, where the checksum stands
    except _DAMAGE as error:
        raise ValueError(
            f"'{archive}' is not a .zip or .tar.gz file, or damaged: {error}"
        ) from error


def _check_member(archive: Path, name: str, plain: bool) -> None:
    """Raise for a link, a device, and a path that leads out of the folder."""
    path, other = PurePosixPath(name), PureWindowsPath(name)
    if not plain:
        raise ValueError(f"'{archive}': {name!r} is no plain file or folder; nothing is unpacked")
    if path.is_absolute() or other.anchor or ".." in other.parts:
        raise ValueError(f"'{archive}': {name!r} leads out of its folder; nothing is unpacked")


def _check_room(folder: Path, sizes: Iterable[int]) -> None:
    needed, free = sum(sizes), shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"{needed:,} bytes needed to unpack, {free:,} free in '{folder.parent}'; make room, or "
            "give another folder as data_home",
        )
