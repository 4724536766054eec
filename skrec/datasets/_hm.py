"""Reader of H&M: articles of clothing with descriptions, and two years of purchases."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import dataset_from_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.files import find_file
from skrec.datasets._files.texts import as_category

_TEXTS = ["prod_name", "detail_desc"]
_CATEGORIES = [
    *("product_type_name", "product_group_name", "graphical_appearance_name"),
    *("colour_group_name", "department_name", "index_name", "section_name", "garment_group_name"),
]
_DESCR = """\
H&M Personalized Fashion Recommendations as impressions
-------------------------------------------------------
Purchases of articles of H&M, read from
{path}

Licence      the rules of the competition: for research, not for commercial use
Get it       https://www.kaggle.com/c/h-and-m-personalized-fashion-recommendations/data
"""


def read_hm(
    path: str | os.PathLike[str],
    *,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **settings: Any,
) -> DataBunch:
    """Read H&M's articles and purchases.

    Nothing is downloaded. A click is a purchase. Pieces of an article that a customer buys on the
    same day are one click. Purchases become impressions with :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        Folder with ``articles.csv`` and ``transactions_train.csv``.
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
            The articles: `prod_name` and `detail_desc` (text), and eight categories from
            `product_type_name` to `garment_group_name`. The ids are ints: "0108775015" becomes
            108775015.
        train, valid, test : pyarrow.Table
            Impressions, as returned by :func:`impressions_from_clicks`. Times are days. The
            clicks of a day are sorted by item id.
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
    The format is described at
    https://www.kaggle.com/c/h-and-m-personalized-fashion-recommendations/data.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_hm("h-and-m")  # doctest: +SKIP
    """
    settings = check_settings(**settings)
    return read_cached(
        "hm",
        path,
        settings,
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, converter: Converter, **settings: Any) -> DataBunch:
    """Read the articles and the purchases."""
    articles = find_file(folder, "articles.csv", what="the articles")
    purchases = find_file(folder, "transactions_train.csv", what="the purchases")
    types = {"customer_id": pa.string(), "article_id": pa.int64(), "t_dat": pa.date32()}
    events = converter.read_csv_columns(purchases, types)
    events = events.rename_columns(["user_id", "item_id", "time"])
    events = events.set_column(2, "time", events["time"].cast(pa.timestamp("s")))
    return dataset_from_ratings(
        _read_articles(articles, converter),
        events,
        _DESCR.format(path=folder),
        settings,
        converter,
        event_name="purchases",
    )


def _read_articles(file: Path, converter: Converter) -> pa.Table:
    """Read the columns of the catalogue."""
    names = dict.fromkeys([*_TEXTS, *_CATEGORIES], pa.string())
    table = converter.read_csv_columns(file, {"article_id": pa.int64(), **names})
    texts = {name: pc.fill_null(table[name], "") for name in _TEXTS}
    categories = {name: as_category(table[name]) for name in _CATEGORIES}
    return pa.table({"item_id": table["article_id"], **texts, **categories})
