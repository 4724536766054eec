"""Data sets of ratings, downloaded from their owners and read."""

from __future__ import annotations

import os
from typing import Any

from skrec.datasets._amazon import read_amazon
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._goodreads import read_goodreads
from skrec.datasets._hotelrec import read_hotelrec
from skrec.datasets._movielens import read_movielens
from skrec.datasets._web.archives import unpack
from skrec.datasets._web.fetching import choose, fetch_files, folder_with
from skrec.datasets._web.sources import AMAZON, GOODREADS, HOTELREC, MOVIELENS


def fetch_movielens(
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
    """Download MovieLens from GroupLens, unless it is there, and read it.

    Licence: for research; not for commercial use without permission of GroupLens, and not to be
    passed on except under the terms in the README of the data; see
    https://grouplens.org/datasets/movielens/.

    Parameters
    ----------
    version : str, default="100k"
        "100k", "1m", "10m", "20m", "25m", "32m", "latest-small" or "latest".
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
        For :func:`read_movielens`, such as `threshold` and `n_negatives`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`read_movielens` returns.

    Raises
    ------
    ValueError
        For a version that there is not, and as :func:`read_movielens` does.
    OSError
        Where the files can't be had: a ConnectionError after the last attempt, where a later call
        goes on; a FileNotFoundError or PermissionError where the server refuses; another for a
        wrong checksum or a full disk.

    See Also
    --------
    read_movielens : The same for files that are there.

    Notes
    -----
    The MD5 of the numbered versions is known. Of the others it is read beside the file; where there
    is none, they are trusted when they first come: their SHA-256 is written down, and they must be
    the same ever after.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_movielens("100k")  # doctest: +SKIP
    """
    files = MOVIELENS[choose("version", version, MOVIELENS)]
    folder = fetch_files(
        "movielens",
        version,
        files,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        url=url,
        verbose=verbose,
    )
    return read_movielens(folder / files[0].name, data_home=data_home, verbose=verbose, **settings)


def fetch_amazon(
    category: str,
    version: str = "2023",
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    url: str | None = None,
    verbose: bool = True,
    **settings: Any,
) -> DataBunch:
    """Download Amazon reviews of one category, unless they are there, and read them.

    Licence: for research; the collectors, at the University of California San Diego, name none and
    ask to be cited; see https://amazon-reviews-2023.github.io/ and
    https://nijianmo.github.io/amazon/.

    Parameters
    ----------
    category : str
        The category, as in the files' names, such as "Video_Games".
    version : str, default="2023"
        "2023", or "2018": then the reviews of users and products that have five each ("5-core").
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
        For :func:`read_amazon`, such as `threshold` and `min_clicks`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`read_amazon` returns.

    Raises
    ------
    ValueError
        For a category or version that there is not, and as :func:`read_amazon` does.
    OSError
        Where the files can't be had: a ConnectionError after the last attempt, where a later call
        goes on; a FileNotFoundError or PermissionError where the server refuses; another for a
        wrong checksum or a full disk.

    See Also
    --------
    read_amazon : The same for files that are there.

    Notes
    -----
    The owners publish no checksums: files are trusted when they first come. Their SHA-256 is
    written down then, and they must be the same ever after.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_amazon("All_Beauty", min_clicks=5)  # doctest: +SKIP
    """
    categories = AMAZON[choose("version", version, AMAZON)]
    choose("category", category, categories)
    folder = fetch_files(
        "amazon",
        f"{category}-{version}",
        categories[category],
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        url=url,
        verbose=verbose,
    )
    return read_amazon(folder, category, data_home=data_home, verbose=verbose, **settings)


def fetch_goodreads(
    genre: str,
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    url: str | None = None,
    verbose: bool = True,
    **settings: Any,
) -> DataBunch:
    """Download Goodreads, the whole or one genre, unless it is there, and read it.

    Licence: for academic use; not to be passed on, not for commercial use; see
    https://mengtingwan.github.io/data/goodreads.

    Parameters
    ----------
    genre : str
        "children", "comics_graphic", "fantasy_paranormal", "history_biography",
        "mystery_thriller_crime", "poetry", "romance", "young_adult", or "all": 13 GB.
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
        For :func:`read_goodreads`, such as `threshold` and `min_clicks`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`read_goodreads` returns.

    Raises
    ------
    ValueError
        For a genre that there is not, and as :func:`read_goodreads` does.
    OSError
        Where the files can't be had: a ConnectionError after the last attempt, where a later call
        goes on; a FileNotFoundError or PermissionError where the server refuses; another for a
        wrong checksum or a full disk.

    See Also
    --------
    read_goodreads : The same for files that are there.

    Notes
    -----
    The owners publish no checksums. The SHA-256 of a genre's interactions is the one that others
    found; the other files are trusted when they first come: their SHA-256 is written down then, and
    they must be the same ever after.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_goodreads("poetry")  # doctest: +SKIP
    """
    files = GOODREADS[choose("genre", genre, GOODREADS)]
    folder = fetch_files(
        "goodreads",
        genre,
        files,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        url=url,
        verbose=verbose,
    )
    name = None if genre == "all" else genre
    return read_goodreads(folder, name, data_home=data_home, verbose=verbose, **settings)


def fetch_hotelrec(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    url: str | None = None,
    verbose: bool = True,
    **settings: Any,
) -> DataBunch:
    """Download HotelRec, unless it is there, and read it.

    That is an archive of 14 GB, which unpacks to 47 GB. Licence: for research; see
    https://github.com/Diego999/HotelRec.

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
        For :func:`read_hotelrec`, such as `threshold` and `min_clicks`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`read_hotelrec` returns.

    Raises
    ------
    ValueError
        For a setting that there is not, and as :func:`read_hotelrec` does.
    OSError
        Where the files can't be had: a ConnectionError after the last attempt, where a later call
        goes on; a FileNotFoundError or PermissionError where the server refuses; another for a
        wrong checksum or a full disk.

    See Also
    --------
    read_hotelrec : The same for files that are there.

    Notes
    -----
    The owners publish no checksums: files are trusted when they first come. Their SHA-256 is
    written down then, and they must be the same ever after.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_hotelrec()  # doctest: +SKIP
    """
    folder = fetch_files(
        "hotelrec",
        "full",
        HOTELREC,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
        url=url,
        verbose=verbose,
    )
    unpacked = unpack(folder / HOTELREC[0].name, folder / "unpacked", verbose=verbose)
    return read_hotelrec(
        folder_with(unpacked, "HotelRec*"), data_home=data_home, verbose=verbose, **settings
    )
