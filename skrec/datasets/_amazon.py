"""Reader of Amazon reviews: products, and the ratings of their buyers."""

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
from skrec.datasets._files.texts import as_category, join_texts, unescape, without_empty

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
# JavaScript that was taken from web pages of products in place of titles
_SCRIPT = (
    r"(?i)<script|\bgetTime\s*\(|\bvar\s+[\w$]+\s*=|\bfunction\s*[\w$]*\s*\([^)]*\)\s*\{|"
    r"\b(?:window|document)\.\w+\s*(?:\(|=|\.)"
)
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
    """Read reviews of one category of Amazon's products, in the format of 2018 or 2023.

    Nothing is downloaded. A click is a rating of at least `threshold`. Ratings become impressions
    with :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        Folder with the reviews of a category and the metadata of its products, such as
        ``Video_Games.json.gz`` and ``meta_Video_Games.json.gz`` (2018), or ``.jsonl`` files (2023).
        The files can be compressed with gzip.
    category : str, default=None
        Name of the category in the file names, such as "Video_Games". It can be None if the folder
        contains only one category.
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
            The products: `title` and `description` (text), `brand` (category; the store in 2023)
            and `categories` (multi-category). The ids are ASINs (2018) or parent ASINs (2023).
            HTML entities such as "&amp;" are replaced by their characters. Titles that contain
            JavaScript, as some do in 2018, become empty.
        train, valid, test : pyarrow.Table
            Impressions, as returned by :func:`impressions_from_clicks`.
        feature_names : list of str
            Names of the content columns of `items`.
        DESCR : str
            Description of the data, and what to cite.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file can't be read, or if no user has enough clicks.

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
    return read_cached(
        "amazon",
        path,
        {"category": category, "threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(
    folder: Path, converter: Converter, category: str | None, threshold: float, **settings: Any
) -> DataBunch:
    """Find the files of a category, and read them."""
    name = "*" if category is None else category
    products = find_file(folder, f"meta_{name}.json*", what="the metadata of products")
    name = products.name.removeprefix("meta_").partition(".")[0]
    reviews = find_file(
        folder, f"{name}_5.json*", f"{name}.json*", f"reviews_{name}.json*", what="the reviews"
    )
    version = "2023" if ".jsonl" in products.name else "2018"
    tables = converter.read_json_lines(reviews, _REVIEWS[version])
    events = (_ratings(table, version) for table in tables)
    return dataset_from_ratings(
        _read_products(products, version, converter),
        converter.write("events", events),
        _DESCR.format(version=version, reviews=reviews, products=products),
        settings,
        converter,
        threshold=threshold,
    )


def _ratings(table: pa.Table, version: str) -> pa.Table:
    """Return ratings with the column names and time type of events."""
    table = table.rename_columns(["user_id", "item_id", "rating", "time"]).drop_null()
    unit = "ms" if version == "2023" else "s"
    return table.set_column(3, "time", table["time"].cast(pa.timestamp(unit)))


def _read_products(file: Path, version: str, converter: Converter) -> pa.Table:
    """Read the columns of the catalogue."""
    table = pa.concat_tables(converter.read_json_lines(file, _PRODUCTS[version]))
    item_id, title, description, brand, categories = table.columns
    is_script = pc.fill_null(pc.match_substring_regex(title, _SCRIPT), False)
    # a product can occur twice, once with its title and once with a script in its place
    with_title = item_id.filter(pc.invert(is_script)).combine_chunks()
    is_superfluous = pc.and_(is_script, pc.is_in(item_id, value_set=with_title))
    title = pc.if_else(is_script, "", pc.fill_null(title, ""))
    return pa.table(
        {
            "item_id": item_id,
            "title": unescape(title),
            "description": join_texts(unescape(description)),
            "brand": as_category(unescape(brand)),
            "categories": without_empty(unescape(categories)),
        }
    ).filter(pc.invert(is_superfluous))
