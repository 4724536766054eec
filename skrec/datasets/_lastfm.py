"""Reader of Last.fm 360K, Last.fm 1K and the Million Song Dataset: plays of artists or songs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.checks import check_real
from skrec._common.random import as_generator
from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import ItemCollector, dataset_from_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.files import check_lines, find_file

_PLAYS = {
    "user_id": pa.string(),
    "mbid": pa.string(),
    "name": pa.string(),
    "plays": pa.string(),  # text, because a few lines have a blank before the number
}
_TRIPLETS = {"user_id": pa.string(), "item_id": pa.string(), "plays": pa.string()}
_HEARD = {
    "user_id": pa.string(),
    "time": pa.timestamp("s", "UTC"),
    **dict.fromkeys(["artist_mbid", "artist", "item_id", "title"], pa.string()),
}
_TRACKS = dict.fromkeys(["track", "song", "artist", "title"], pa.string())
_DESCR = """\
Last.fm 360K as impressions
---------------------------
Artists that users of last.fm played, read from
{file}
There are no times: the artists of each user are in a seeded random order.

Licence      for research, not for commercial use
Get it       http://ocelma.net/MusicRecommendationDataset/lastfm-360K.html
Format       http://ocelma.net/MusicRecommendationDataset/lastfm-360K.html
Cite         Oscar Celma. 2010. Music Recommendation and Discovery in the Long Tail. Springer.
"""

_DESCR_1K = """\
Last.fm 1K as impressions
-------------------------
All plays of nearly a thousand users of last.fm until May 2009, with times, read from
{file}
Plays of a track without an id are left out. A click is a track at the time of its first play.

Licence      for research, not for commercial use
Get it       http://ocelma.net/MusicRecommendationDataset/lastfm-1K.html
Format       http://ocelma.net/MusicRecommendationDataset/lastfm-1K.html
Cite         Oscar Celma. 2010. Music Recommendation and Discovery in the Long Tail. Springer.
"""

_DESCR_MSD = """\
Million Song Dataset as impressions
-----------------------------------
Songs that users played, as the Taste Profile subset of the Million Song Dataset counts them, with
the songs' titles and artists, read from
{file}
There are no times: the songs of each user are in a seeded random order. The owners found that some
songs are matched to wrong tracks and have wrong titles. Their list of these songs is not applied.

