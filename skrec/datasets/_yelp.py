"""Reader of the Yelp Open Dataset: businesses, and the reviews of their customers."""

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
    """Read the Yelp Open Dataset: businesses and the reviews of their customers.

    Nothing is downloaded. A click is a review of at least `threshold` stars. Reviews become
    impressions with :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        Folder with ``yelp_academic_dataset_business.json`` and
        ``yelp_academic_dataset_review.json``. The files can be compressed with gzip.
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
            The businesses: `name` (text), `city` and `state` (category) and `categories`
            (multi-category).
        train, valid, test : pyarrow.Table
            Impressions, as returned by :func:`impressions_from_clicks`.
        feature_names : list of str
            Names of the content columns of `items`.
        DESCR : str
            Description of the data, and their license.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file can't be read, or if no user has enough clicks.

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
    return read_cached(
        "yelp",
        path,
        {"threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, converter: Converter, threshold: float, **settings: Any) -> DataBunch:
    """Read the businesses and the reviews."""
    businesses = find_file(folder, "*_business.json*", what="the businesses")
    reviews = find_file(folder, "*_review.json*", what="the reviews")
    names = ["user_id", "item_id", "rating", "time"]
    events = (
        table.rename_columns(names).drop_null()
        for table in converter.read_json_lines(reviews, _REVIEWS)
    )
    return dataset_from_ratings(
        _read_businesses(businesses, converter),
        converter.write("events", events),
        _DESCR.format(path=folder),
        settings,
        converter,
        threshold=threshold,
        event_name="reviews",
    )


def _read_businesses(file: Path, converter: Converter) -> pa.Table:
    """Read the columns of the catalogue."""
    table = pa.concat_tables(converter.read_json_lines(file, _BUSINESSES))
    return pa.table(
        {
            "item_id": table["business_id"],
            "name": pc.fill_null(table["name"], ""),
            "city": as_category(table["city"]),
            "state": as_category(table["state"]),
            "categories": without_empty(pc.split_pattern(table["categories"], ", ")),
        }
    )
