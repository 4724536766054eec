"""Reader of MovieLens: films, and the ratings of the users of movielens.org."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.checks import check_real
from skrec.datasets._clicks.impressions import check_settings, cut_table
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.files import AnyPath, find_layout, open_folder_or_zip

_LAYOUTS = {
    "100k": ("u.data", "u.item", "u.genre"),
    "1m, 10m": ("ratings.dat", "movies.dat"),
    "latest, 20m, 25m, 32m": ("ratings.csv", "movies.csv"),
}
_SEPARATORS = {".data": "\t", ".item": "|", ".genre": "|", ".dat": "::", ".csv": ","}
_RATINGS = {
    "userId": pa.int64(),
    "movieId": pa.int64(),
    "rating": pa.float64(),
    "timestamp": pa.int64(),
}
_GENRES_100K = {"genre": pa.string(), "flag": pa.int64()}
_FILMS_100K = {
    "movieId": pa.int64(),
    "title": pa.string(),
    "released": pa.string(),
    "on video": pa.string(),
    "url": pa.string(),
}
_FILMS = {"movieId": pa.int64(), "title": pa.string(), "genres": pa.string()}
# "Toy Story (1995)", "Land Before Time III (1995) (V)", "Fawlty Towers (1975-1979)", "Hyena Road"
_TITLE = r"^(?P<title>.*?)\s*(?:\((?P<year>\d{4})(?:[-–]\d{0,4})?\)(?:\s*\(T?V\))?)?\s*$"
_NO_GENRE = {"", "unknown", "(no genres listed)"}

_DESCR = """\
MovieLens as impressions
------------------------
Ratings of films by users of movielens.org, read from
{source}
in the layout of MovieLens {layout}.

Source       {n_ratings} ratings of {n_items} films by {n_raters} users
Clicks       ratings of at least {threshold:g}
Users        {n_users} with at least {min_clicks} clicks
Rows         {n_rows} impressions; of each user the last {n_test} clicks make test,
             the {n_valid} before them valid, and up to {n_train} before those train
Negatives    {n_negatives} for each click in train, {n_negatives_eval} in valid and test:
             films that the user never rated
History      the last {max_history} clicks before the first click of the part

Licence      for research; not for commercial use without permission of GroupLens, and not to be
             passed on except under the terms in the README of the data
Get it       https://grouplens.org/datasets/movielens/
Cite         F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and
             Context. ACM Transactions on Interactive Intelligent Systems 5, 4, Article 19.
             https://doi.org/10.1145/2827872
