"""HotelRec: fifty million reviews of hotels, which are known by their names and places."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import FirstRows, as_category, bunch_of_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.copies import kept_copy
from skrec.datasets._files.files import find_file
from skrec.datasets._files.reading import Reading
from skrec.datasets._headlines.make import check_real

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
    """Read HotelRec: hotels and who liked them.

    Nothing is downloaded. A click is a rating of at least `threshold`; reviews become impressions
    by :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        The folder with ``HotelRec.txt`` or ``HotelRec.json``, a JSON object a line, gzipped or not.
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
            The hotels, as their addresses on the web name them: `name` and `place` (text), and
            `place_id` (category). Their ids are ints.
        train, valid, test : pyarrow.Table
            Impressions, as :func:`impressions_from_clicks` makes them.
        feature_names : list of str
            The content columns of `items`.
        DESCR : str
            What the data are, and what to cite.

    Raises
    ------
    FileNotFoundError
        Where the file is missing.
    ValueError
        For a file that can't be read, and where no user has enough clicks.

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
    return kept_copy(
        "hotelrec",
        path,
        {"threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, reading: Reading, threshold: float, **settings: Any) -> DataBunch:
    file = find_file(folder, "HotelRec*.txt*", "HotelRec*.json*", what="the reviews")
    hotels = FirstRows()
    events = reading.write("events", _read_reviews(file, reading, hotels))
    items = hotels.table()
    place_id = as_category(items["place_id"])
    return bunch_of_ratings(
        items.set_column(items.column_names.index("place_id"), "place_id", place_id),
        events,
        _DESCR.format(file=file),
        settings,
        reading,
        threshold=threshold,
        what="reviews",
    )


def _read_reviews(file: Path, reading: Reading, hotels: FirstRows) -> Iterator[pa.Table]:
    """Read reviews, and add the hotels that they are of to others."""
    for table in reading.json_lines(file, _REVIEWS):
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
