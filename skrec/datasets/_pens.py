"""Reader of PENS: news of MSN, with impressions and clicks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from skrec._common.checks import check_count
from skrec._data.arrow import lists
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.files import find_file
from skrec.datasets._files.texts import as_category, undo_quotes
from skrec.datasets._mind import read_time_column, split_words

_NEWS = [
    *("News ID", "Category", "Topic", "Headline", "News body"),
    *("Title entity", "Entity content"),
]
_LOGS = [
    *("UserID", "ClicknewsID", "dwelltime", "exposure_time", "pos", "neg"),
    *("start", "end", "dwelltime_pos"),
]
_DESCR = """\
PENS, the Personalized News Headlines dataset, as impressions
-------------------------------------------------------------
News and the behavior of readers of MSN News in four weeks of 2019, read from
{path}

Items        {n_items:,} news: headline, body, category, topic
Train        {n_train:,} impressions of train.tsv, without its last {valid_days} day(s)
Valid        {n_valid:,} impressions of these days
Test         {n_test:,} impressions of valid.tsv

Licence      Microsoft Research License Terms: for research
Get it       https://msnews.github.io/pens.html
Cite         Xiang Ao et al. 2021. PENS: A Dataset and Generic Framework for Personalized News
             Headline Generation. ACL 2021.
"""


def read_pens(
    path: str | os.PathLike[str],
    *,
    valid_days: int = 1,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
) -> DataBunch:
    """Read PENS: the candidates that readers were shown, and which of them they clicked.

    Nothing is downloaded.

    Parameters
    ----------
    path : str or path-like
        Folder with ``news.tsv``, ``train.tsv`` and optionally ``valid.tsv``, each with a header.
    valid_days : int, default=1
        Number of days at the end of the training part that become `valid`.
    data_home : str or path-like, default=None
        Folder for the converted copy that later calls read. See :func:`get_data_home`.
    verbose : bool, default=False
        Whether to print progress.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        items : Items
            The news: `headline` and `body` (text), `category` and `topic` (category). Texts that
            are quoted as in CSV are unquoted.
        train, valid, test : pyarrow.Table
            One row per impression: `impression_id`, `user_id`, `time` (start of the impression),
            `history` (list of ids, oldest first), `candidates` (list of ids, clicked ones first)
            and `clicked` (list of 0 and 1). `test` is the file ``valid.tsv``. It is empty if there
            is no such file. The test file of the owners is not read, because it contains headlines
            instead of clicks.
        feature_names : list of str
            Names of the content columns of `items`.
        DESCR : str
            Description of the data, and what to cite.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a line can't be read. The message names the file and the line.

    Notes
    -----
    The format is described at https://msnews.github.io/pens.html.

    References
    ----------
    Xiang Ao et al. 2021. PENS: A Dataset and Generic Framework for Personalized News Headline
    Generation. ACL 2021. https://aclanthology.org/2021.acl-long.7

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_pens("PENS")  # doctest: +SKIP
    """
    check_count("valid_days", valid_days, 0)
    return read_cached(
        "pens",
        path,
        {"valid_days": valid_days},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, converter: Converter, valid_days: int) -> DataBunch:
    """Read the news and the impressions of both files."""
    from skrec._data.items import Items

    news = converter.read_table(
        find_file(folder, "news.tsv", what="the news"),
        dict.fromkeys(_NEWS, pa.string()),
        header=True,
    )
    items = Items(
        pa.table(
            {
                "item_id": news["News ID"],
                "headline": undo_quotes(news["Headline"]),
                "body": undo_quotes(news["News body"]),
                "category": as_category(undo_quotes(news["Category"])),
                "topic": as_category(undo_quotes(news["Topic"])),
            }
        )
    )
    file = find_file(folder, "train.tsv", what="the impressions")
    train, valid = converter.write_train_valid(_read_logs(file, 0, converter), valid_days)
    test = train.slice(0, 0)
    if (folder / "valid.tsv").exists():
        n_before = train.num_rows + valid.num_rows
        test = converter.write("test", _read_logs(folder / "valid.tsv", n_before, converter))
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


def _read_logs(file: Path, n_before: int, converter: Converter) -> Iterator[pa.Table]:
    """Yield blocks of impressions. Their ids count from `n_before`."""
    for _, rows in converter.read_rows(file, dict.fromkeys(_LOGS, pa.string()), header=True):
        yield _impressions(rows, n_before, file)
        n_before += rows.num_rows


def _impressions(rows: pa.Table, n_before: int, file: Path) -> pa.Table:
    """Return a block of impressions, with clicked candidates before the others."""
    n_rows = rows.num_rows
    clicked, n_clicked = split_words(rows["pos"])
    others, n_others = split_words(rows["neg"])
    # a stable sort by row puts the clicked candidates of each row first
    row = np.concatenate([np.repeat(np.arange(n_rows), n) for n in (n_clicked, n_others)])
    order = np.argsort(row, kind="stable")
    is_click = np.arange(len(row)) < len(clicked)
    return pa.table(
        {
            "impression_id": pa.array(np.arange(n_before, n_before + n_rows)),
            "user_id": rows["UserID"],
            "time": read_time_column(rows["start"], file),
            "history": lists(*split_words(rows["ClicknewsID"])),
            "candidates": lists(
                pa.concat_arrays([clicked, others]).take(pa.array(order)), n_clicked + n_others
            ),
            "clicked": lists(is_click[order].astype(np.int8), n_clicked + n_others),
        }
    )