"""


def read_movielens(
    path: str | os.PathLike[str],
    *,
    threshold: float = 4,
    n_valid: int = 1,
    n_test: int = 2,
    n_train: int = 10,
    n_negatives: int = 4,
    n_negatives_eval: int = 20,
    max_history: int = 50,
    min_clicks: int = 8,
    first_only: bool = False,
    random_state: Any = 0,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
) -> DataBunch:
    """Read a MovieLens data set as a catalogue of films and impressions.

    Nothing is downloaded. A click is a rating of at least `threshold`. The clicks of each user are
    sorted by time, then by film id, and split into history, train, valid and test in this order.
    Each click of train, valid and test becomes an impression, in which the other candidates are
    sampled films that the user never rated.

    Parameters
    ----------
    path : str or path-like
        Unpacked folder or published .zip file of MovieLens 100K, 1M, 10M, 20M, 25M, 32M, latest or
        latest-small.
    threshold : float, default=4
        Lowest rating that is a click.
    n_valid, n_test : int, default=1, 2
        Number of clicks per user in valid and test. The latest clicks are in test.
    n_train : int, default=10
        Number of clicks per user in train. At most half of the clicks before valid are used, so
        that the other half can serve as history.
    n_negatives : int, default=4
        Number of negatives per impression in train.
    n_negatives_eval : int, default=20
        Number of negatives per impression in valid and test.
    max_history : int, default=50
        Maximum number of clicks in a history. The latest clicks are kept.
    min_clicks : int, default=8
        Minimum number of clicks per user. Users with fewer clicks are left out. It must be larger
        than `n_valid` + `n_test`.
    first_only : bool, default=False
        Whether to use only the first click of each user on each film. Otherwise, only ratings with
        the same user, film and time count once.
    random_state : int, RandomState instance, Generator or None, default=0
        Seed of the negatives and of the order of candidates. The same int gives the same data.
        `n_train` and `n_negatives` do not change valid and test.
    data_home : str or path-like, default=None
        Folder for the converted copy that later calls read. See :func:`get_data_home`.
    verbose : bool, default=False
        Whether to print progress.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        items : Items
            All films: `title` (text, without the year), `year` (category, null if unknown) and
            `genres` (multi-category, empty if the data contain "unknown" or "(no genres listed)").
            The year is not a number, because numbers must not be null. The ids are those of
            MovieLens.
        train, valid, test : pyarrow.Table
            One row per impression, sorted by user, then by time: `impression_id` (unique over the
            three tables), `user_id`, `time` (time of the click in UTC, in seconds), `history` (list
            of ids, oldest first), `candidates` (list of ids in random order) and `clicked` (list of
            0 and 1, with exactly one 1).
        feature_names : list of str
            Names of the content columns of `items`.
        DESCR : str
            Description of the data, their license, and what to cite.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist or contains none of the data sets.
    ValueError
        If a line can't be read, with the file and the line in the message; if no user has enough
        clicks; if a user has too few unrated films for the negatives; if a parameter is out of its
        range.
    TypeError
        If a count is not an int.

    See Also
    --------
    make_headlines : Generate data without any file.

    Notes
    -----
    Ratings of films that are not in the list of films are left out. Apart from the year, titles are
    not changed: "Usual Suspects, The". The format is described in the README of each data set, at
    https://grouplens.org/datasets/movielens/.

    References
    ----------
    F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context.
    ACM Transactions on Interactive Intelligent Systems 5, 4, Article 19.
    https://doi.org/10.1145/2827872
    """
    check_real("threshold", threshold, -math.inf)
    settings = {
        "n_valid": n_valid,
        "n_test": n_test,
        "n_train": n_train,
        "n_negatives": n_negatives,
        "n_negatives_eval": n_negatives_eval,
        "max_history": max_history,
        "min_clicks": min_clicks,
        "first_only": first_only,
        "random_state": random_state,
    }
    settings = check_settings(**settings)
    return read_cached(
        "movielens",
        path,
        {"threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(path: Path, converter: Converter, threshold: float, **settings: Any) -> DataBunch:
    """Read films and ratings, and make impressions."""
    from skrec._data.items import Items

    with open_folder_or_zip(path) as root:
        folder, layout = find_layout(root, _LAYOUTS, "MovieLens")
        films = _read_films(folder, layout, converter)
        ratings = _read_ratings(folder, layout, films["item_id"].to_numpy(), converter)
    clicks = ratings.filter(pc.greater_equal(ratings["rating"], threshold))
    item_ids = films["item_id"].combine_chunks()
    data = cut_table(clicks, ratings, item_ids, settings)[1].bunch()
    description = _DESCR.format(
        layout=layout,
        source=folder,
        n_ratings=ratings.num_rows,
        n_items=films.num_rows,
        n_raters=len(ratings["user_id"].unique()),
        threshold=threshold,
        n_users=data.n_users,
        n_rows=sum(data[name].num_rows for name in ("train", "valid", "test")),
        **settings,
    )
    return DataBunch(
        items=Items(films),
        train=data.train,
        valid=data.valid,
        test=data.test,
        feature_names=["title", "year", "genres"],
        DESCR=description,
    )


def _read_films(folder: AnyPath, layout: str, converter: Converter) -> pa.Table:
    """Read the columns of the catalogue, sorted by id."""
    file = folder / _LAYOUTS[layout][1]
    if layout == "100k":
        names = _parse(folder / "u.genre", _GENRES_100K, converter)["genre"]
        films = _parse(file, _FILMS_100K | dict.fromkeys(names.to_pylist(), pa.int8()), converter)
        flags = np.column_stack([films[name].to_numpy() for name in names.to_pylist()])
        genres = [names.filter(pa.array(row == 1)).to_pylist() for row in flags]
    else:
        films = _parse(file, _FILMS, converter)
        genres = [text.split("|") for text in films["genres"].to_pylist()]
    known = [[genre for genre in row if genre not in _NO_GENRE] for row in genres]
    titles = films["title"].to_pandas().str.extract(_TITLE)
    table = pa.table(
        {
            "item_id": films["movieId"],
            "title": pa.array(titles["title"], pa.string()),
            "year": pa.array(titles["year"], pa.string(), from_pandas=True).dictionary_encode(),
            "genres": pa.array(known, pa.list_(pa.string())),
        }
    )
    return table.sort_by("item_id")


def _read_ratings(
    folder: AnyPath, layout: str, item_ids: np.ndarray, converter: Converter
) -> pa.Table:
    """Read the ratings of known films."""
    table = _parse(folder / _LAYOUTS[layout][0], _RATINGS, converter)
    table = table.rename_columns(["user_id", "item_id", "rating", "time"])
    table = table.set_column(3, "time", table["time"].cast(pa.timestamp("s")))
    return table.filter(pa.array(np.isin(table["item_id"].to_numpy(), item_ids)))


def _parse(file: AnyPath, types: dict[str, pa.DataType], converter: Converter) -> pa.Table:
    """Read a file whose fields have these names and types, in order."""
    separator = _SEPARATORS[Path(file.name).suffix]
    is_csv = separator == ","
    return converter.read_table(file, types, separator, header=is_csv, quoted=is_csv)
