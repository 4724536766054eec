"""Archives that are unpacked whole or not at all, and never outside their folder."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any, cast

from skrec._common.files import check_space, locked, new_folder, remove_unfinished
from skrec._common.messages import say
from skrec.datasets._web.download import state_file

MAX_MEMBERS = 1_000_000
MAX_READ = 1 << 20  # bytes that are read at a time; a header of a .tar file is much smaller
NOT_PLAIN = "is no plain file or folder"
# numbers of errors that names of members cause; damaged .gz files raise an OSError without number
NAMES = {
    *(None, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOENT),
    *(errno.EINVAL, errno.EILSEQ, errno.ENOTEMPTY),
}


class Refused(ValueError):
    """Error for a member of an archive that is never unpacked. Its message names the archive."""


def unpack(archive: Path, folder: Path, verbose: bool = False) -> Path:
    """Unpack a .zip or .tar.gz file, unless the folder exists and is not older than the file.

    Parameters
    ----------
    archive : Path
    folder : Path
        Folder for the contents. An older one is replaced.
    verbose : bool, default=False
        Whether to print a line.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    ValueError
        If the file is not an archive or is damaged, if a member is encrypted or is neither a file
        nor a folder, or if the path of a member leads out of the folder. Nothing is unpacked then.
    OSError
        If there is not enough free space, or if the folder cannot be written to.
    """

    def is_done() -> bool:
        return folder.is_dir() and folder.stat().st_mtime_ns >= archive.stat().st_mtime_ns

    if is_done():
        return folder  # also if the folder is read-only and can't be locked
    with locked(state_file(folder, "lock"), folder.parent, "data_home"):
        if not is_done():
            say(f"{archive.name}: unpacking", verbose)
            remove_unfinished(folder)
            with new_folder(folder) as new:
                try:
                    _extract(archive, new)
                except Refused:
                    raise
                except Exception as error:  # damaged archives raise errors of many classes
                    if isinstance(error, OSError) and error.errno not in NAMES:
                        raise
                    text = f"'{archive}' is not a .zip or .tar.gz file, or damaged: {error}"
                    raise ValueError(text) from error
                os.utime(new)
    return folder


def _extract(archive: Path, folder: Path) -> None:
    """Check all members of an archive, then extract them."""
    with contextlib.ExitStack() as stack:
        if zipfile.is_zipfile(archive):
            packed: Any = stack.enter_context(zipfile.ZipFile(archive))
            members = _members_of_zip(packed)
        else:
            unzipped = _Bounded(stack.enter_context(gzip.open(archive, "rb")))
            packed = stack.enter_context(tarfile.open(fileobj=cast(Any, unzipped), mode="r:"))
            packed.extraction_filter = tarfile.data_filter
            members = _members_of_tar(packed)
        n_bytes = n_members = 0
        for name, size, fault in members:
            path = PureWindowsPath(name)  # it knows slashes, backslashes and drives
            if path.anchor or ".." in path.parts:
                fault = "leads out of its folder"
            if fault:
                raise Refused(f"'{archive}': {name!r} {fault}")
            n_bytes, n_members = n_bytes + size, n_members + 1
            if n_members > MAX_MEMBERS:
                raise Refused(f"'{archive}' has more than {MAX_MEMBERS:,} members")
            check_space(folder.parent, n_bytes, f"the contents of {archive.name}", "data_home")
        packed.extractall(folder)


def _members_of_zip(packed: zipfile.ZipFile) -> Iterator[tuple[str, int, str]]:
    """Yield name, size and fault of each member of a .zip file."""
    for info in packed.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        fault = "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else NOT_PLAIN
        yield info.filename, info.file_size, "is encrypted" if info.flag_bits & 1 else fault


def _members_of_tar(packed: tarfile.TarFile) -> Iterator[tuple[str, int, str]]:
    """Yield name, size and fault of each member of a .tar file, then read it to its end."""
    for info in packed:
        is_plain = (info.isfile() and not info.issparse()) or info.isdir()
        yield info.name, info.size, "" if is_plain else NOT_PLAIN
    while packed.fileobj is not None and packed.fileobj.read(MAX_READ):
        pass  # the checksum of gzip comes last


class _Bounded:
    """A file that refuses to read many bytes at a time, as for a header that fills the memory."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes."""
        if not 0 <= size <= MAX_READ:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self.file.read(size)
