"""News and who read them, downloaded from their owners and read."""

from __future__ import annotations

import os
from typing import Any

from skrec.datasets._adressa import read_adressa
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._mind import read_mind
from skrec.datasets._web.archives import unpack
from skrec.datasets._web.fetching import choose, fetch_files
from skrec.datasets._web.sources import ADRESSA, MIND, XMIND
from skrec.datasets._xmind import read_xmind


def fetch_adressa(
    version: str = "one_week",
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    url: str | None = None,
    verbose: bool = True,
    **settings: Any,
) -> DataBunch:
    """Download Adressa, unless it is there, and read it.

    News of Adresseavisen in Norwegian, and who read them. Licence: CC BY-NC-SA 4.0, for research
    and not for commercial use; see https://reclab.idi.ntnu.no/dataset/.

    Parameters
    ----------
    version : str, default="one_week"
        "one_week" or "three_month".
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
        For :func:`read_adressa`, such as `min_clicks` and `n_negatives`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`read_adressa` returns.

    Raises
    ------
    ValueError
        For a version that there is not, and as :func:`read_adressa` does.
    OSError
        Where the files can't be had: a ConnectionError after the last attempt, where a later call
        goes on; a FileNotFoundError or PermissionError where the server refuses; another for a
        wrong checksum or a full disk.

    See Also
    --------
    read_adressa : The same for files that are there.

    Notes
    -----
    The owners publish no checksums: files are trusted when they first come. Their SHA-256 is
    written down then, and they must be the same ever after.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_adressa()  # doctest: +SKIP
    """
    files = ADRESSA[choose("version", version, ADRESSA)]
    folder = fetch_files(
        "adressa",
        version,
        files,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        url=url,
        verbose=verbose,
    )
    return read_adressa(folder / files[0].name, data_home=data_home, verbose=verbose, **settings)


def fetch_mind(
    version: str = "small",
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    url: str | None = None,
    verbose: bool = True,
    **settings: Any,
) -> DataBunch:
    """Download MIND, unless it is there, and read it.

    The files are copies that the Recommenders project publishes; Microsoft's own page asks you to
    agree to the terms first. Licence: the Microsoft Research License Terms, for research and not
    for commercial use; see https://github.com/msnews/MIND/blob/master/MSR%20License_Data.pdf.

    Parameters
    ----------
    version : str, default="small"
        "demo", "small", or "large", which has the part "test" without labels, too.
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
        For :func:`read_mind`, such as `valid_days`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`read_mind` returns.

    Raises
    ------
    ValueError
        For a version that there is not, and as :func:`read_mind` does.
    OSError
        Where the files can't be had: a ConnectionError after the last attempt, where a later call
        goes on; a FileNotFoundError or PermissionError where the server refuses; another for a
        wrong checksum or a full disk.

    See Also
    --------
    read_mind : The same for files that are there.

    Notes
    -----
    The owners publish no checksums: files are trusted when they first come. Their SHA-256 is
    written down then, and they must be the same ever after.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_mind("demo")  # doctest: +SKIP
    """
    files = MIND[choose("version", version, MIND)]
    folder = fetch_files(
        "mind",
        version,
        files,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        url=url,
        verbose=verbose,
    )
    return read_mind(folder, data_home=data_home, verbose=verbose, **settings)


def fetch_xmind(
    language: str,
    version: str = "small",
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    url: str | None = None,
    verbose: bool = True,
    **settings: Any,
) -> DataBunch:
    """Download MIND and its news in another language, unless they are there, and read them.

    Licence: CC BY-NC-SA 4.0 for the translations, see https://github.com/andreeaiana/xMIND; for
    MIND see :func:`fetch_mind`, whose files are shared with this.

    Parameters
    ----------
    language : str
        "cmn", "fin", "grn", "hat", "ind", "jpn", "kat", "ron", "som", "swh", "tam", "tha", "tur" or
        "vie".
    version : str, default="small"
        "small", or "large", which has the part "test" without labels, too.
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
        For :func:`read_xmind`, such as `valid_days`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`read_xmind` returns.

    Raises
    ------
    ValueError
        For a language or version that there is not, and as :func:`read_xmind` does.
    OSError
        Where the files can't be had: a ConnectionError after the last attempt, where a later call
        goes on; a FileNotFoundError or PermissionError where the server refuses; another for a
        wrong checksum or a full disk.

    See Also
    --------
    read_xmind : The same for files that are there.

    Notes
    -----
    The owners publish no checksums: files are trusted when they first come. Their SHA-256 is
    written down then, and they must be the same ever after.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_xmind("swh")  # doctest: +SKIP
    """
    languages = XMIND[choose("version", version, XMIND)]
    files = languages[choose("language", language, languages)]
    mind = fetch_files(
        "mind",
        version,
        MIND[version],
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        url=url,
        verbose=verbose,
    )
    folder = fetch_files(
        "xmind",
        f"{language}-{version}",
        files,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        url=url,
        verbose=verbose,
    )
    for file in files:
        unpack(folder / file.name, folder / file.name.removesuffix(".zip"), verbose=verbose)
    return read_xmind(folder, mind, data_home=data_home, verbose=verbose, **settings)
