"""Who watched and heard what, downloaded from their owners and read."""

from __future__ import annotations

import os
from typing import Any

from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._lastfm import read_lastfm
from skrec.datasets._microlens import read_microlens
from skrec.datasets._web.archives import unpack
from skrec.datasets._web.fetching import choose, fetch_files, folder_with
from skrec.datasets._web.sources import LASTFM, MICROLENS


def fetch_microlens(
    version: str = "100k",
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    url: str | None = None,
    verbose: bool = True,
    **settings: Any,
) -> DataBunch:
    """Download MicroLens, unless it is there, and read it.

    That is who watched what and the titles; no videos. Licence: for research, not for commercial
    use; see https://github.com/westlake-repl/MicroLens.

    Parameters
    ----------
    version : str, default="100k"
        "50k" or "100k".
    data_home : str or path-like, default=None
        Where the files and their converted copy are kept, as :func:`get_data_home` takes it.
    download_if_missing : bool, default=True
        Whether files that are not there are downloaded; False raises an OSError instead.
    n_retries : int, default=3
        Number of attempts after a first one that was cut or met a busy server.
    delay : float, default=1.0
        Seconds before the first of them; doubled before each further one.
    url : str, default=None
        The address of another folder, a mirror, that has the files under the same names.
    verbose : bool, default=True
        Whether the licence, once, and progress are printed.
    **settings : dict
        For :func:`read_microlens`, such as `min_clicks` and `n_negatives`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`read_microlens` returns.

    Raises
    ------
    ValueError
        For a version that there is not, and as :func:`read_microlens` does.
    OSError
        Where the files can't be had: a ConnectionError after the last attempt, where a later call
        goes on; a FileNotFoundError or PermissionError where the server refuses; another for a
        wrong checksum or a full disk.

    See Also
    --------
    read_microlens : The same for files that are there.

    Notes
    -----
    The owners publish no checksums: files are trusted when they first come. Their SHA-256 is
    written down then, and they must be the same ever after.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_microlens("50k")  # doctest: +SKIP
    """
    files = MICROLENS[choose("version", version, MICROLENS)]
    folder = fetch_files(
        "microlens",
        version,
        files,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        url=url,
        verbose=verbose,
    )
    return read_microlens(folder, data_home=data_home, verbose=verbose, **settings)


def fetch_lastfm(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    url: str | None = None,
    verbose: bool = True,
    **settings: Any,
) -> DataBunch:
    """Download Last.fm 360K, unless it is there, and read it.

    That is an archive of 0.6 GB, which unpacks to 1.6 GB. Licence: for non-commercial use; see
    https://zenodo.org/records/6090214.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Where the files and their converted copy are kept, as :func:`get_data_home` takes it.
    download_if_missing : bool, default=True
        Whether files that are not there are downloaded; False raises an OSError instead.
    n_retries : int, default=3
        Number of attempts after a first one that was cut or met a busy server.
    delay : float, default=1.0
        Seconds before the first of them; doubled before each further one.
    url : str, default=None
        The address of another folder, a mirror, that has the files under the same names.
    verbose : bool, default=True
        Whether the licence, once, and progress are printed.
    **settings : dict
        For :func:`read_lastfm`, such as `threshold` and `min_clicks`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`read_lastfm` returns.

    Raises
    ------
    ValueError
        For a setting that there is not, and as :func:`read_lastfm` does.
    OSError
        Where the files can't be had: a ConnectionError after the last attempt, where a later call
        goes on; a FileNotFoundError or PermissionError where the server refuses; another for a
        wrong checksum or a full disk.

    See Also
    --------
    read_lastfm : The same for files that are there.

    Notes
    -----
    The archive's MD5 is the one that Zenodo tells.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_lastfm(min_clicks=10)  # doctest: +SKIP
    """
    folder = fetch_files(
        "lastfm",
        "360k",
        LASTFM,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        url=url,
        verbose=verbose,
    )
    unpacked = unpack(folder / LASTFM[0].name, folder / "unpacked", verbose=verbose)
    return read_lastfm(
        folder_with(unpacked, "usersha1-artmbid-artname-plays.tsv"),
        data_home=data_home,
        verbose=verbose,
        **settings,
    )
