"""Goodreads: books with descriptions, and what readers thought of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._bunch import DataBunch
from skrec.datasets._copies import kept_copy
from skrec.datasets._files import find_file
from skrec.datasets._headlines import check_real
from skrec.datasets._impressions import check_settings
from skrec.datasets._rated import as_category, bunch_of_ratings
from skrec.datasets._reading import Reading

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
N_SHELVES = 5  # of readers' shelves for a book, the most used ones
_TIME = "%a %b %d %H:%M:%S %z %Y"  # Mon Aug 01 13:41:57 -0700 2011
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
    """Read Goodreads, the whole or one genre, as a catalogue of books and impressions.

    Nothing is downloaded. A click is a rating of at least `threshold`; a book on a shelf without a
    rating, which the files have as 0, is met but no click. They become impressions by
    :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        The folder with ``goodreads_books_GENRE.json.gz`` and
        ``goodreads_interactions_GENRE.json.gz``, gzipped or not.
    genre : str, default=None
        The genre, as in the files' names, such as "poetry"; None where the folder has only one.
    threshold : float, default=4
        Lowest rating, of 1 to 5, that is a click.
    data_home : str or path-like, default=None
        Where a converted copy is kept for the next time, as :func:`get_data_home` takes it.
    verbose : bool, default=False
        Whether to print how far reading is.
    **settings : dict
        For :func:`impressions_from_clicks`, such as `min_clicks` and `n_negatives`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        items : Items
            The books: `title` and `description` (text), `publisher` and `language` (category) and
            `shelves` (multi-category: the five that most readers put it on).
        train, valid, test : pyarrow.Table
            Impressions, as :func:`impressions_from_clicks` makes them; the time of a rating is
            that of its last change.
        feature_names : list of str
            The content columns of `items`.
        DESCR : str
            What the data are, and what to cite.

    Raises
    ------
    FileNotFoundError
        Where a file is missing.
    ValueError
        For files that can't be read, and where no user has enough clicks.

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
    return kept_copy(
        "goodreads",
        path,
        {"genre": genre, "threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(
    folder: Path, reading: Reading, genre: str | None, threshold: float, **settings: Any
) -> DataBunch:
    ending = "*.json*" if genre is None else f"_{genre}.json*"
    books = find_file(folder, f"goodreads_books{ending}", what="the books")
    interactions = find_file(
        folder,
        f"goodreads_interactions{ending}",
        f"goodreads_reviews{ending}",
        what="the interactions",
    )
    events = reading.json_lines(interactions, _INTERACTIONS)
    events = events.rename_columns(["user_id", "item_id", "rating", "time"])
    try:
        times = pd.to_datetime(events["time"].to_pandas(), format=_TIME, utc=True)
    except ValueError as error:
        raise ValueError(f"{interactions}: date_updated: {error}") from error
    times = pa.array(times.dt.tz_localize(None)).cast(pa.timestamp("s"), safe=False)
    return bunch_of_ratings(
        _read_books(books, reading),
        events.set_column(3, "time", times),
        _DESCR.format(interactions=interactions, books=books),
        settings,
        threshold=threshold,
    )


def _read_books(file: Path, reading: Reading) -> pa.Table:
    table = reading.json_lines(file, _BOOKS)
    names = pc.list_slice(table["popular_shelves"], 0, N_SHELVES).combine_chunks()
    shelves = pa.ListArray.from_arrays(names.offsets, pc.struct_field(names.values, "name"))
    return pa.table(
        {
            "item_id": table["book_id"],
            "title": pc.fill_null(table["title"], ""),
            "description": pc.fill_null(table["description"], ""),
            "publisher": as_category(table["publisher"]),
            "language": as_category(table["language_code"]),
            "shelves": shelves,
        }
    )
