"""MicroLens: short videos with titles, and who watched them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import bunch_of_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.copies import kept_copy
from skrec.datasets._files.files import find_file
from skrec.datasets._files.reading import Reading

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
    """Read MicroLens: the titles of its videos, and who watched them when.

    Nothing is downloaded. Clicks become impressions by :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        The folder with ``MicroLens-..._pairs.csv`` (with the header user,item,timestamp) and
        ``MicroLens-..._title_en.csv`` (item and title, with or without a header).
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
            The videos: `title` (text).
        train, valid, test : pyarrow.Table
            Impressions, as :func:`impressions_from_clicks` makes them.
        feature_names : list of str
            The content columns of `items`.
        DESCR : str
            What the data are, and what to cite.

    Raises
    ------
    FileNotFoundError
        Where a file is missing.
    ValueError
        For files that can't be read, and where no user has enough clicks.

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
    return kept_copy(
        "microlens",
        path,
        settings,
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, reading: Reading, **settings: Any) -> DataBunch:
    pairs = find_file(folder, "MicroLens*pairs.csv", what="the clicks")
    titles = find_file(folder, "MicroLens*title_en.csv", "MicroLens*title*.csv", what="the titles")
    types = dict.fromkeys(["user", "item", "timestamp"], pa.int64())
    events = reading.columns(pairs, types).rename_columns(["user_id", "item_id", "time"])
    events = events.set_column(2, "time", events["time"].cast(pa.timestamp("ms")))
    description = _DESCR.format(path=folder)
    return bunch_of_ratings(
        _read_titles(titles, reading), events, description, settings, reading, what="clicks"
    )


def _read_titles(file: Path, reading: Reading) -> pa.Table:
    """Read lines of an id, a comma and a title, which may have commas and be in quotes."""
    lines = reading.table(file, {"line": pa.string()}, "\x1f")["line"].combine_chunks()
    fields = pc.split_pattern(lines, ",", max_splits=1)
    item_id = pc.list_element(fields, 0)
    is_id = pc.match_substring_regex(item_id, r"^\d+$").to_numpy(zero_copy_only=False)
    whole = (pc.list_value_length(fields).to_numpy() == 2) & is_id
    bad = np.flatnonzero(~whole[1:]) + 1  # line 1 may be a header
    if len(bad):
        raise ValueError(
            f"{file}, line {bad[0] + 1}: expected an id, a comma and a title, "
            f"got {lines[int(bad[0])].as_py()[:80]!r}"
        )
    kept = fields.filter(pa.array(whole))
    return pa.table(
        {
            "item_id": pc.list_element(kept, 0).cast(pa.int64()),
            "title": pc.utf8_trim(pc.list_element(kept, 1), '" '),
        }
    )
