"""Plays of songs, in addition to the tests of all rating data sets in _clicks/test_ratings.py."""

from datetime import UTC

import pyarrow as pa
import pytest

from skrec.datasets import read_lastfm
from skrec.datasets._files import files as _files

from ._clicks.families import SETTINGS, events, lastfm_1k


@pytest.mark.parametrize("size", [300, 1 << 24])
def test_plays_of_a_song_are_counted(size, tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "BLOCK_SIZE", size)  # one or several blocks per user
    lastfm_1k(tmp_path)
    data = read_lastfm(tmp_path, threshold=2, **SETTINGS | {"min_clicks": 4})
    assert data.test.schema.field("time").type == pa.timestamp("s")  # as in the other families
    for row in data.test.to_pandas().itertuples():
        twice = [f"B{e[1]:03}" for e in events() if f"A{e[0]}" == row.user_id and e[1] % 5]
        assert list(row.history) == twice[:-2]
    first = {(f"A{e[0]}", f"B{e[1]:03}"): e[3] for e in events()}
    for row in data.test.to_pylist():
        song = row["candidates"][row["clicked"].index(1)]
        assert row["time"].replace(tzinfo=UTC).timestamp() == first[row["user_id"], song]


def test_damaged_times_of_plays_are_named(tmp_path):
    lastfm_1k(tmp_path)
    file = tmp_path / "userid-timestamp-artid-artname-traid-traname.tsv"
    lines = file.read_text(encoding="utf-8").split("\n")
    lines[4] = "A0\tyesterday\t\tBjörk\tB001\tSong"
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=r"traname\.tsv, line 5: time: .*yesterday"):
        read_lastfm(tmp_path, **SETTINGS)
