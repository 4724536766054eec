"""The Netflix Prize: a hundred million ratings of films that are known by title and year."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import as_category, bunch_of_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.copies import kept_copy
from skrec.datasets._files.files import check_lines, find_file
from skrec.datasets._files.reading import Reading
from skrec.datasets._headlines.make import check_real

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
    """Read the Netflix Prize's films and ratings.

    Nothing is downloaded. A click is a rating of at least `threshold` stars; ratings become
    impressions by :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        The folder with ``movie_titles.csv`` (or .txt), and either ``combined_data_1.txt`` and its
        like, or the folder ``training_set`` with a file for each film.
    threshold : float, default=4
        Lowest number of stars, of 1 to 5, that is a click.
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
            The films: `title` (text) and `year` (category; null where it is not known).
        train, valid, test : pyarrow.Table
            Impressions, as :func:`impressions_from_clicks` makes them; times are days, within
            which the order is that of the ids.
        feature_names : list of str
            The content columns of `items`.
        DESCR : str
            What the data are, and what to cite.

    Raises
    ------
    FileNotFoundError
        Where a file is missing.
    ValueError
        For a line that can't be read, with file and line, and where no user has enough clicks.

    Notes
    -----
    The format is described in the README that comes with it, and at
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
    return kept_copy(
        "netflix",
        path,
        {"threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, reading: Reading, threshold: float, **settings: Any) -> DataBunch:
    titles = find_file(folder, "movie_titles.csv", "movie_titles.txt", what="the films")
    parts = sorted(folder.glob("combined_data_*.txt")) or sorted(folder.glob("training_set/mv_*"))
    if not parts:
        raise FileNotFoundError(
            f"no ratings in {folder}: looked for combined_data_*.txt or training_set/mv_*.txt"
        )
    events = chain.from_iterable(_read_ratings(part, reading) for part in parts)
    return bunch_of_ratings(
        _read_films(titles, reading),
        reading.write("events", events),
        _DESCR.format(path=folder),
        settings,
        reading,
        threshold=threshold,
    )


def _read_films(file: Path, reading: Reading) -> pa.Table:
    """Read lines of an id, a year or NULL, and a title, which may have commas."""
    lines = reading.table(file, _LINE, "\x1f")["line"].combine_chunks()
    good = pc.match_substring_regex(lines, r"^\d+,(\d{4}|NULL),").to_numpy(zero_copy_only=False)
    check_lines(file, 0, lines, good, "an id, a year and a title")
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


def _read_ratings(file: Path, reading: Reading) -> Iterator[pa.Table]:
    """Read lines of a film, "12:", each followed by those of users: id, stars, day."""
    film = pa.array([], pa.int64())
    for n_before, table in reading.rows(file, _LINE, "\x1f"):
        lines = table["line"].combine_chunks()
        is_film = pc.ends_with(lines, ":").to_numpy(zero_copy_only=False)
        is_rating = pc.match_substring_regex(lines, r"^\d+,[1-5],\d{4}-\d{2}-\d{2}$")
        good = is_film | is_rating.to_numpy(zero_copy_only=False)
        good[0] &= is_film[0] or n_before > 0
        check_lines(file, n_before, lines, good, "a film such as 12: or a user, stars and a day")
        names = pc.utf8_rtrim(lines.filter(pa.array(is_film)), ":")
        films = pa.concat_arrays([film, names.cast(pa.int64())])
        film = films[-1:]  # the next block may go on with its ratings
        fields = pc.list_flatten(pc.split_pattern(lines.filter(pa.array(~is_film)), ","))
        each = np.arange(0, len(fields), 3)
        user, stars, day = (fields.take(pa.array(each + at)) for at in range(3))
        at = np.cumsum(is_film)[~is_film] - (not n_before)
        yield pa.table(
            {
                "user_id": user.cast(pa.int64()),
                "item_id": films.take(pa.array(at)),
                "rating": stars.cast(pa.float64()),
                "time": day.cast(pa.date32()).cast(pa.timestamp("s")),
            }
        )
