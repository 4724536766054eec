"""What all fetch_ functions do: bring those files of a data set that are not in `data_home`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from skrec._common.messages import say
from skrec.datasets._web.download import check_retries, download, fault, published_md5, unusable
from skrec.datasets._web.home import get_data_home
from skrec.datasets._web.sources import FAMILIES, File
from skrec.datasets._web.transfer import check_url


def choose(parameter: str, value: Any, table: Iterable[str]) -> str:
    """Return a value that a table has; a ValueError otherwise."""
    allowed = list(table)
    if value not in allowed:
        raise ValueError(f"{parameter} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def fetch_files(
    family: str,
    version: str,
    files: Sequence[File],
    *,
    data_home: str | os.PathLike[str] | None,
    download_if_missing: bool,
    n_retries: int,
    delay: float,
    url: str | None,
    verbose: bool,
) -> Path:
    """Bring those files of a data set that are not in `data_home`.

    Parameters
    ----------
    family, version : str
        Names of the folders below `data_home`.
    files : sequence of File
    data_home : str, path-like or None
    download_if_missing : bool
    n_retries : int
    delay : float
    url : str or None
        The address of another folder with files of these names.
    verbose : bool
        Whether the licence and progress are printed.

    Returns
    -------
    Path
        The folder with the files.

    Raises
    ------
    OSError
        Where a file is missing and is not to be downloaded, and as `download` does.
    """
    check_retries(n_retries, delay)
    if url is not None:
        check_url(url)
    try:
        folder = get_data_home(data_home) / family / version
    except OSError as error:
        raise unusable(Path(error.filename or str(data_home)), error) from error
    faults = {file: fault(folder / file.name, md5=file.md5, sha256=file.sha256) for file in files}
    missing = [file for file in files if faults[file]]
    if not missing:
        return folder
    about = FAMILIES[family]
    told = ", ".join(f"{file.name} {faults[file]}" for file in missing)
    if not download_if_missing:
        raise OSError(
            f"{about.title}: {told}, in '{folder}', and download_if_missing is False. See "
            f"{about.page}"
        )
    if "is damaged" in told:
        warnings.warn(f"{told}, in '{folder}'; downloaded again", stacklevel=3)
    say(f"{about.title}: {about.licence}. The terms: {about.terms}", verbose)
    for file in missing:
        address = f"{(url or file.folder).rstrip('/')}/{file.name}"
        md5 = file.md5
        if md5 is None and file.md5_beside:
            md5 = published_md5(f"{address}.md5", n_retries=n_retries, delay=delay)
        download(
            address,
            folder / file.name,
            md5=md5,
            sha256=file.sha256,
            n_retries=n_retries,
            delay=delay,
            help=f"See {about.page}: url= takes the address of another folder that has "
            f"{file.name}, or put the file into '{folder}'.",
            verbose=verbose,
        )
    return folder


def folder_with(root: Path, pattern: str) -> Path:
    """Return the folder below another that holds a file of this name."""
    found = sorted(path.parent for path in root.rglob(pattern) if path.is_file())
    if not found:
        inside = ", ".join(sorted(path.name for path in root.iterdir())[:10]) or "nothing"
        raise FileNotFoundError(f"no {pattern} below '{root}', which holds {inside}")
    return found[0]
