"""Functions that download data sets from their owners and read them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any, TypeVar

from skrec._common.checks import check_choice, check_int, check_real
from skrec._common.messages import say, warn
from skrec.datasets._adressa import read_adressa
from skrec.datasets._amazon import read_amazon
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._goodreads import read_goodreads
from skrec.datasets._hotelrec import read_hotelrec
from skrec.datasets._lastfm import read_lastfm
from skrec.datasets._microlens import read_microlens
from skrec.datasets._mind import read_mind
from skrec.datasets._movielens import read_movielens
from skrec.datasets._web.archives import unpack
from skrec.datasets._web.download import SAFE, download, fault
from skrec.datasets._web.home import get_data_home
from skrec.datasets._web.sources import SOURCES
from skrec.datasets._xmind import read_xmind

F = TypeVar("F", bound=Callable[..., DataBunch])

_COMMON = """\
data_home : str or path-like, default=None
    Folder for the files and their converted copies. See :func:`get_data_home`.
download_if_missing : bool, default=True
    Whether to download missing files. If False, a missing file raises an OSError.
n_retries : int, default=3
    Number of further attempts after a cut connection or an answer of a busy server.
delay : float, default=1.0
    Seconds before the first further attempt. Each later attempt waits twice as long.
url : str, default=None
    Address of a mirror, which is a folder with files of the same names. It must begin with
    https://. http:// is allowed for this machine.
verbose : bool, default=True
    Whether to print the license and the progress.
**settings : dict
    Parameters of :func:`{reader}`.

Returns
-------
data : :class:`~sklearn.utils.Bunch`
    Result of :func:`{reader}`.

Raises
------
ValueError
    If a parameter is invalid, or as raised by :func:`{reader}`.
OSError
    If a file can't be downloaded: a ConnectionError after the last attempt, a FileNotFoundError or
    a PermissionError if the server refuses the file, and another OSError if a checksum is wrong or
    the disk is full. After a ConnectionError, the next call resumes the download.

