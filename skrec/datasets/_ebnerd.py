"""EB-NeRD: news of Ekstra Bladet in Danish, and what readers were shown and clicked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._bunch import DataBunch
from skrec.datasets._files import find_file
from skrec.datasets._headlines import check_count
from skrec.datasets._impressions import lists, split_days
from skrec.datasets._rated import as_category

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
    path: str | os.PathLike[str], *, valid_days: int = 1, max_history: int = 50
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
    from skrec._items import Items

    check_count("valid_days", valid_days, 0)
    check_count("max_history", max_history, 1)
    folder = Path(path).expanduser()
    articles = _read_parquet(find_file(folder, "articles.parquet", what="the articles"), _ARTICLES)
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
    train, valid = split_days(_read_part(folder / "train", max_history), valid_days)
    test = train.slice(0, 0)
    if (folder / "validation").is_dir():
        test = _read_part(folder / "validation", max_history)
    return DataBunch(
        items=items,
        train=train,
        valid=valid,
        test=test,
        feature_names=list(items.roles),
        DESCR=_DESCR.format(
            path=path,
            n_items=items.n_items,
            n_train=train.num_rows,
            n_valid=valid.num_rows,
            n_test=test.num_rows,
            valid_days=valid_days,
        ),
    )


def _read_parquet(file: Path, columns: list[str]) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(file).names
        missing = [name for name in columns if name not in names]
        if missing:
            raise ValueError(f"it has no column {missing[0]!r}, only {', '.join(names)}")
        return pq.read_table(file, columns=columns)
    except (ValueError, OSError) as error:
        raise ValueError(f"{file}: {error}") from error


def _read_part(folder: Path, max_history: int) -> pa.Table:
    """Read the impressions of a part, with the history of each one's reader."""
    rows = _read_parquet(find_file(folder, "behaviors.parquet", what="the impressions"), _BEHAVIORS)
    past = _read_parquet(find_file(folder, "history.parquet", what="the histories"), _HISTORY)
    reader = pc.index_in(rows["user_id"], value_set=past["user_id"].combine_chunks())
    clicks = pc.list_slice(pc.fill_null(past["article_id_fixed"], []), 0)
    n_clicks = pc.list_value_length(clicks).to_numpy()
    stops = np.cumsum(n_clicks)
    starts = np.maximum(stops - n_clicks, stops - max_history)
    known = pc.is_valid(reader).to_numpy()
    who = pc.fill_null(reader, 0).to_numpy()
    lengths = np.where(known, (stops - starts)[who], 0)
    at = np.repeat(starts[who], lengths) + np.arange(lengths.sum())
    at -= np.repeat(np.cumsum(lengths) - lengths, lengths)
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
