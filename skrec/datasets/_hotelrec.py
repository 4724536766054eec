"""Reader of HotelRec: hotels with names and places, and fifty million reviews."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.checks import check_real
from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import ItemCollector, dataset_from_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.files import find_file
from skrec.datasets._files.texts import as_category

_REVIEWS = {
    "author": pa.string(),
    "hotel_url": pa.string(),
    "rating": pa.float64(),
    "date": pa.timestamp("s"),
}
_URL = (
    r"^Hotel_Review-g(?P<place_id>\d+)-d(?P<hotel>\d+)"
    r"-Reviews-(?P<name>[^-]*)-?(?P<place>.*)\.html$"
)
_DESCR = """\
HotelRec as impressions
-----------------------
Reviews of hotels, read from
{file}

Licence      for research; see the repository
Get it       https://github.com/Diego999/HotelRec
Cite         Diego Antognini, Boi Faltings. 2020. HotelRec: a Novel Very Large-Scale Hotel
             Recommendation Dataset. LREC 2020, arXiv 2002.06854.
"""


def read_hotelrec(
    path: str | os.PathLike[str],
    *,
    threshold: float = 4,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **settings: Any,
) -> DataBunch:
    """Read HotelRec: hotels and the ratings of their guests.

    Nothing is downloaded. A click is a rating of at least `threshold`. Reviews without an author
    are left out. Reviews become impressions with :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        Folder with ``HotelRec.txt`` or ``HotelRec.json``, with one JSON object per line. The file
        can be compressed with gzip.
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
            The hotels: `name` and `place` (text), and `place_id` (category). All columns and the
            ids, which are ints, come from the web addresses of the hotels.
        train, valid, test : pyarrow.Table
            Impressions, as returned by :func:`impressions_from_clicks`.
        feature_names : list of str
            Names of the content columns of `items`.
        DESCR : str
            Description of the data, and what to cite.

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ValueError
        If the file can't be read, or if no user has enough clicks.

    Notes
    -----
    The format is described at https://github.com/Diego999/HotelRec.

    References
    ----------
    Diego Antognini, Boi Faltings. 2020. HotelRec: a Novel Very Large-Scale Hotel Recommendation
    Dataset. arXiv 2002.06854.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_hotelrec("HotelRec")  # doctest: +SKIP
    """
    check_real("threshold", threshold, 1, 5)
    settings = check_settings(**settings)
    return read_cached(
        "hotelrec",
        path,
        {"threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, converter: Converter, threshold: float, **settings: Any) -> DataBunch:
    """Read the reviews, which also contain the hotels."""
    file = find_file(folder, "HotelRec*.txt*", "HotelRec*.json*", what="the reviews")
    hotels = ItemCollector()
    events = converter.write("events", _read_reviews(file, converter, hotels))
    items = hotels.table()
    place_id = as_category(items["place_id"])
    return dataset_from_ratings(
        items.set_column(items.column_names.index("place_id"), "place_id", place_id),
        events,
        _DESCR.format(file=file),
        settings,
        converter,
        threshold=threshold,
        event_name="reviews",
    )


def _read_reviews(file: Path, converter: Converter, hotels: ItemCollector) -> Iterator[pa.Table]:
    """Yield blocks of reviews, and add their hotels to a collector."""
    for table in converter.read_json_lines(file, _REVIEWS):
        reviews = table.drop_null()
        urls = reviews["hotel_url"].combine_chunks().dictionary_encode()
        parts = pc.extract_regex(urls.dictionary, _URL)
        if parts.null_count:
            bad = urls.dictionary.filter(pc.is_null(parts))[0].as_py()
            raise ValueError(f"{file}: {bad!r} is not the address of a hotel")
        name, place, place_id, hotel = (
            pc.struct_field(parts, each) for each in ("name", "place", "place_id", "hotel")
        )
        hotel = hotel.cast(pa.int64())
        name, place = (pc.replace_substring(each, "_", " ") for each in (name, place))
        hotels.add(pa.table({"item_id": hotel, "name": name, "place": place, "place_id": place_id}))
        yield pa.table(
            {
                "user_id": reviews["author"],
                "item_id": hotel.take(urls.indices),
                "rating": reviews["rating"],
                "time": reviews["date"],
            }
        )
