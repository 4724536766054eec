"""POG: clothes of Alibaba's iFashion, and who clicked them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.checks import check_count
from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import as_category, bunch_of_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.copies import kept_copy
from skrec.datasets._files.files import check_lines, find_file
from skrec.datasets._files.reading import Reading

_DESCR = """\
POG as impressions
------------------
Clothes of Alibaba's iFashion with Chinese titles, and what users clicked before they clicked an
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
    """Read POG: clothes, and the order in which users clicked them.

    Nothing is downloaded. Each line of the users' file is what one clicked, oldest first, before
    an outfit; the lines of a user follow each other as in the file, and what was clicked again
    counts the first time only. Clicks become impressions by :func:`impressions_from_clicks`. The
    outfits are not read.

    Parameters
    ----------
    path : str or path-like
        The folder with ``item_data.txt`` (id, category, picture and title, with commas between)
        and ``user_data.txt`` (user, items with semicolons between, and outfit), unpacked.
    max_users : int, default=None
        Number of users to read, the first of the file; None reads all 3.6 millions, which takes
        tens of gigabytes of memory.
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
            The clothes: `title` (text, Chinese words with blanks between) and `category`
            (category).
        train, valid, test : pyarrow.Table
            Impressions, as :func:`impressions_from_clicks` makes them, without `time`.
        feature_names : list of str
            The content columns of `items`.
        DESCR : str
            What the data are, and what to cite.

    Raises
    ------
    FileNotFoundError
        Where a file is missing.
    ValueError
        For a line that can't be read, with file and line, and where no user has enough clicks.

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
    settings = check_settings(**settings)
    return kept_copy(
        "pog",
        path,
        {"max_users": max_users, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, reading: Reading, max_users: int | None, **settings: Any) -> DataBunch:
    clothes = find_file(folder, "item_data.txt", what="the clothes")
    users = find_file(folder, "user_data.txt", what="the clicks")
    events = reading.write("events", _read_clicks(users, max_users, reading))
    description = _DESCR.format(path=folder)
    return bunch_of_ratings(
        _read_clothes(clothes, reading),
        events,
        description,
        settings,
        reading,
        what="clicks",
        first_only=True,
    )


def _read_clothes(file: Path, reading: Reading) -> pa.Table:
    lines = reading.table(file, {"line": pa.string()}, "\x1f")["line"].combine_chunks()
    fields = pc.split_pattern(lines, ",", max_splits=3)
    good = pc.list_value_length(fields).to_numpy() == 4
    check_lines(file, 0, lines, good, "an id, a category, a picture and a title")
    item_id, category, _, title = (pc.list_element(fields, at) for at in range(4))
    return pa.table(
        {"item_id": item_id, "title": title, "category": as_category(pa.chunked_array([category]))}
    )


def _read_clicks(file: Path, max_users: int | None, reading: Reading) -> Iterator[pa.Table]:
    known = pa.array([], pa.string())
    for n_before, table in reading.rows(file, {"line": pa.string()}, "\x1f"):
        lines = table["line"].combine_chunks()
        fields = pc.split_pattern(lines, ",")
        good = pc.list_value_length(fields).to_numpy() == 3
        check_lines(file, n_before, lines, good, "a user, items and an outfit")
        user, clicked = pc.list_element(fields, 0), pc.list_element(fields, 1)
        if max_users is not None:
            known = pa.concat_arrays([known, user]).unique()[:max_users]
            kept = pc.is_in(user, value_set=known)
            user, clicked = user.filter(kept), clicked.filter(kept)
        items = pc.split_pattern(clicked, ";")
        rows = pc.list_parent_indices(items)
        item = pc.utf8_trim_whitespace(pc.list_flatten(items))
        events = pa.table({"user_id": user.take(rows), "item_id": item})
        yield events.filter(pc.not_equal(item, ""))
        if not len(user):
            return  # the lines of further users
