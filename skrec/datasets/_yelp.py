"""Yelp's open data set: businesses, and what users thought of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import as_category, bunch_of_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.copies import kept_copy
from skrec.datasets._files.files import find_file
from skrec.datasets._files.reading import Reading
from skrec.datasets._headlines.make import check_real

_BUSINESSES = dict.fromkeys(["business_id", "name", "city", "state", "categories"], pa.string())
_REVIEWS = {
    "user_id": pa.string(),
    "business_id": pa.string(),
    "stars": pa.float64(),
    "date": pa.timestamp("s"),
}
_DESCR = """\
Yelp Open Dataset as impressions
--------------------------------
Stars that users gave to businesses, read from
{path}

Licence      Yelp Dataset User Agreement: for personal, educational and academic use
Get it       https://business.yelp.com/data/resources/open-dataset/
"""


def read_yelp(
    path: str | os.PathLike[str],
    *,
    threshold: float = 4,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **settings: Any,
) -> DataBunch:
    """Read Yelp's open data set as a catalogue of businesses and impressions.

    Nothing is downloaded. A click is a review of at least `threshold` stars; reviews become
    impressions by :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        The folder with ``yelp_academic_dataset_business.json`` and
        ``yelp_academic_dataset_review.json``, gzipped or not.
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
            The businesses: `name` (text), `city` and `state` (category) and `categories`
            (multi-category).
        train, valid, test : pyarrow.Table
            Impressions, as :func:`impressions_from_clicks` makes them.
        feature_names : list of str
            The content columns of `items`.
        DESCR : str
            What the data are, and their licence.

    Raises
    ------
    FileNotFoundError
        Where a file is missing.
    ValueError
        For files that can't be read, and where no user has enough clicks.

    Notes
    -----
    The format is described at https://business.yelp.com/data/resources/open-dataset/.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_yelp("yelp_dataset")  # doctest: +SKIP
    """
    check_real("threshold", threshold, 1, 5)
    settings = check_settings(**settings)
    return kept_copy(
        "yelp",
        path,
        {"threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, reading: Reading, threshold: float, **settings: Any) -> DataBunch:
    businesses = find_file(folder, "*_business.json*", what="the businesses")
    reviews = find_file(folder, "*_review.json*", what="the reviews")
    names = ["user_id", "item_id", "rating", "time"]
    events = (
        table.rename_columns(names).drop_null() for table in reading.json_lines(reviews, _REVIEWS)
    )
    return bunch_of_ratings(
        _read_businesses(businesses, reading),
        reading.write("events", events),
        _DESCR.format(path=folder),
        settings,
        reading,
        threshold=threshold,
        what="reviews",
    )


def _read_businesses(file: Path, reading: Reading) -> pa.Table:
    table = pa.concat_tables(reading.json_lines(file, _BUSINESSES))
    return pa.table(
        {
            "item_id": table["business_id"],
            "name": pc.fill_null(table["name"], ""),
            "city": as_category(table["city"]),
            "state": as_category(table["state"]),
            "categories": pc.split_pattern(table["categories"], ", "),
        }
    )
