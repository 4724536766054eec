"""Reader of MicroLens: short videos with titles, and the clicks of their viewers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import dataset_from_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.files import find_file

_DESCR = """\
MicroLens as impressions
------------------------
Comments of users on short videos, which count as clicks, read from
{path}

Licence      for research, not for commercial use
Get it       https://github.com/westlake-repl/MicroLens
Cite         Yongxin Ni et al. 2023. A Content-Driven Micro-Video Recommendation Dataset at
             Scale. arXiv 2309.15379.
"""


def read_microlens(
    path: str | os.PathLike[str],
    *,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **settings: Any,
) -> DataBunch:
    """Read MicroLens: the titles of short videos, and the clicks of their viewers.

    Nothing is downloaded. A click is a comment of a user on a video. Clicks become impressions with
    :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        Folder with ``MicroLens-..._pairs.csv`` (with the header user,item,timestamp) and
        ``MicroLens-..._title_en.csv`` (item and title, with or without a header).
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
            The videos: `title` (text).
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
    The format is described at https://github.com/westlake-repl/MicroLens.

    References
    ----------
    Yongxin Ni et al. 2023. A Content-Driven Micro-Video Recommendation Dataset at Scale.
    arXiv 2309.15379.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_microlens("MicroLens-100k")  # doctest: +SKIP
    """
    settings = check_settings(**settings)
    return read_cached(
        "microlens",
        path,
        settings,
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, converter: Converter, **settings: Any) -> DataBunch:
    """Read the titles and the clicks."""
    pairs = find_file(folder, "MicroLens*pairs.csv", what="the clicks")
    titles = find_file(folder, "MicroLens*title_en.csv", "MicroLens*title*.csv", what="the titles")
    types = dict.fromkeys(["user", "item", "timestamp"], pa.int64())
    events = converter.read_csv_columns(pairs, types).rename_columns(["user_id", "item_id", "time"])
    events = events.set_column(2, "time", events["time"].cast(pa.timestamp("ms")))
    return dataset_from_ratings(
        _read_titles(titles, converter),
        events,
        _DESCR.format(path=folder),
        settings,
        converter,
        event_name="clicks",
    )


def _read_titles(file: Path, converter: Converter) -> pa.Table:
    """Read lines with an id, a comma and a title. Titles can contain commas and be in quotes."""
    lines = converter.read_table(file, {"line": pa.string()}, "\x1f")["line"].combine_chunks()
    fields = pc.split_pattern(lines, ",", max_splits=1)
    item_id = pc.list_element(fields, 0)
    is_id = pc.match_substring_regex(item_id, r"^\d+$").to_numpy(zero_copy_only=False)
    is_valid = (pc.list_value_length(fields).to_numpy() == 2) & is_id
    bad = np.flatnonzero(~is_valid[1:]) + 1  # line 1 can be a header
    if len(bad):
        raise ValueError(
            f"{file}, line {bad[0] + 1}: expected an id, a comma and a title, "
            f"got {lines[int(bad[0])].as_py()[:80]!r}"
        )
    fields = fields.filter(pa.array(is_valid))
    return pa.table(
        {
            "item_id": pc.list_element(fields, 0).cast(pa.int64()),
            "title": pc.utf8_trim(pc.list_element(fields, 1), '" '),
        }
    )
