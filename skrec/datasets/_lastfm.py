"""Last.fm 360K and 1K, and the Million Song Dataset: what people listened to, and how often."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.random import as_generator
from skrec.datasets._clicks.impressions import check_settings
from skrec.datasets._clicks.ratings import FirstRows, bunch_of_ratings
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.copies import kept_copy
from skrec.datasets._files.files import check_lines, find_file
from skrec.datasets._files.reading import Reading
from skrec.datasets._headlines.make import check_real

_PLAYS = {
    "user_id": pa.string(),
    "mbid": pa.string(),
    "name": pa.string(),
    "plays": pa.string(),  # a few lines have a blank before the number
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
There are no times: the artists of each user are in a random order, which is seeded.

Licence      for research, not for commercial use
Get it       http://ocelma.net/MusicRecommendationDataset/lastfm-360K.html
Format       http://ocelma.net/MusicRecommendationDataset/lastfm-360K.html
Cite         Oscar Celma. 2010. Music Recommendation and Discovery in the Long Tail. Springer.
"""

_DESCR_1K = """\
Last.fm 1K as impressions
-------------------------
All that nearly a thousand users of last.fm played until May 2009, and when, read from
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
There are no times: the songs of each user are in a random order, which is seeded. The owners
found some songs matched to wrong tracks, whose titles are wrong; their list is not applied.

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
    """Read Last.fm 360K (artists) or 1K (songs), or the Million Song Dataset, and who played them.

    Nothing is downloaded. A click is what a user played at least `threshold` times. In 1K, its time
    is that of the first play. The others have no times, so the order of a user's clicks is drawn at
    random; histories tell tastes, not what came before what. Plays become impressions by
    :func:`impressions_from_clicks`.

    Parameters
    ----------
    path : str or path-like
        The unpacked folder with ``usersha1-artmbid-artname-plays.tsv`` (360K), or with
        ``userid-timestamp-artid-artname-traid-traname.tsv`` (1K), or with ``train_triplets.txt``
        and ``unique_tracks.txt`` (the Taste Profile of the Million Song Dataset).
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
            The artists: `name` (text), with the ids of MusicBrainz, or the name where there is
            none. Or the songs: `title` and `artist` (text), with the ids of MusicBrainz (1K) or
            of The Echo Nest (Million Song Dataset).
        train, valid, test : pyarrow.Table
            Impressions, as :func:`impressions_from_clicks` makes them, with `time` in 1K only.
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

    Notes
    -----
    The formats are described at
    http://ocelma.net/MusicRecommendationDataset/lastfm-360K.html,
    http://ocelma.net/MusicRecommendationDataset/lastfm-1K.html and
    http://millionsongdataset.com/tasteprofile/. 1K is what RecBench, from the authors of
    Legommenders, reads as LastFM. The files of tags and similar songs that the Million Song Dataset
    has from Last.fm are not read, for they have no users.

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
    names = (
        "usersha1-artmbid-artname-plays.tsv",
        "userid-timestamp-artid-artname-traid-traname.tsv",
        "train_triplets.txt",
    )
    file = find_file(folder, *names, what="the plays")
    if file.name == names[0]:
        items, plays = _read_artists(file, reading)
        description = _DESCR
    elif file.name == names[1]:
        items, plays = _read_tracks(file, reading)
        description = _DESCR_1K
    else:
        tracks = find_file(folder, "unique_tracks.txt", what="the songs")
        items, plays = _read_songs(tracks, file, reading)
        description = _DESCR_MSD
    order = None
    if "time" not in plays.column_names:
        order = as_generator(settings["random_state"]).permutation(plays.num_rows)
    return bunch_of_ratings(
        items,
        plays,
        description.format(file=file),
        settings,
        reading,
        threshold=threshold,
        what="counts of plays",
        order=order,
    )


def _read_artists(file: Path, reading: Reading) -> tuple[pa.Table, pa.Table]:
    artists = FirstRows()

    def plays() -> Iterator[pa.Table]:
        for n_before, rows in reading.rows(file, _PLAYS):
            artist = pc.if_else(pc.equal(rows["mbid"], ""), rows["name"], rows["mbid"])
            named = pc.not_equal(artist, "")
            artists.add(pa.table({"item_id": artist, "name": rows["name"]}).filter(named))
            yield _plays(rows, artist, file, n_before).filter(named)

    events = reading.write("events", plays())
    return artists.table(), events


def _read_tracks(file: Path, reading: Reading) -> tuple[pa.Table, pa.Table]:
    """Read tracks, and how often users played them and when first, from a line a play."""
    tracks, plays = FirstRows(), []
    pair = ["user_id", "item_id"]
    for _, rows in reading.rows(file, _HEARD):
        named = rows.filter(pc.not_equal(rows["item_id"], ""))
        tracks.add(named.select(["item_id", "title", "artist"]))
        # users follow each other and play songs again: a block has far fewer pairs than lines
        plays.append(named.group_by(pair).aggregate([("time", "min"), ("time", "count")]))
    heard = pa.concat_tables(plays).group_by(pair)
    heard = heard.aggregate([("time_min", "min"), ("time_count", "sum")])
    heard = heard.rename_columns([*pair, "time", "rating"])
    times = heard["time"].cast(pa.timestamp("s"))
    return tracks.table(), heard.set_column(2, "time", times)


def _read_songs(tracks: Path, file: Path, reading: Reading) -> tuple[pa.Table, pa.Table]:
    """Read songs, of which some have several tracks, and how often users played them."""
    songs = reading.table(tracks, _TRACKS, "<SEP>")
    items = {"item_id": songs["song"], "title": songs["title"], "artist": songs["artist"]}
    plays = (
        _plays(rows, rows["item_id"], file, n_before)
        for n_before, rows in reading.rows(file, _TRIPLETS)
    )
    return pa.table(items), reading.write("events", plays)


def _plays(rows: pa.Table, item: pa.ChunkedArray, file: Path, n_before: int) -> pa.Table:
    number = pc.utf8_trim_whitespace(rows["plays"]).combine_chunks()
    good = pc.match_substring_regex(number, r"^\d+(\.\d+)?$").to_numpy(zero_copy_only=False)
    check_lines(file, n_before, number, good, "a number of plays")
    return pa.table(
        {"user_id": rows["user_id"], "item_id": item, "rating": number.cast(pa.float64())}
    )
