"""Reader of POG: clothes of Alibaba's iFashion, and the clicks of users."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.checks import check_count
from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import dataset_from_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.files import check_lines, find_file
from skrec.datasets._files.texts import as_category

_DESCR = """\
POG as impressions
------------------
Clothes of Alibaba's iFashion with Chinese titles, and the clicks of users before they clicked an
outfit, read from
{path}

Licence      the owners state none
Get it       https://github.com/wenyuer/POG
Format       https://github.com/wenyuer/POG
Cite         Wen Chen et al. 2019. POG: Personalized Outfit Generation for Fashion Recommendation
             at Alibaba iFashion. KDD 2019. arXiv 1905.01866.
"""


def read_pog(
    path: str | os.PathLike[str],
    *,
    max_users: int | None = None,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **settings: Any,
) -> DataBunch:
    """Read POG: clothes with Chinese titles, and the clicks of users.

    Nothing is downloaded. Each line of the user file contains the items that a user clicked before
    an outfit, oldest first. The lines of a user are joined in the order of the file. If a user
    clicks an item several times, only the first click is used, unless `first_only` is False. Clicks
    become impressions with :func:`impressions_from_clicks`. The outfits are not read.

    Parameters
    ----------
    path : str or path-like
        Folder with the unpacked files ``item_data.txt`` (id, category, picture and title, separated
        by commas) and ``user_data.txt`` (user, items separated by semicolons, and outfit, separated
        by commas).
    max_users : int, default=None
        Number of users to read, from the beginning of the file. None reads all 3.6 million users,
        which takes tens of gigabytes of memory.
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
            The clothes: `title` (text, Chinese words separated by blanks) and `category`
            (category).
        train, valid, test : pyarrow.Table
            Impressions, as returned by :func:`impressions_from_clicks`, without `time`.
        feature_names : list of str
            Names of the content columns of `items`.
        DESCR : str
            Description of the data, and what to cite.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a line can't be read, with the file and the line in the message, or if no user has enough
        clicks.

    Notes
    -----
    The format is described at https://github.com/wenyuer/POG.

    References
    ----------
    Wen Chen et al. 2019. POG: Personalized Outfit Generation for Fashion Recommendation at Alibaba
    iFashion. KDD 2019. arXiv 1905.01866.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_pog("POG", max_users=100_000)  # doctest: +SKIP
    """
    if max_users is not None:
        check_count("max_users", max_users, 1)
    settings = check_settings(**{"first_only": True} | settings)
    return read_cached(
        "pog",
        path,
        {"max_users": max_users, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, converter: Converter, max_users: int | None, **settings: Any) -> DataBunch:
    """Read the clothes and the clicks."""
    clothes = find_file(folder, "item_data.txt", what="the clothes")
    users = find_file(folder, "user_data.txt", what="the clicks")
    events = converter.write("events", _read_clicks(users, max_users, converter))
    return dataset_from_ratings(
        _read_clothes(clothes, converter),
        events,
        _DESCR.format(path=folder),
        settings,
        converter,
        event_name="clicks",
    )


def _read_clothes(file: Path, converter: Converter) -> pa.Table:
    """Read the columns of the catalogue. Titles can contain commas."""
    lines = converter.read_table(file, {"line": pa.string()}, "\x1f")["line"].combine_chunks()
    fields = pc.split_pattern(lines, ",", max_splits=3)
    is_valid = pc.list_value_length(fields).to_numpy() == 4
    check_lines(file, 0, lines, is_valid, "an id, a category, a picture and a title")
    item_id, category, _, title = (pc.list_element(fields, at) for at in range(4))
    return pa.table(
        {"item_id": item_id, "title": title, "category": as_category(pa.chunked_array([category]))}
    )


def _read_clicks(file: Path, max_users: int | None, converter: Converter) -> Iterator[pa.Table]:
    """Yield blocks of clicks of the first `max_users` users, with the columns of events."""
    known_users = pa.array([], pa.string())
    for n_before, table in converter.read_rows(file, {"line": pa.string()}, "\x1f"):
        lines = table["line"].combine_chunks()
        fields = pc.split_pattern(lines, ",")
        is_valid = pc.list_value_length(fields).to_numpy() == 3
        check_lines(file, n_before, lines, is_valid, "a user, items and an outfit")
        user, clicked = pc.list_element(fields, 0), pc.list_element(fields, 1)
        if max_users is not None:
            known_users = pa.concat_arrays([known_users, user]).unique()[:max_users]
            is_kept = pc.is_in(user, value_set=known_users)
            user, clicked = user.filter(is_kept), clicked.filter(is_kept)
        items = pc.split_pattern(clicked, ";")
        rows = pc.list_parent_indices(items)
        item = pc.utf8_trim_whitespace(pc.list_flatten(items))
        events = pa.table({"user_id": user.take(rows), "item_id": item})
        yield events.filter(pc.not_equal(item, ""))
        if not len(user):
            return  # all lines of the block belong to other users
