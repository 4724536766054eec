"""Last.fm 360K: which artists people listened to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec.datasets._bunch import DataBunch
from skrec.datasets._copies import Reading, kept_copy
from skrec.datasets._files import find_file
from skrec.datasets._headlines import as_generator, check_real
from skrec.datasets._impressions import check_settings
from skrec.datasets._rated import bunch_of_ratings

_PLAYS = {
    "user_id": pa.string(),
    "mbid": pa.string(),
    "name": pa.string(),
    "plays": pa.string(),  # a few lines have a blank before the number
}
_DESCR = """\
Last.fm 360K as impressions
---------------------------
Artists that users of last.fm played, read from
{file}
There are no times: the artists of each user are in a random order, which is seeded.

Licence      for research, not for commercial use
Get it       http://ocelma.net/MusicRecommendationDataset/lastfm-360K.html
Cite         Oscar Celma. 2010. Music Recommendation and Discovery in the Long Tail. Springer.
"""


def read_lastfm(
    path: str | os.PathLike[str],
    *,
    threshold: float = 1,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **settings: Any,
) -> DataBunch:
    """Read Last.fm 360K: artists and who played them.

    Nothing is downloaded. A click is an artist that a user played at least `threshold` times. The
    data have no times, so the order of a user's artists is drawn at random; histories tell tastes,
    not what came before what. Plays become impressions by :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        The folder with ``usersha1-artmbid-artname-plays.tsv``.
    threshold : float, default=1
        Lowest number of plays that is a click.
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
            The artists: `name` (text). Their ids are those of MusicBrainz, or the name where there
            is none.
        train, valid, test : pyarrow.Table
            Impressions, as :func:`impressions_from_clicks` makes them, without `time`.
        feature_names : list of str
            The content columns of `items`.
        DESCR : str
            What the data are, and what to cite.

    Raises
    ------
    FileNotFoundError
        Where the file is missing.
    ValueError
        For a line that can't be read, with file and line, and where no user has enough clicks.

    References
    ----------
    Oscar Celma. 2010. Music Recommendation and Discovery in the Long Tail. Springer.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_lastfm("lastfm-dataset-360K")  # doctest: +SKIP
    """
    check_real("threshold", threshold, 0, float("inf"))
    settings = check_settings(**settings)
    return kept_copy(
        "lastfm",
        path,
        {"threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, reading: Reading, threshold: float, **settings: Any) -> DataBunch:
    file = find_file(folder, "usersha1-artmbid-artname-plays.tsv", what="the plays")
    rows = reading.table(file, _PLAYS)
    try:
        plays = pc.utf8_trim_whitespace(rows["plays"]).cast(pa.float64())
    except pa.ArrowInvalid as error:
        raise ValueError(f"{file}: plays: {error}") from error
    artist = pc.if_else(pc.equal(rows["mbid"], ""), rows["name"], rows["mbid"])
    order = as_generator(settings["random_state"]).permutation(rows.num_rows)
    events = pa.table({"user_id": rows["user_id"], "item_id": artist, "rating": plays})
    events = events.take(pa.array(order))
    return bunch_of_ratings(
        pa.table({"item_id": artist, "name": rows["name"]}),
        events.filter(pc.not_equal(events["item_id"], "")),
        _DESCR.format(file=file),
        settings,
        threshold=threshold,
        what="counts of plays",
    )
