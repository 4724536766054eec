"""Reader of Adressa: Norwegian news of Adresseavisen, and the clicks of its readers."""

from __future__ import annotations

import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._data.arrow import lists
from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import dataset_from_ratings, first_row_per_item
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.texts import as_category, is_text

_EVENTS = {
    "userId": pa.string(),
    "id": pa.string(),
    "time": pa.int64(),
    "title": pa.string(),
    "category1": pa.string(),
    "keywords": pa.string(),
}
_CONTENT = ["title", "category1", "keywords"]  # fields with the content of an article
_DAY = re.compile(r"\d{8}(\.json)?")
_DESCR = """\
Adressa as impressions
----------------------
News of Adresseavisen of Trondheim, in Norwegian, and who read them in {n_days} day(s), read from
{path}

Licence      CC BY-NC-SA 4.0: for research, not for commercial use
Get it       https://reclab.idi.ntnu.no/dataset/
Format       https://reclab.idi.ntnu.no/dataset/
Cite         Jon Atle Gulla et al. 2017. The Adressa Dataset for News Recommendation. WI 2017.
             https://doi.org/10.1145/3106426.3109436
"""


def read_adressa(
    path: str | os.PathLike[str],
    *,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **settings: Any,
) -> DataBunch:
    """Read Adressa: Norwegian news and the clicks of their readers in one week or ten weeks.

    Nothing is downloaded. A click is an event with the id and the title of an article. Other
    events, such as visits to the front page, are left out. If a user opens an article several
    times, only the first click is used, unless `first_only` is False. Clicks become impressions
    with :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        Folder with one file of events per day, such as ``20170101``, or the published archive, such
        as ``one_week.tar.gz``.
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
            The news: `title` (text), `category` and `subcategory` (category; the first and the last
            part of a path such as "nyheter|trondheim"), and `keywords` (multi-category). The
            first event of an article determines its content. Categories and keywords come from the
            first event that has any.
        train, valid, test : pyarrow.Table
            Impressions, as returned by :func:`impressions_from_clicks`.
        feature_names : list of str
            Names of the content columns of `items`.
        DESCR : str
            Description of the data, their license, and what to cite.

    Raises
    ------
    FileNotFoundError
        If there is no file of a day.
    ValueError
        If a file can't be read, or if no user has enough clicks.

    Notes
    -----
    The format is described at https://reclab.idi.ntnu.no/dataset/. Only the fields `userId`, `id`,
    `time`, `title`, `category1` and `keywords` are read, so the light versions are sufficient.

    References
    ----------
    Jon Atle Gulla et al. 2017. The Adressa Dataset for News Recommendation. WI 2017.
    https://doi.org/10.1145/3106426.3109436

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_adressa("one_week.tar.gz", min_clicks=5)  # doctest: +SKIP
    """
    settings = check_settings(**{"first_only": True} | settings)
    return read_cached("adressa", path, settings, _read, data_home=data_home, verbose=verbose)


def _read(path: Path, converter: Converter, **settings: Any) -> DataBunch:
    """Read the clicks and news of all days."""
    clicks, news = [], []
    for day in _read_days(path, converter):
        table = _clicks(day)
        clicks.append(table.select(["user_id", "item_id", "time"]))
        # keep few rows per article and day, because the texts of all clicks can take gigabytes
        texts = table.drop_columns("user_id")
        news += [first_row_per_item(texts.filter(is_text(texts[name]))) for name in _CONTENT]
    if not clicks:
        raise FileNotFoundError(
            f"no events in {path}: looked for files of a day, such as 20170101, in a folder or a "
            ".tar.gz file"
        )
    return dataset_from_ratings(
        _news(_first_texts(pa.concat_tables(news))),
        pa.concat_tables(clicks),
        _DESCR.format(path=path, n_days=len(clicks)),
        settings,
        converter,
        event_name="clicks",
    )


def _read_days(path: Path, converter: Converter) -> Iterator[pa.Table]:
    """Yield the events of each day."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and _DAY.fullmatch(file.name):
                yield pa.concat_tables(converter.read_json_lines(file, _EVENTS))
    elif not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    elif not tarfile.is_tarfile(path):
        raise ValueError(f"path must be a folder or a .tar.gz file, got {path}")
    else:
        yield from _read_archive(path, converter)


def _read_archive(path: Path, converter: Converter) -> Iterator[pa.Table]:
    """Yield the events of each day in a tar archive."""
    converter.add_source(path)
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and _DAY.fullmatch(Path(member.name).name):
                    blocks = converter.read_json_member(path, archive, member, _EVENTS)
                    yield pa.concat_tables(blocks)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _clicks(events: pa.Table) -> pa.Table:
    """Return the events that are clicks on news, sorted by time."""
    needed = [is_text(events[name]) for name in ("userId", "id", "time", "title")]
    clicks = events.filter(reduce(pc.and_, needed)).sort_by("time")
    times = clicks["time"].cast(pa.timestamp("s"))
    clicks = clicks.set_column(clicks.column_names.index("time"), "time", times)
    return clicks.rename_columns({"userId": "user_id", "id": "item_id"})


def _first_texts(news: pa.Table) -> pa.Table:
    """Return one row per article, with the earliest text in each field."""
    news = news.sort_by("time")
    for name in _CONTENT:
        texts = pc.if_else(is_text(news[name]), news[name], None)
        news = news.set_column(news.column_names.index(name), name, texts)
    groups = news.group_by("item_id", use_threads=False)  # "first" needs the order of the rows
    first = groups.aggregate([(name, "first") for name in _CONTENT])
    return first.rename_columns([name.removesuffix("_first") for name in first.column_names])


def _news(news: pa.Table) -> pa.Table:
    """Return the columns of the catalogue."""
    sections = news["category1"]
    return pa.table(
        {
            "item_id": news["item_id"],
            "title": news["title"],
            "category": as_category(pc.replace_substring_regex(sections, r"\|.*", "")),
            "subcategory": as_category(pc.replace_substring_regex(sections, r".*\|", "")),
            "keywords": _split_at_commas(pc.fill_null(news["keywords"], "")),
        }
    )


def _split_at_commas(texts: pa.ChunkedArray) -> pa.Array:
    """Split texts at commas, and leave out empty words."""
    split = pc.split_pattern(texts.combine_chunks(), ",")
    words = pc.utf8_trim_whitespace(split.flatten())
    is_word = pc.not_equal(words, "")
    row = pc.list_parent_indices(split).filter(is_word).to_numpy()
    return lists(words.filter(is_word), np.bincount(row, minlength=len(texts)))