Licence      for research, not for commercial use
Get it       http://millionsongdataset.com/tasteprofile/
Format       http://millionsongdataset.com/faq/
Cite         Thierry Bertin-Mahieux et al. 2011. The Million Song Dataset. ISMIR 2011.
"""


def read_lastfm(
    path: str | os.PathLike[str],
    *,
    threshold: float = 1,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **settings: Any,
) -> DataBunch:
    """Read plays of artists (Last.fm 360K) or songs (Last.fm 1K, Million Song Dataset).

    Nothing is downloaded. A click is an artist or song that a user played at least `threshold`
    times. In Last.fm 1K, the time of a click is the time of the first play. The other data sets
    have no times, so the clicks of a user are in random order: histories show the taste of a user,
    but not the order of events. Plays become impressions with :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        Unpacked folder with ``usersha1-artmbid-artname-plays.tsv`` (360K), with
        ``userid-timestamp-artid-artname-traid-traname.tsv`` (1K), or with ``train_triplets.txt``
        and ``unique_tracks.txt`` (Taste Profile of the Million Song Dataset).
    threshold : float, default=1
        Lowest number of plays that is a click.
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
            The artists: `name` (text), with MusicBrainz ids. The id of an artist without one is the
            name. Or the songs: `title` and `artist` (text), with the ids of MusicBrainz (1K) or of
            The Echo Nest (Million Song Dataset).
        train, valid, test : pyarrow.Table
            Impressions, as returned by :func:`impressions_from_clicks`, with `time` only for
            Last.fm 1K.
        feature_names : list of str
            Names of the content columns of `items`.
        DESCR : str
            Description of the data, and what to cite.

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ValueError
        If a line can't be read, with the file and the line in the message, or if no user has enough
        clicks.

    Notes
    -----
    The formats are described at
    http://ocelma.net/MusicRecommendationDataset/lastfm-360K.html,
    http://ocelma.net/MusicRecommendationDataset/lastfm-1K.html and
    http://millionsongdataset.com/tasteprofile/. Last.fm 1K is the data set that RecBench,
    by the authors of Legommenders, calls LastFM. The Last.fm tags and similar songs of the Million
    Song Dataset are not read, because they contain no users.

    References
    ----------
    Oscar Celma. 2010. Music Recommendation and Discovery in the Long Tail. Springer.

    Thierry Bertin-Mahieux, Daniel P. W. Ellis, Brian Whitman, Paul Lamere. 2011. The Million Song
    Dataset. ISMIR 2011.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_lastfm("lastfm-dataset-360K")  # doctest: +SKIP
    """
    check_real("threshold", threshold)
    settings = check_settings(**settings)
    return read_cached(
        "lastfm",
        path,
        {"threshold": threshold, **settings},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(folder: Path, converter: Converter, threshold: float, **settings: Any) -> DataBunch:
    """Find out which data set a folder contains, and read it."""
    names = (
        "usersha1-artmbid-artname-plays.tsv",
        "userid-timestamp-artid-artname-traid-traname.tsv",
        "train_triplets.txt",
    )
    file = find_file(folder, *names, what="the plays")
    if file.name == names[0]:
        items, plays = _read_artists(file, converter)
        description = _DESCR
    elif file.name == names[1]:
        items, plays = _read_tracks(file, converter)
        description = _DESCR_1K
    else:
        tracks = find_file(folder, "unique_tracks.txt", what="the songs")
        items, plays = _read_songs(tracks, file, converter)
        description = _DESCR_MSD
    order = None
    if "time" not in plays.column_names:
        order = as_generator(settings["random_state"]).permutation(plays.num_rows)
    return dataset_from_ratings(
        items,
        plays,
        description.format(file=file),
        settings,
        converter,
        threshold=threshold,
        event_name="counts of plays",
        order=order,
    )


def _read_artists(file: Path, converter: Converter) -> tuple[pa.Table, pa.Table]:
    """Read the artists and their numbers of plays of Last.fm 360K."""
    artists = ItemCollector()

    def plays() -> Iterator[pa.Table]:
        for n_before, rows in converter.read_rows(file, _PLAYS):
            artist = pc.if_else(pc.equal(rows["mbid"], ""), rows["name"], rows["mbid"])
            has_id = pc.not_equal(artist, "")
            artists.add(pa.table({"item_id": artist, "name": rows["name"]}).filter(has_id))
            yield _plays(rows, artist, file, n_before).filter(has_id)

    events = converter.write("events", plays())
    return artists.table(), events


def _read_tracks(file: Path, converter: Converter) -> tuple[pa.Table, pa.Table]:
    """Read the songs of Last.fm 1K, and the number and first time of plays per user and song."""
    tracks, plays = ItemCollector(), []
    pair = ["user_id", "item_id"]
    for _, rows in converter.read_rows(file, _HEARD):
        with_id = rows.filter(pc.not_equal(rows["item_id"], ""))
        tracks.add(with_id.select(["item_id", "title", "artist"]))
        # the plays of a user are consecutive, so a block has far fewer pairs than lines
        plays.append(with_id.group_by(pair).aggregate([("time", "min"), ("time", "count")]))
    heard = pa.concat_tables(plays).group_by(pair)
    heard = heard.aggregate([("time_min", "min"), ("time_count", "sum")])
    heard = heard.rename_columns([*pair, "time", "rating"])
    times = heard["time"].cast(pa.timestamp("s"))
    return tracks.table(), heard.set_column(2, "time", times)


def _read_songs(tracks: Path, file: Path, converter: Converter) -> tuple[pa.Table, pa.Table]:
    """Read the songs and numbers of plays of the Million Song Dataset. Songs can repeat."""
    songs = converter.read_table(tracks, _TRACKS, "<SEP>")
    items = {"item_id": songs["song"], "title": songs["title"], "artist": songs["artist"]}
    plays = (
        _plays(rows, rows["item_id"], file, n_before)
        for n_before, rows in converter.read_rows(file, _TRIPLETS)
    )
    return pa.table(items), converter.write("events", plays)


def _plays(rows: pa.Table, item: pa.ChunkedArray, file: Path, n_before: int) -> pa.Table:
    """Return the numbers of plays as ratings, or raise if one is not a number."""
    number = pc.utf8_trim_whitespace(rows["plays"]).combine_chunks()
    is_valid = pc.match_substring_regex(number, r"^\d+(\.\d+)?$").to_numpy(zero_copy_only=False)
    check_lines(file, n_before, number, is_valid, "a number of plays")
    return pa.table(
        {"user_id": rows["user_id"], "item_id": item, "rating": number.cast(pa.float64())}
    )
