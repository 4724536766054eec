"""H&M's purchases: articles of clothing with descriptions, and two years of transactions."""

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

    Nothing is downloaded. A click is a purchase; purchases become impressions by
    :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        The folder with ``articles.csv`` and ``transactions_train.csv``.
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
            The articles: `prod_name` and `detail_desc` (text), and eight categories from
            `product_type_name` to `garment_group_name`. Their ids are ints: "0108775015" is
            108775015.
        train, valid, test : pyarrow.Table
            Impressions, as :func:`impressions_from_clicks` makes them; times are days, within
            which the order is that of the ids.
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
    The format is described at
    https://www.kaggle.com/c/h-and-m-personalized-fashion-recommendations/data.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_hm("h-and-m")  # doctest: +SKIP
    """
    settings = check_settings(**settings)
    return kept_copy(
        "hm",
        path,
        settings,
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, reading: Reading, **settings: Any) -> DataBunch:
    articles = find_file(folder, "articles.csv", what="the articles")
    purchases = find_file(folder, "transactions_train.csv", what="the purchases")
    types = {"customer_id": pa.string(), "article_id": pa.int64(), "t_dat": pa.date32()}
    events = reading.columns(purchases, types).rename_columns(["user_id", "item_id", "time"])
    events = events.set_column(2, "time", events["time"].cast(pa.timestamp("s")))
    return bunch_of_ratings(
        _read_articles(articles, reading),
        events,
        _DESCR.format(path=folder),
        settings,
        reading,
        what="purchases",
    )


def _read_articles(file: Path, reading: Reading) -> pa.Table:
    names = dict.fromkeys([*_TEXTS, *_CATEGORIES], pa.string())
    table = reading.columns(file, {"article_id": pa.int64(), **names})
    texts = {name: pc.fill_null(table[name], "") for name in _TEXTS}
    categories = {name: as_category(table[name]) for name in _CATEGORIES}
    return pa.table({"item_id": table["article_id"], **texts, **categories})