See Also
--------
{reader} : Read files that are already there.
"""


def _fetch(
    family: str,
    keys: dict[str, str],
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    url: str | None = None,
    verbose: bool = True,
    **settings: Any,
) -> dict[str, Any]:
    """Download those files of a data set that are missing or damaged.

    Parameters
    ----------
    family : str
        Name in the table of sources.
    keys : dict of str to str
        Names and values of the parameters that choose the files, in the order of the table.

    Returns
    -------
    dict
        Parameters of the function that reads the files.
    """
    source, files = SOURCES[family], SOURCES[family].files
    for name, value in keys.items():
        check_choice(name, value, list(files))
        files = files[value]
    check_int("n_retries", n_retries, 0)
    check_real("delay", delay)
    if url is not None and not (isinstance(url, str) and SAFE.match(url)):
        raise ValueError(f"url must begin with https://, or http:// for this machine, got {url!r}")
    folder = get_data_home(data_home) / family / "-".join(reversed(keys.values()))
    help = f"See {source.page}: pass a mirror as url=, or put the file into '{folder}'."
    faults = {each: fault(folder / each.name, folder / each.name, each.checksum) for each in files}
    found = ", ".join(f"{file.name} {text}" for file, text in faults.items() if text)
    if found and not download_if_missing:
        raise OSError(f"{source.title}: {found}, and download_if_missing is False. {help}")
    if "is damaged" in found:
        warn(f"{found}, in '{folder}'; downloaded again")
    say(f"{source.title}: {source.license}. The terms: {source.terms}", verbose and bool(found))
    delays = [0.0, *(delay * 2**attempt for attempt in range(n_retries))]
    for file in (file for file in files if faults[file]):
        address = f"{(url or file.folder).rstrip('/')}/{file.name}"
        try:
            download(address, folder / file.name, file.checksum, delays, verbose)
        except OSError as error:
            text = f"{address}: {error.args[-1]}. {help}"
            raise type(error)(*error.args[:-1], text) from error
    path = folder / files[0].name if len(files) == 1 else folder
    if files[0].member:
        unpacked = unpack(path, folder / "unpacked", verbose)
        path = min(unpacked.rglob(files[0].member), default=unpacked / files[0].member).parent
    return {"path": path, "data_home": data_home, "verbose": verbose, **settings}


def _fetcher(function: F) -> F:
    """Add the common parameters to the signature and the docstring of a public function."""
    own, common = inspect.signature(function), inspect.signature(_fetch)
    shown = [p for p in own.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    shown += [p for p in common.parameters.values() if p.kind is not p.POSITIONAL_OR_KEYWORD]
    function.__signature__ = own.replace(parameters=shown)  # type: ignore[attr-defined]
    text = inspect.cleandoc(function.__doc__ or "").replace("{common}\n", _COMMON)
    function.__doc__ = text.replace("{reader}", function.__name__.replace("fetch_", "read_"))
    return function


@_fetcher
def fetch_adressa(version: str = "one_week", **options: Any) -> DataBunch:
    """Download Adressa, unless it is there, and read it.

    The data set contains Norwegian news of Adresseavisen and the clicks of readers. License:
    CC BY-NC-SA 4.0, for research and not for commercial use; see
    https://reclab.idi.ntnu.no/dataset/.

    Parameters
    ----------
    version : str, default="one_week"
        "one_week" or "three_month".
    {common}

    Notes
    -----
    The owners publish no checksums. The SHA-256 of the first download is recorded, and later
    downloads must match it.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_adressa()  # doctest: +SKIP
    """
    return read_adressa(**_fetch("adressa", {"version": version}, **options))


@_fetcher
def fetch_amazon(category: str, version: str = "2023", **options: Any) -> DataBunch:
    """Download the Amazon reviews of one category, unless they are there, and read them.

    License: for research. The collectors, at the University of California San Diego, name no
    license and ask for citations; see https://amazon-reviews-2023.github.io/ and
    https://nijianmo.github.io/amazon/.

    Parameters
    ----------
    category : str
        Name of the category as in the names of the files, for example "Video_Games".
    version : str, default="2023"
        "2023" or "2018". The reviews of 2018 are the "5-core": each user and each product has at
        least five of them.
    {common}

    Notes
    -----
    The owners publish no checksums. The SHA-256 of the first download is recorded, and later
    downloads must match it.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_amazon("All_Beauty", min_clicks=5)  # doctest: +SKIP
    """
    keys = {"version": version, "category": category}
    return read_amazon(category=category, **_fetch("amazon", keys, **options))


@_fetcher
def fetch_goodreads(genre: str, **options: Any) -> DataBunch:
    """Download one genre or all of Goodreads, unless it is there, and read it.

    License: for academic use; not to be passed on, not for commercial use; see
    https://mengtingwan.github.io/data/goodreads.

    Parameters
    ----------
    genre : str
        "children", "comics_graphic", "fantasy_paranormal", "history_biography",
        "mystery_thriller_crime", "poetry", "romance", "young_adult", or "all" (13 GB).
    {common}

    Notes
    -----
    The owners publish no checksums. The SHA-256 of the interactions of a genre was computed by
    others. For the other files, the SHA-256 of the first download is recorded, and later downloads
    must match it.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_goodreads("poetry")  # doctest: +SKIP
    """
    name = None if genre == "all" else genre
    return read_goodreads(genre=name, **_fetch("goodreads", {"genre": genre}, **options))


@_fetcher
def fetch_hotelrec(**options: Any) -> DataBunch:
    """Download HotelRec, unless it is there, and read it.

    The archive has 14 GB and unpacks to 47 GB. License: for research; see
    https://github.com/Diego999/HotelRec.

    Parameters
    ----------
    {common}

    Notes
    -----
    The owners publish no checksums. The SHA-256 of the first download is recorded, and later
    downloads must match it.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_hotelrec()  # doctest: +SKIP
    """
    return read_hotelrec(**_fetch("hotelrec", {"version": "full"}, **options))


@_fetcher
def fetch_lastfm(**options: Any) -> DataBunch:
    """Download Last.fm 360K, unless it is there, and read it.

    The archive has 0.6 GB and unpacks to 1.6 GB. License: for non-commercial use; see
    https://zenodo.org/records/6090214.

    Parameters
    ----------
    {common}

    Notes
    -----
    The MD5 of the archive is the one that Zenodo shows.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_lastfm(min_clicks=10)  # doctest: +SKIP
    """
    return read_lastfm(**_fetch("lastfm", {"version": "360k"}, **options))


@_fetcher
def fetch_microlens(version: str = "100k", **options: Any) -> DataBunch:
    """Download MicroLens, unless it is there, and read it.

    The files contain the clicks and the titles of the videos, but not the videos. License: for
    research, not for commercial use; see https://github.com/westlake-repl/MicroLens.

    Parameters
    ----------
    version : str, default="100k"
        "50k" or "100k".
    {common}

    Notes
    -----
    The owners publish no checksums. The SHA-256 of the first download is recorded, and later
    downloads must match it.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_microlens("50k")  # doctest: +SKIP
    """
    return read_microlens(**_fetch("microlens", {"version": version}, **options))


@_fetcher
def fetch_mind(version: str = "small", **options: Any) -> DataBunch:
    """Download MIND, unless it is there, and read it.

    The files are copies that the Recommenders project publishes. Microsoft's own page asks you to
    accept the terms first. License: the Microsoft Research License Terms, for research and not for
    commercial use; see https://github.com/msnews/MIND/blob/master/MSR%20License_Data.pdf.

    Parameters
    ----------
    version : str, default="small"
        "demo", "small" or "large". Only "large" has the part "test", which has no labels.
    {common}

    Notes
    -----
    The owners publish no checksums. The SHA-256 of the first download is recorded, and later
    downloads must match it.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_mind("demo")  # doctest: +SKIP
    """
    return read_mind(**_fetch("mind", {"version": version}, **options))


@_fetcher
def fetch_movielens(version: str = "100k", **options: Any) -> DataBunch:
    """Download MovieLens from GroupLens, unless it is there, and read it.

    License: for research. Commercial use needs the permission of GroupLens, and the data can be
    passed on only under the terms in their README; see https://grouplens.org/datasets/movielens/.

    Parameters
    ----------
    version : str, default="100k"
        "100k", "1m", "10m", "20m", "25m", "32m", "latest-small" or "latest".
    {common}

    Notes
    -----
    The MD5 of the numbered versions is known. The MD5 of the others is read from the server. If the
    server has none, the SHA-256 of the first download is recorded, and later downloads must match
    it.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_movielens("100k")  # doctest: +SKIP
    """
    return read_movielens(**_fetch("movielens", {"version": version}, **options))


@_fetcher
def fetch_xmind(language: str, version: str = "small", **options: Any) -> DataBunch:
    """Download MIND and its news in another language, unless they are there, and read them.

    License: CC BY-NC-SA 4.0 for the translations; see https://github.com/andreeaiana/xMIND. The
    files of MIND are shared with :func:`fetch_mind`, which names their license.

    Parameters
    ----------
    language : str
        "cmn", "fin", "grn", "hat", "ind", "jpn", "kat", "ron", "som", "swh", "tam", "tha", "tur" or
        "vie".
    version : str, default="small"
        "small" or "large". Only "large" has the part "test", which has no labels.
    {common}

    Notes
    -----
    The owners publish no checksums. The SHA-256 of the first download is recorded, and later
    downloads must match it.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.fetch_xmind("swh")  # doctest: +SKIP
    """
    found = _fetch("xmind", {"version": version, "language": language}, **options)
    mind = _fetch("mind", {"version": version}, **options)["path"]
    return read_xmind(mind=mind, **found)
