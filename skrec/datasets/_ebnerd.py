"""Reader of EB-NeRD: Danish news of Ekstra Bladet, with impressions and clicks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.checks import check_count
from skrec._data.arrow import lists
from skrec._data.ragged import gather_ranges
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.files import find_file
from skrec.datasets._files.texts import as_category, without_empty

_ARTICLES = ["article_id", "title", "subtitle", "category_str", "topics"]
_BEHAVIORS = [
    *("impression_id", "user_id", "impression_time"),
    *("article_ids_inview", "article_ids_clicked"),
]
_HISTORY = ["user_id", "article_id_fixed"]
_DESCR = """\
EB-NeRD, the Ekstra Bladet News Recommendation Dataset, as impressions
----------------------------------------------------------------------
News and the behavior of readers of ekstrabladet.dk in six weeks of 2023, read from
{path}

Items        {n_items:,} articles: title, subtitle, category, topics; in Danish
Train        {n_train:,} impressions of the folder train, without its last {hours} hours
Valid        {n_valid:,} impressions of these hours
Test         {n_test:,} impressions of the folder validation

Licence      Ekstra Bladet News Recommendation Dataset: for research
Get it       https://recsys.eb.dk/
Format       https://recsys.eb.dk/dataset/
Cite         Johannes Kruse et al. 2024. EB-NeRD: A Large-Scale Dataset for News Recommendation.
             arXiv 2410.03432.
"""


def read_ebnerd(
    path: str | os.PathLike[str],
    *,
    valid_days: int = 1,
    max_history: int = 50,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
) -> DataBunch:
    """Read EB-NeRD: the candidates that readers were shown, and which of them they clicked.

    Nothing is downloaded.

    Parameters
    ----------
    path : str or path-like
        Unpacked folder of the demo, small or large version. It contains ``articles.parquet`` and
        the folders ``train`` and ``validation``, each with ``behaviors.parquet`` and
        ``history.parquet``.
    valid_days : int, default=1
        Number of days at the end of the training part that become `valid`. A day is 24 hours,
        counted back from the last impression.
    max_history : int, default=50
        Maximum number of clicks in a history. The latest clicks are kept.
    data_home : str or path-like, default=None
        Folder for the converted copy that later calls read. See :func:`get_data_home`.
    verbose : bool, default=False
        Whether to print progress.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        items : Items
            The articles: `title` and `subtitle` (text), `category` (category) and `topics`
            (multi-category).
        train, valid, test : pyarrow.Table
            One row per impression: `impression_id`, `user_id`, `time`, `history` (list of ids,
            oldest first), `candidates` (list of ids in the order of the files) and `clicked` (list
            of 0 and 1). The history of a user contains the clicks of the weeks before a part, and
            is the same for all impressions of that part. `test` is the folder ``validation``. It is
            empty if there is no such folder.
        feature_names : list of str
            Names of the content columns of `items`.
        DESCR : str
            Description of the data, and what to cite.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file can't be read or lacks a column, or if a parameter is out of its range.

    References
    ----------
    Johannes Kruse et al. 2024. EB-NeRD: A Large-Scale Dataset for News Recommendation.
    arXiv 2410.03432.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_ebnerd("ebnerd_small")  # doctest: +SKIP
    """
    check_count("valid_days", valid_days, 0)
    check_count("max_history", max_history, 1)
    return read_cached(
        "ebnerd",
        path,
        {"valid_days": valid_days, "max_history": max_history},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, converter: Converter, valid_days: int, max_history: int) -> DataBunch:
    """Read the articles and the impressions of both parts."""
    from skrec._data.items import Items

    file = find_file(folder, "articles.parquet", what="the articles")
    articles = pa.concat_tables(converter.read_parquet(file, _ARTICLES))
    items = Items(
        pa.table(
            {
                "item_id": articles["article_id"].cast(pa.int64()),
                "title": pc.fill_null(articles["title"], ""),
                "subtitle": pc.fill_null(articles["subtitle"], ""),
                "category": as_category(articles["category_str"]),
                "topics": without_empty(articles["topics"]),
            }
        )
    )
    rows = _read_part(folder / "train", max_history, converter)
    # the owners' days begin at 7 o'clock
    train, valid = converter.write_train_valid(rows, valid_days, whole_dates=False)
    test = train.slice(0, 0)
    if (folder / "validation").is_dir():
        test = converter.write("test", _read_part(folder / "validation", max_history, converter))
    return DataBunch(
        items=items,
        train=train,
        valid=valid,
        test=test,
        feature_names=list(items.roles),
        DESCR=_DESCR.format(
            path=folder,
            n_items=items.n_items,
            n_train=train.num_rows,
            n_valid=valid.num_rows,
            n_test=test.num_rows,
            hours=24 * valid_days,
        ),
    )


def _read_part(folder: Path, max_history: int, converter: Converter) -> Iterator[pa.Table]:
    """Yield blocks of the impressions of a part, with the histories of their readers."""
    file = find_file(folder, "history.parquet", what="the histories")
    past = pa.concat_tables(converter.read_parquet(file, _HISTORY))
    file = find_file(folder, "behaviors.parquet", what="the impressions")
    for rows in converter.read_parquet(file, _BEHAVIORS):
        yield _impressions(rows, past, max_history)


def _impressions(rows: pa.Table, past: pa.Table, max_history: int) -> pa.Table:
    """Return a block of impressions.

    Parameters
    ----------
    rows : pyarrow.Table
        Rows of ``behaviors.parquet``.
    past : pyarrow.Table
        One row per reader of ``history.parquet``.
    max_history : int
    """
    reader = pc.index_in(rows["user_id"], value_set=past["user_id"].combine_chunks())
    has_history = pc.is_valid(reader).to_numpy()
    distinct, inverse = np.unique(pc.fill_null(reader, 0).to_numpy(), return_inverse=True)
    clicks = pc.list_slice(pc.fill_null(past["article_id_fixed"].take(pa.array(distinct)), []), 0)
    n_clicks = pc.list_value_length(clicks).to_numpy()
    stops = np.cumsum(n_clicks)
    starts = np.maximum(stops - n_clicks, stops - max_history)
    lengths = np.where(has_history, (stops - starts)[inverse], 0)
    first = starts[inverse]
    at, _ = gather_ranges(first, first + lengths)
    history = pc.list_flatten(clicks).combine_chunks().take(pa.array(at)).cast(pa.int64())
    shown, n_shown = _flat(rows["article_ids_inview"])
    clicked, n_clicked = _flat(rows["article_ids_clicked"])
    row_of_shown = np.repeat(np.arange(len(n_shown)), n_shown)
    row_of_clicked = np.repeat(np.arange(len(n_clicked)), n_clicked)
    size = int(max(shown.max(initial=0), clicked.max(initial=0))) + 1
    is_click = np.isin(row_of_shown * size + shown, row_of_clicked * size + clicked)
    return pa.table(
        {
            "impression_id": rows["impression_id"].cast(pa.int64()),
            "user_id": rows["user_id"].cast(pa.int64()),
            "time": rows["impression_time"],
            "history": lists(history, lengths),
            "candidates": lists(pa.array(shown), n_shown),
            "clicked": lists(is_click.astype(np.int8), n_shown),
        }
    )


def _flat(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return all values of a column of lists, and the length of each list."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    return pc.list_flatten(column).to_numpy().astype(np.int64), lengths
