"""Adressa: news of Adresseavisen in Norwegian, and who read them."""

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
from skrec.datasets._clicks.ratings import as_category, bunch_of_ratings, first_of_each
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.copies import kept_copy
from skrec.datasets._files.reading import Reading

_EVENTS = {
    "userId": pa.string(),
    "id": pa.string(),
    "time": pa.int64(),
    "title": pa.string(),
    "category1": pa.string(),
    "keywords": pa.string(),
}
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
    """Read Adressa, one week or ten weeks of it: news, and who read them when.

    Nothing is downloaded. An event with the id and title of an article is a click; others, such as
    visits of the front page, are left out, and what somebody opens again counts the first time
    only. Clicks become impressions by :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        The folder with a file of events a day, such as ``20170101``, or the archive as published,
        such as ``one_week.tar.gz``.
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
            The news, as they were first met: `title` (text), `category` and `subcategory` (the
            first and the last of "nyheter|trondheim"), and `keywords` (multi-category).
        train, valid, test : pyarrow.Table
            Impressions, as :func:`impressions_from_clicks` makes them.
        feature_names : list of str
            The content columns of `items`.
        DESCR : str
            What the data are, their licence, and what to cite.

    Raises
    ------
    FileNotFoundError
        Where there is no file of a day.
    ValueError
        For files that can't be read, and where no user has enough clicks.

    Notes
    -----
    The format is described at https://reclab.idi.ntnu.no/dataset/. Read are `userId`, `id`, `time`,
    `title`, `category1` and `keywords`, which the light versions have.

    References
    ----------
    Jon Atle Gulla et al. 2017. The Adressa Dataset for News Recommendation. WI 2017.
    https://doi.org/10.1145/3106426.3109436

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_adressa("one_week.tar.gz", min_clicks=5)  # doctest: +SKIP
    """
    settings = check_settings(**settings)
    return kept_copy("adressa", path, settings, _read, data_home=data_home, verbose=verbose)


def _read(path: Path, reading: Reading, **settings: Any) -> DataBunch:
    clicks, news = [], []
    for day in _read_days(path, reading):
        table = _clicks(day)
        clicks.append(table.select(["user_id", "item_id", "time"]))
        # texts are kept once a day: in ten weeks, the clicks' own would be gigabytes
        news.append(first_of_each(table.drop_columns("user_id")))
    if not clicks:
        raise FileNotFoundError(
            f"no events in {path}: looked for files of a day, such as 20170101, in a folder or a "
            ".tar.gz file"
        )
    return bunch_of_ratings(
        _news(pa.concat_tables(news).sort_by("time")),
        pa.concat_tables(clicks),
        _DESCR.format(path=path, n_days=len(clicks)),
        settings,
        reading,
        what="clicks",
        first_only=True,
    )


def _read_days(path: Path, reading: Reading) -> Iterator[pa.Table]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and _DAY.fullmatch(file.name):
                yield pa.concat_tables(reading.json_lines(file, _EVENTS))
    elif not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    elif not tarfile.is_tarfile(path):
        raise ValueError(f"path must be a folder or a .tar.gz file, got {path}")
    else:
        yield from _read_archive(path, reading)


def _read_archive(path: Path, reading: Reading) -> Iterator[pa.Table]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and _DAY.fullmatch(Path(member.name).name):
                    blocks = reading.json_member(path, archive, member, _EVENTS)
                    yield pa.concat_tables(blocks)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _clicks(events: pa.Table) -> pa.Table:
    """Return the events that are clicks on news, in the order of time."""
    needed = [pc.is_valid(events[name]) for name in ("userId", "id", "time", "title")]
    clicks = events.filter(reduce(pc.and_, needed)).sort_by("time")
    times = clicks["time"].cast(pa.timestamp("s"))
    clicks = clicks.set_column(clicks.column_names.index("time"), "time", times)
    return clicks.rename_columns({"userId": "user_id", "id": "item_id"})


def _news(news: pa.Table) -> pa.Table:
    sections = pc.fill_null(news["category1"], "")
    known = pc.if_else(pc.equal(sections, ""), None, sections)
    return pa.table(
        {
            "item_id": news["item_id"],
            "title": news["title"],
            "category": as_category(pc.replace_substring_regex(known, r"\|.*", "")),
            "subcategory": as_category(pc.replace_substring_regex(known, r".*\|", "")),
            "keywords": _split_at_commas(pc.fill_null(news["keywords"], "")),
        }
    )


def _split_at_commas(texts: pa.ChunkedArray) -> pa.Array:
    """Return the words of each text, of which none is empty."""
    split = pc.split_pattern(texts.combine_chunks(), ",")
    words = pc.utf8_trim_whitespace(split.flatten())
    real = pc.not_equal(words, "")
    row = pc.list_parent_indices(split).filter(real).to_numpy()
    return lists(words.filter(real), np.bincount(row, minlength=len(texts)))
