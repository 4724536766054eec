"""EB-NeRD: news of Ekstra Bladet in Danish, and what readers were shown and clicked."""

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
from skrec.datasets._clicks.ratings import as_category
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.copies import kept_copy
from skrec.datasets._files.files import find_file
from skrec.datasets._files.reading import Reading

_ARTICLES = ["article_id", "title", "subtitle", "category_str", "topics"]
_BEHAVIORS = [
    *("impression_id", "user_id", "impression_time"),
    *("article_ids_inview", "article_ids_clicked"),
]
_HISTORY = ["user_id", "article_id_fixed"]
_DESCR = """\
EB-NeRD, the Ekstra Bladet News Recommendation Dataset, as impressions
----------------------------------------------------------------------
News and the behaviour of readers of ekstrabladet.dk in six weeks of 2023, read from
{path}

Items        {n_items:,} articles: title, subtitle, category, topics; in Danish
Train        {n_train:,} impressions of the folder train, without its last {valid_days} day(s)
Valid        {n_valid:,} impressions of these days
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
    """Read EB-NeRD: impressions as they were shown, with what was clicked.

    Nothing is downloaded.

    Parameters
    ----------
    path : str or path-like
        The unpacked folder, of demo, small or large, with ``articles.parquet`` and the folders
        ``train`` and ``validation``, each with ``behaviors.parquet`` and ``history.parquet``.
    valid_days : int, default=1
        Number of days at the end of the training part that validate.
    max_history : int, default=50
        Number of clicks kept in a history, the latest ones.
    data_home : str or path-like, default=None
        Where a converted copy is kept for the next time, as :func:`get_data_home` takes it.
    verbose : bool, default=False
        Whether to print how far reading is.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        items : Items
            The articles: `title` and `subtitle` (text), `category` (category) and `topics`
            (multi-category).
        train, valid, test : pyarrow.Table
            One row an impression: `impression_id`, `user_id`, `time`, `history` (list of ids,
            oldest first: the clicks of the weeks before the part, which are the same for all of a
            user's impressions in it), `candidates` (list of ids, as shown) and `clicked` (list of
            0 and 1). `test` is the folder validation; without one it is empty.
        feature_names : list of str
            The content columns of `items`.
        DESCR : str
            What the data are, and what to cite.

    Raises
    ------
    FileNotFoundError
        Where a file is missing.
    ValueError
        For files that can't be read or lack a column.

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
    return kept_copy(
        "ebnerd",
        path,
        {"valid_days": valid_days, "max_history": max_history},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, reading: Reading, valid_days: int, max_history: int) -> DataBunch:
    from skrec._data.items import Items

    file = find_file(folder, "articles.parquet", what="the articles")
    articles = pa.concat_tables(reading.parquet(file, _ARTICLES))
    items = Items(
        pa.table(
            {
                "item_id": articles["article_id"].cast(pa.int64()),
                "title": pc.fill_null(articles["title"], ""),
                "subtitle": pc.fill_null(articles["subtitle"], ""),
                "category": as_category(articles["category_str"]),
                "topics": articles["topics"],
            }
        )
    )
    rows = _read_part(folder / "train", max_history, reading)
    train, valid = reading.write_days(rows, valid_days)
    test = train.slice(0, 0)
    if (folder / "validation").is_dir():
        test = reading.write("test", _read_part(folder / "validation", max_history, reading))
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
            valid_days=valid_days,
        ),
    )


def _read_part(folder: Path, max_history: int, reading: Reading) -> Iterator[pa.Table]:
    """Yield blocks of a part's impressions, with the history of each one's reader."""
    file = find_file(folder, "history.parquet", what="the histories")
    past = pa.concat_tables(reading.parquet(file, _HISTORY))
    file = find_file(folder, "behaviors.parquet", what="the impressions")
    for rows in reading.parquet(file, _BEHAVIORS):
        yield _impressions(rows, past, max_history)


def _impressions(rows: pa.Table, past: pa.Table, max_history: int) -> pa.Table:
    reader = pc.index_in(rows["user_id"], value_set=past["user_id"].combine_chunks())
    known = pc.is_valid(reader).to_numpy()
    who, row_of_who = np.unique(pc.fill_null(reader, 0).to_numpy(), return_inverse=True)
    clicks = pc.list_slice(pc.fill_null(past["article_id_fixed"].take(pa.array(who)), []), 0)
    n_clicks = pc.list_value_length(clicks).to_numpy()
    stops = np.cumsum(n_clicks)
    starts = np.maximum(stops - n_clicks, stops - max_history)
    lengths = np.where(known, (stops - starts)[row_of_who], 0)
    first = starts[row_of_who]
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
    """Return all values of a column of lists, and how many each list has."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    return pc.list_flatten(column).to_numpy().astype(np.int64), lengths
