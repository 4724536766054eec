"""Archives that are unpacked whole or not at all, and never outside their folder."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PureWindowsPath
from typing import Any

from skrec._common.files import check_space, locked, new_folder, remove_unfinished
from skrec._common.messages import say
from skrec.datasets._web.download import state_file

_DAMAGE = (zipfile.BadZipFile, gzip.BadGzipFile, tarfile.TarError, zlib.error, EOFError)


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
        If the file is not an archive or is damaged, if a member is neither a file nor a folder, or
        if the path of a member leads out of the folder. Nothing is unpacked then.
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
                except _DAMAGE as error:
                    text = f"'{archive}' is not a .zip or .tar.gz file, or damaged: {error}"
                    raise ValueError(text) from error
                os.utime(new)
    return folder


def _extract(archive: Path, folder: Path) -> None:
    """Check all members of an archive, then extract them."""
    is_zip = zipfile.is_zipfile(archive)
    packed: Any = zipfile.ZipFile(archive) if is_zip else tarfile.open(archive, "r:gz")
    with packed:
        if is_zip:
            kinds = [stat.S_IFMT(info.external_attr >> 16) for info in packed.infolist()]
            plain = [kind in (0, stat.S_IFREG, stat.S_IFDIR) for kind in kinds]
            sizes = [(info.filename, info.file_size) for info in packed.infolist()]
        else:
            plain = [info.isfile() or info.isdir() for info in packed]
            sizes = [(info.name, info.size) for info in packed]
            packed.extraction_filter = tarfile.data_filter
            while packed.fileobj.read(1 << 20):
                pass  # the checksum of gzip comes last
        for (name, _), is_plain in zip(sizes, plain, strict=True):
            path = PureWindowsPath(name)  # it knows slashes, backslashes and drives
            if not is_plain:
                raise ValueError(f"'{archive}': {name!r} is no plain file or folder")
            if path.anchor or ".." in path.parts:
                raise ValueError(f"'{archive}': {name!r} leads out of its folder")
        n_bytes = sum(size for _, size in sizes)
        check_space(folder.parent, n_bytes, f"the contents of {archive.name}", "data_home")
        packed.extractall(folder)
