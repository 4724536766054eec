"""MovieLens as GroupLens publishes it, turned into impressions with sampled negatives."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._clicks.impressions import check_settings, impressions_from_clicks
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.copies import kept_copy
from skrec.datasets._files.files import find_folder, opened
from skrec.datasets._files.reading import Reading
from skrec.datasets._headlines.make import check_real

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
    random_state: Any = 0,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
) -> DataBunch:
    """Read a MovieLens data set as a catalogue of films and impressions.

    Nothing is downloaded. A click is a rating of at least `threshold`. The clicks of each user are
    ordered by time, then by film id, and cut into history, train, valid and test in this order;
    each click of a part becomes an impression, together with films that the user never rated.

    Parameters
    ----------
    path : str or path-like
        The unpacked folder, or the .zip file as published, of MovieLens 100K, 1M, 10M, 20M, 25M,
        32M, latest or latest-small.
    threshold : float, default=4
        Lowest rating that is a click.
    n_valid, n_test : int, default=1, 2
        Number of each user's last clicks that validate and test; those that test are the latest.
    n_train : int, default=10
        Number of clicks before them to train on; at most half of what is left, so that the others
        make a history.
    n_negatives : int, default=4
        Number of negatives of each impression in train.
    n_negatives_eval : int, default=20
        Number of negatives of each impression in valid and test.
    max_history : int, default=50
        Number of clicks kept in a history, the latest ones.
    min_clicks : int, default=8
        Users with fewer clicks are left out; more than `n_valid` + `n_test`.
    random_state : int, RandomState instance, Generator or None, default=0
        Seed of the negatives and of the order of candidates. The same int gives the same data, and
        `n_train` and `n_negatives` do not change what is drawn for valid and test.
    data_home : str or path-like, default=None
        Where a converted copy is kept for the next time, as :func:`get_data_home` takes it.
    verbose : bool, default=False
        Whether to print how far reading is.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        items : Items
            All films: `title` (text, without the year), `year` (category: for some films it is not
            known, and a null number would be an error) and `genres` (multi-category; empty where
            the data say "unknown" or "(no genres listed)"). Their ids are those of MovieLens.
        train, valid, test : pyarrow.Table
            One row an impression, by user, then by time: `impression_id` (no two alike in the three
            tables), `user_id`, `time` (of the click, in seconds, UTC), `history` (list of ids,
            oldest first), `candidates` (list of ids in random order) and `clicked` (list of 0 and
            1, of which one is 1).
        feature_names : list of str
            The content columns of `items`.
        DESCR : str
            What the data are, their licence, and what to cite.

    Raises
    ------
    FileNotFoundError
        Where `path` does not exist or holds none of the data sets.
    ValueError
        For a line that cannot be read, with file and line; where no user has enough clicks; where a
        user has rated so much that too few negatives are left; for a parameter out of its range.
    TypeError
        For a parameter of the wrong type.

    See Also
    --------
    make_headlines : Generated data that need no file.

    Notes
    -----
    Ratings of films that the list of films lacks are left out. Titles stay as they are published
    otherwise: "Usual Suspects, The". The format is described in the README of each data set, at
    https://grouplens.org/datasets/movielens/.

    References
    ----------
    F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context.
    ACM Transactions on Interactive Intelligent Systems 5, 4, Article 19.
    https://doi.org/10.1145/2827872
    """
    check_real("threshold", threshold, -math.inf, math.inf)
    settings = {
        "n_valid": n_valid,
        "n_test": n_test,
        "n_train": n_train,
        "n_negatives": n_negatives,
        "n_negatives_eval": n_negatives_eval,
        "max_history": max_history,
        "min_clicks": min_clicks,
        "random_state": random_state,
    }
    check_settings(**settings)
    return kept_copy(
        "movielens",
        path,
        {"threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(path: Path, reading: Reading, threshold: float, **settings: Any) -> DataBunch:
    from skrec._data.items import Items

    with opened(path) as root:
        folder, layout = find_folder(root, _LAYOUTS, "MovieLens")
        films = _read_films(folder, layout, reading)
        ratings = _read_ratings(folder, layout, films["item_id"].to_numpy(), reading)
    data = impressions_from_clicks(
        ratings.filter(pc.greater_equal(ratings["rating"], threshold)),
        seen=ratings,
        item_ids=films["item_id"].combine_chunks(),
        **settings,
    )
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


def _read_films(folder: Any, layout: str, reading: Reading) -> pa.Table:
    """Read the films, by id, with columns as Items reads them."""
    file = folder / _LAYOUTS[layout][1]
    if layout == "100k":
        names = _parse(folder / "u.genre", _GENRES_100K, reading)["genre"]
        films = _parse(file, _FILMS_100K | dict.fromkeys(names.to_pylist(), pa.int8()), reading)
        flags = np.column_stack([films[name].to_numpy() for name in names.to_pylist()])
        genres = [names.filter(pa.array(row == 1)).to_pylist() for row in flags]
    else:
        films = _parse(file, _FILMS, reading)
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


def _read_ratings(folder: Any, layout: str, item_ids: np.ndarray, reading: Reading) -> pa.Table:
    """Read the ratings of films that are listed."""
    table = _parse(folder / _LAYOUTS[layout][0], _RATINGS, reading)
    table = table.rename_columns(["user_id", "item_id", "rating", "time"])
    table = table.set_column(3, "time", table["time"].cast(pa.timestamp("s")))
    return table.filter(pa.array(np.isin(table["item_id"].to_numpy(), item_ids)))


def _parse(file: Any, types: dict[str, pa.DataType], reading: Reading) -> pa.Table:
    """Read a file whose fields, in order, have these names and types."""
    separator = _SEPARATORS[Path(file.name).suffix]
    is_csv = separator == ","
    return reading.table(file, types, separator, header=is_csv, quoted=is_csv)
