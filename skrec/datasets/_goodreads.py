"""Reader of Goodreads: books with descriptions, and the ratings of their readers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.checks import check_real
from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import dataset_from_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.files import find_file
from skrec.datasets._files.texts import as_category, without_empty

_BOOKS = {
    **dict.fromkeys(["book_id", "title", "description", "publisher", "language_code"], pa.string()),
    "popular_shelves": pa.list_(pa.struct([("name", pa.string())])),
}
_INTERACTIONS = {
    "user_id": pa.string(),
    "book_id": pa.string(),
    "rating": pa.float64(),
    "date_updated": pa.string(),
}
N_SHELVES = 5  # number of shelves per book; the files list the most used shelves first
_TIME = (  # for instance Mon Aug 01 13:41:57 -0700 2011
    r"^\w{3} (?P<month>\w{3}) (?P<day>\d\d) "
    r"(?P<clock>[\d:]{8}) (?P<zone>[+-]\d{4}) (?P<year>\d{4})$"
)
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_DESCR = """\
Goodreads as impressions
------------------------
Ratings of books by readers of goodreads.com, read from
{interactions}
{books}

Licence      for academic use, not to be passed on, not for commercial use
Get it       https://mengtingwan.github.io/data/goodreads
Cite         Mengting Wan, Julian McAuley. 2018. Item Recommendation on Monotonic Behavior
             Chains. RecSys 2018.
             Mengting Wan, Rishabh Misra, Ndapa Nakashole, Julian McAuley. 2019. Fine-Grained
             Spoiler Detection from Large-Scale Review Corpora. ACL 2019.
"""


def read_goodreads(
    path: str | os.PathLike[str],
    genre: str | None = None,
    *,
    threshold: float = 4,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **settings: Any,
) -> DataBunch:
    """Read all of Goodreads or one genre: books and the ratings of their readers.

    Nothing is downloaded. A click is a rating of at least `threshold`. Books that a user has put on
    a shelf without a rating (rating 0 in the files) are not clicks, and are not used as negatives
    of the user. Ratings become impressions with :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        Folder with ``goodreads_books_GENRE.json.gz`` and
        ``goodreads_interactions_GENRE.json.gz``. The files can be uncompressed.
    genre : str, default=None
        Name of the genre in the file names, such as "poetry". It can be None if the folder contains
        only one genre.
    threshold : float, default=4
        Lowest rating that is a click, in [1, 5].
    data_home : str or path-like, default=None
        Folder for the converted copy that later calls read. See :func:`get_data_home`.
    verbose : bool, default=False
        Whether to print progress.
    **settings : dict
        Parameters of :func:`impressions_from_clicks`, such as `min_clicks` and `n_negatives`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        items : Items
            The books: `title` and `description` (text), `publisher` and `language` (category) and
            `shelves` (multi-category; the five shelves that most readers put the book on).
        train, valid, test : pyarrow.Table
            Impressions, as returned by :func:`impressions_from_clicks`. The time of a
            rating is the time of its last change.
        feature_names : list of str
            Names of the content columns of `items`.
        DESCR : str
            Description of the data, and what to cite.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file can't be read, or if no user has enough clicks.

    Notes
    -----
    The format is described at https://mengtingwan.github.io/data/goodreads.

    References
    ----------
    Mengting Wan, Julian McAuley. 2018. Item Recommendation on Monotonic Behavior Chains.
    RecSys 2018.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_goodreads("goodreads", "poetry")  # doctest: +SKIP
    """
    check_real("threshold", threshold, 1, 5)
    settings = check_settings(**settings)
    return read_cached(
        "goodreads",
        path,
        {"genre": genre, "threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(
    folder: Path, converter: Converter, genre: str | None, threshold: float, **settings: Any
) -> DataBunch:
    """Find the files of a genre, and read them."""
    ending = "*.json*" if genre is None else f"_{genre}.json*"
    books = find_file(folder, f"goodreads_books{ending}", what="the books")
    interactions = find_file(
        folder,
        f"goodreads_interactions{ending}",
        f"goodreads_reviews{ending}",
        what="the interactions",
    )
    tables = converter.read_json_lines(interactions, _INTERACTIONS)
    events = (_ratings(table, interactions) for table in tables)
    return dataset_from_ratings(
        _read_books(books, converter),
        converter.write("events", events),
        _DESCR.format(interactions=interactions, books=books),
        settings,
        converter,
        threshold=threshold,
    )


def _ratings(table: pa.Table, file: Path) -> pa.Table:
    """Return ratings with the column names and time type of events."""
    user, book, rating, time = table.columns
    return pa.table(
        {"user_id": user, "item_id": book, "rating": rating, "time": _times(time, file)}
    )


def _times(texts: pa.ChunkedArray, file: Path) -> pa.Array:
    """Convert times such as Mon Aug 01 13:41:57 -0700 2011 to timestamps in UTC."""
    texts = texts.combine_chunks()
    parts = pc.extract_regex(texts, _TIME)
    month, day, clock, zone, year = (
        pc.struct_field(parts, name) for name in ("month", "day", "clock", "zone", "year")
    )
    number = pc.index_in(month, value_set=pa.array(_MONTHS))
    if number.null_count:
        bad = texts.filter(pc.is_null(number))[0].as_py()
        raise ValueError(
            f"{file}: date_updated must be like Mon Aug 01 13:41:57 -0700 2011, got {bad!r}"
        )
    numbers = pa.array([f"{at:02}" for at in range(1, 13)]).take(number)
    days = pc.binary_join_element_wise(year, numbers, day, "-")
    times = pc.binary_join_element_wise(days, " ", clock, zone, "")
    try:
        return times.cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("s"))
    except pa.ArrowInvalid as error:
        raise ValueError(f"{file}: date_updated: {error}") from error


def _read_books(file: Path, converter: Converter) -> pa.Table:
    """Read the columns of the catalogue."""
    tables = converter.read_json_lines(file, _BOOKS)
    table = pa.concat_tables(_keep_top_shelves(table) for table in tables)
    return pa.table(
        {
            "item_id": table["book_id"],
            "title": pc.fill_null(table["title"], ""),
            "description": pc.fill_null(table["description"], ""),
            "publisher": as_category(table["publisher"]),
            "language": as_category(table["language_code"]),
            "shelves": without_empty(table["popular_shelves"]),
        }
    )


def _keep_top_shelves(table: pa.Table) -> pa.Table:
    """Replace the shelves of each book by the names of the first `N_SHELVES`."""
    names = pc.list_slice(table["popular_shelves"], 0, N_SHELVES).combine_chunks()
    shelves = pa.ListArray.from_arrays(names.offsets, pc.struct_field(names.values, "name"))
    at = table.column_names.index("popular_shelves")
    return table.set_column(at, "popular_shelves", shelves)
