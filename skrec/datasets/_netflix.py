"""Reader of the Netflix Prize: films with title and year, and a hundred million ratings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.checks import check_real
from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import dataset_from_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.files import check_lines, find_file
from skrec.datasets._files.texts import as_category

_LINE = {"line": pa.string()}
_DESCR = """\
The Netflix Prize as impressions
--------------------------------
Stars that users gave to films from 1999 to 2005, read from
{path}

Licence      for research; the data are Netflix'
Get it       https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data
Cite         James Bennett, Stan Lanning. 2007. The Netflix Prize. KDD Cup and Workshop.
"""


def read_netflix(
    path: str | os.PathLike[str],
    *,
    threshold: float = 4,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **settings: Any,
) -> DataBunch:
    """Read the films and ratings of the Netflix Prize.

    Nothing is downloaded. A click is a rating of at least `threshold` stars. Ratings become
    impressions with :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        Folder with ``movie_titles.csv`` (or .txt), and either the files ``combined_data_1.txt``,
        ``combined_data_2.txt`` and so on, or the folder ``training_set`` with one file per film.
    threshold : float, default=4
        Lowest number of stars that is a click, in [1, 5].
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
            The films: `title` (text) and `year` (category, null if unknown).
        train, valid, test : pyarrow.Table
            Impressions, as returned by :func:`impressions_from_clicks`. Times are days. The
            clicks of a day are sorted by item id.
        feature_names : list of str
            Names of the content columns of `items`.
        DESCR : str
            Description of the data, and what to cite.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a line can't be read, with the file and the line in the message, or if no user has enough
        clicks.

    Notes
    -----
    The format is described in the README of the data set, and at
    https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data.

    References
    ----------
    James Bennett, Stan Lanning. 2007. The Netflix Prize. KDD Cup and Workshop.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_netflix("netflix-prize")  # doctest: +SKIP
    """
    check_real("threshold", threshold, 1, 5)
    settings = check_settings(**settings)
    return read_cached(
        "netflix",
        path,
        {"threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, converter: Converter, threshold: float, **settings: Any) -> DataBunch:
    """Read the films and the ratings of all files."""
    titles = find_file(folder, "movie_titles.csv", "movie_titles.txt", what="the films")
    parts = sorted(folder.glob("combined_data_*.txt")) or sorted(folder.glob("training_set/mv_*"))
    if not parts:
        raise FileNotFoundError(
            f"no ratings in {folder}: looked for combined_data_*.txt or training_set/mv_*.txt"
        )
    events = chain.from_iterable(_read_ratings(part, converter) for part in parts)
    return dataset_from_ratings(
        _read_films(titles, converter),
        converter.write("events", events),
        _DESCR.format(path=folder),
        settings,
        converter,
        threshold=threshold,
    )


def _read_films(file: Path, converter: Converter) -> pa.Table:
    """Read lines with an id, a year or NULL, and a title. Titles can contain commas."""
    lines = converter.read_table(file, _LINE, "\x1f")["line"].combine_chunks()
    is_valid = pc.match_substring_regex(lines, r"^\d+,(\d{4}|NULL),")
    is_valid = is_valid.to_numpy(zero_copy_only=False)
    check_lines(file, 0, lines, is_valid, "an id, a year and a title")
    fields = pc.split_pattern(lines, ",", max_splits=2)
    year = pc.list_element(fields, 1)
    year = pc.if_else(pc.equal(year, "NULL"), pa.scalar(None, pa.string()), year)
    return pa.table(
        {
            "item_id": pc.list_element(fields, 0).cast(pa.int64()),
            "title": pc.list_element(fields, 2),
            "year": as_category(pa.chunked_array([year])),
        }
    )


def _read_ratings(file: Path, converter: Converter) -> Iterator[pa.Table]:
    """Read lines such as "12:", which name a film, and the user,stars,day lines below each."""
    film = pa.array([], pa.int64())
    for n_before, table in converter.read_rows(file, _LINE, "\x1f"):
        lines = table["line"].combine_chunks()
        is_film = pc.ends_with(lines, ":").to_numpy(zero_copy_only=False)
        is_rating = pc.match_substring_regex(lines, r"^\d+,[1-5],\d{4}-\d{2}-\d{2}$")
        is_valid = is_film | is_rating.to_numpy(zero_copy_only=False)
        is_valid[0] &= is_film[0] or n_before > 0
        expected = "a film such as 12: or a user, stars and a day"
        check_lines(file, n_before, lines, is_valid, expected)
        names = pc.utf8_rtrim(lines.filter(pa.array(is_film)), ":")
        films = pa.concat_arrays([film, names.cast(pa.int64())])
        film = films[-1:]  # the next block can begin with ratings of this film
        fields = pc.list_flatten(pc.split_pattern(lines.filter(pa.array(~is_film)), ","))
        first = np.arange(0, len(fields), 3)
        user, stars, day = (fields.take(pa.array(first + at)) for at in range(3))
        # the first block has no film of an earlier block at position 0
        at = np.cumsum(is_film)[~is_film] - (not n_before)
        yield pa.table(
            {
                "user_id": user.cast(pa.int64()),
                "item_id": films.take(pa.array(at)),
                "rating": stars.cast(pa.float64()),
                "time": day.cast(pa.date32()).cast(pa.timestamp("s")),
            }
        )
