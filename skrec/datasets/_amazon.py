"""Amazon reviews as their collectors publish them: what users bought and how they rated it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import as_category, bunch_of_ratings, one_text
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.copies import kept_copy
from skrec.datasets._files.files import find_file
from skrec.datasets._files.reading import Reading
from skrec.datasets._headlines.make import check_real

_TEXTS = pa.list_(pa.string())
_REVIEWS = {
    "2018": {
        "reviewerID": pa.string(),
        "asin": pa.string(),
        "overall": pa.float64(),
        "unixReviewTime": pa.int64(),
    },
    "2023": {
        "user_id": pa.string(),
        "parent_asin": pa.string(),
        "rating": pa.float64(),
        "timestamp": pa.int64(),
    },
}
_PRODUCTS = {
    "2018": {
        "asin": pa.string(),
        "title": pa.string(),
        "description": _TEXTS,
        "brand": pa.string(),
        "category": _TEXTS,
    },
    "2023": {
        "parent_asin": pa.string(),
        "title": pa.string(),
        "description": _TEXTS,
        "store": pa.string(),
        "categories": _TEXTS,
    },
}
_DESCR = """\
Amazon reviews as impressions
-----------------------------
Ratings of products, version {version}, read from
{reviews}
{products}

Licence      for research; the data are the collectors'
Get it       https://nijianmo.github.io/amazon/ (2018), https://amazon-reviews-2023.github.io/
Cite         Jianmo Ni, Jiacheng Li, Julian McAuley. 2019. Justifying Recommendations using
             Distantly-Labeled Reviews and Fine-grained Aspects. EMNLP 2019 (2018), or
             Yupeng Hou et al. 2024. Bridging Language and Items for Retrieval and
             Recommendation. arXiv 2403.03952 (2023).
"""


def read_amazon(
    path: str | os.PathLike[str],
    category: str | None = None,
    *,
    threshold: float = 4,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **settings: Any,
) -> DataBunch:
    """Read reviews of one category of Amazon's products, in the format of 2018 or of 2023.

    Nothing is downloaded. A click is a rating of at least `threshold`; ratings become impressions
    by :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        A folder with the reviews and the products' metadata of a category, such as
        ``Video_Games.json.gz`` and ``meta_Video_Games.json.gz`` (2018), or ``.jsonl`` files (2023),
        gzipped or not.
    category : str, default=None
        The category, as in the files' names, such as "Video_Games"; None where the folder has only
        one.
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
            The products: `title` and `description` (text), `brand` (category; the store in 2023)
            and `categories` (multi-category). Their ids are ASINs, in 2023 those of the parents.
        train, valid, test : pyarrow.Table
            Impressions, as :func:`impressions_from_clicks` makes them.
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
    The format is described at https://nijianmo.github.io/amazon/ (2018) and
    https://amazon-reviews-2023.github.io/ (2023).

    References
    ----------
    Jianmo Ni, Jiacheng Li, Julian McAuley. 2019. Justifying Recommendations using
    Distantly-Labeled Reviews and Fine-grained Aspects. EMNLP 2019.

    Yupeng Hou et al. 2024. Bridging Language and Items for Retrieval and Recommendation.
    arXiv 2403.03952.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_amazon("amazon", "Video_Games", min_clicks=5)  # doctest: +SKIP
    """
    check_real("threshold", threshold, 1, 5)
    settings = check_settings(**settings)
    return kept_copy(
        "amazon",
        path,
        {"category": category, "threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(
    folder: Path, reading: Reading, category: str | None, threshold: float, **settings: Any
) -> DataBunch:
    name = "*" if category is None else category
    products = find_file(folder, f"meta_{name}.json*", what="the metadata of products")
    name = products.name.removeprefix("meta_").partition(".")[0]
    reviews = find_file(
        folder, f"{name}_5.json*", f"{name}.json*", f"reviews_{name}.json*", what="the reviews"
    )
    version = "2023" if ".jsonl" in products.name else "2018"
    events = (_ratings(table, version) for table in reading.json_lines(reviews, _REVIEWS[version]))
    return bunch_of_ratings(
        _read_products(products, version, reading),
        reading.write("events", events),
        _DESCR.format(version=version, reviews=reviews, products=products),
        settings,
        reading,
        threshold=threshold,
    )


def _ratings(table: pa.Table, version: str) -> pa.Table:
    table = table.rename_columns(["user_id", "item_id", "rating", "time"]).drop_null()
    unit = "ms" if version == "2023" else "s"
    return table.set_column(3, "time", table["time"].cast(pa.timestamp(unit)))


def _read_products(file: Path, version: str, reading: Reading) -> pa.Table:
    table = pa.concat_tables(reading.json_lines(file, _PRODUCTS[version]))
    item_id, title, description, brand, categories = table.columns
    return pa.table(
        {
            "item_id": item_id,
            "title": pc.fill_null(title, ""),
            "description": one_text(description),
            "brand": as_category(brand),
            "categories": categories,
        }
    ).filter(pc.is_valid(item_id))
