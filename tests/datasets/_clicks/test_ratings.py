"""Data sets of ratings and purchases, read from small files in the formats of their owners."""

import gzip

import pytest

from skrec import ContentRecommender
from skrec.datasets import read_amazon, read_lastfm
from skrec.datasets._clicks import cut_clicks as _cut_clicks
from skrec.datasets._clicks import ratings as _ratings
from skrec.datasets._files import files as _files

from .families import (
    DAYS,
    FAMILIES,
    N_ITEMS,
    N_USERS,
    NO_TIMES,
    SETTINGS,
    amazon_2018,
    events,
    lastfm,
    lastfm_msd,
)


@pytest.fixture(params=FAMILIES)
def family(request, tmp_path):
    write, read, rated = FAMILIES[request.param]
    write(tmp_path)
    return request.param, (lambda **options: read(tmp_path, **(SETTINGS | options))), rated


def number(value):
    """Return the position of an id: 7 for B007 and for article 107."""
    return int(value[1:]) if isinstance(value, str) else value - 100


def test_histories_and_clicks_are_those_of_the_files(family):
    name, read, rated = family
    if name in NO_TIMES:
        return  # tested below
    data = read()
    test = data.test.to_pandas()
    n_users = 0
    for user in range(N_USERS):
        rows = [e for e in events() if e[0] == user and (not rated or e[2] >= 4)]
        if name in DAYS:
            rows.sort(key=lambda e: (e[3] // 86400, e[1]))
        if len(rows) < SETTINGS["min_clicks"]:
            continue
        own = test[test.user_id.isin([f"A{user}", user])]
        clicked = [
            number(next(i for i, c in zip(row.candidates, row.clicked, strict=True) if c))
            for row in own.itertuples()
        ]
        assert clicked == [e[1] for e in rows[-2:]]
        assert [number(i) for i in own.history.iloc[0]] == [e[1] for e in rows[:-2]]
        met = {e[1] for e in events() if e[0] == user}
        for row in own.itertuples():
            others = {number(i) for i, c in zip(row.candidates, row.clicked, strict=True) if not c}
            assert len(others) == SETTINGS["n_negatives_eval"]
            assert not others & met
        last = own.time.iloc[-1].to_datetime64().astype("datetime64[s]").astype(int)
        assert last == rows[-1][3] - (rows[-1][3] % 86400 if name in DAYS else 0)
        n_users += 1
    assert len(test) == 2 * n_users > 0


def test_items_have_roles_and_content(family):
    name, read, _ = family
    items = read().items
    assert items.n_items == N_ITEMS
    frame = items.to_pandas()
    roles = {
        "amazon 2018": "text text category multi-category",
        "amazon 2023": "text text category multi-category",
        "yelp": "text category category multi-category",
        "goodreads": "text text category category multi-category",
        "hm": "text text" + 8 * " category",
        "microlens": "text",
        "netflix": "text category",
        "hotelrec": "text text category",
        "lastfm": "text",
        "lastfm 1k": "text text",
        "lastfm msd": "text text",
    }
    assert list(items.roles.values()) == roles[name].split()
    second = frame.iloc[1].to_dict()
    if name.startswith("amazon"):
        assert second["title"] == "Game 1"
        assert second["description"] == "A game. Second part."
        assert second["brand"] == "Brand 1"
        assert list(second["categories"]) == ["Video Games", "Shelf 1"]
        assert frame.title[0] == "Game 0"  # the first of two rows with this id
    if name == "yelp":
        assert (second["name"], list(second["categories"])) == ("Café 1", ["Food", "Coffee & Tea"])
    if name == "goodreads":
        assert [len(shelves) for shelves in frame.shelves[:8]] == [0, 1, 2, 3, 4, 5, 5, 5]
        assert list(frame.shelves[2]) == ["shelf 0", "shelf 1"]
    if name == "hm":
        assert second["index_name"] == "Ladies, all"
        assert second["detail_desc"] == 'Top "1", soft'
    if name == "hotelrec":
        hotel = frame.set_index("item_id").loc[107]
        assert hotel.tolist() == ["Hotel 7", "Rome Lazio", "1"]
    if name == "lastfm":
        assert frame.set_index("item_id").name[["B006", "B007"]].tolist() == ["Björk", "B007"]
    if name == "lastfm 1k":
        frame = frame.set_index("item_id")
        assert frame.loc["B007"].tolist() == ['"Song, 7', "Björk"]  # quotes are not special
    if name == "lastfm msd":
        assert frame.title[:2].tolist() == ["Song, 0", "Song, 1"]
        assert second["artist"] == "Björk"
    if name == "netflix":
        assert frame.title[1] == "Été, part 1"
        assert frame.year[1] == "1991"
        assert frame.year.isna().tolist() == [True] + [False] * (N_ITEMS - 1)
    if name == "microlens":
        assert frame.title[:2].tolist() == ["A title", "A title, 1"]


def test_from_the_files_to_fit_and_score(family):
    _, read, _ = family
    data = read()
    rec = ContentRecommender("mean_pooling", max_epochs=1, width=8, random_state=0)
    rec.set_params(early_stopping=False).fit(data.train, data.items)
    assert 0 <= rec.score(data.test) <= 1
    assert "impressions in train" in data.DESCR
    assert data.feature_names == list(data.items.roles)


def test_blocks_of_files_and_rows_change_nothing(family, tmp_path, monkeypatch):
    _, read, _ = family
    whole = read(random_state=3)
    monkeypatch.setattr(_files, "BLOCK_SIZE", 100)
    monkeypatch.setattr(_cut_clicks, "BLOCK_ROWS", 3)
    monkeypatch.setattr(_ratings, "MAX_PENDING_ROWS", 2)
    parts = read(random_state=3, data_home=tmp_path / "home")
    assert parts.items.to_pandas().equals(whole.items.to_pandas())
    assert parts.DESCR == whole.DESCR
    for name in ("train", "valid", "test"):
        assert parts[name].num_rows > 3
        assert parts[name].column(0).num_chunks > 1
        assert parts[name].to_pylist() == whole[name].to_pylist()


def test_settings_are_checked_before_anything_is_read(family, tmp_path):
    _, read, rated = family
    with pytest.raises(TypeError, match="'min_click' is no setting.*did you mean 'min_c"):
        read(min_click=3)
    with pytest.raises(ValueError, match="n_negatives must be an int of at least 1, got 0"):
        read(n_negatives=0)
    with pytest.raises(ValueError, match="no user has min_clicks=99 clicks"):
        read(min_clicks=99)
    if rated:
        with pytest.raises(ValueError, match="threshold"):
            read(threshold=7)


def test_the_highest_rating_can_be_the_threshold(family):
    _, read, rated = family
    if rated:
        assert "of at least 5\n" in read(threshold=5).DESCR


def test_missing_files_are_named(family, tmp_path):
    _, read, _ = family
    # the Netflix Prize can be read without some of its combined_data files
    files = [file for file in sorted(tmp_path.iterdir()) if "combined" not in file.name]
    for file in files:
        file.rename(tmp_path / "elsewhere")
        with pytest.raises(FileNotFoundError, match="looked for .*; found .*elsewhere"):
            read()
        (tmp_path / "elsewhere").rename(file)


def test_damaged_files_are_named(family, tmp_path):
    _, read, _ = family
    for file in sorted(tmp_path.iterdir()):
        data = file.read_bytes()
        text = gzip.decompress(data) if file.suffix == ".gz" else data
        lines = text.split(b"\n")
        lines[2] = b'{"asin": 3, "overall": "x"' if b"{" in text else b"not, this"
        broken = b"\n".join(lines)
        file.write_bytes(gzip.compress(broken) if file.suffix == ".gz" else broken)
        with pytest.raises(ValueError, match=rf"{file.name}, line 3: "):
            read()
        if file.suffix == ".gz":
            file.write_bytes(data[: len(data) // 2])
            with pytest.raises(ValueError, match=f"{file.name}: "):
                read()
        file.write_bytes(data)


def test_the_category_must_be_named_if_there_are_several(tmp_path):
    amazon_2018(tmp_path)
    (tmp_path / "meta_Books.json.gz").write_bytes(gzip.compress(b"{}"))
    with pytest.raises(ValueError, match="several files in .* may be the metadata of products"):
        read_amazon(tmp_path, **SETTINGS)
    assert read_amazon(tmp_path, "Video_Games", **SETTINGS).items.n_items == N_ITEMS


@pytest.mark.parametrize("write", [lastfm, lastfm_msd])
def test_plays_without_times_are_in_a_seeded_order(write, tmp_path):
    write(tmp_path)
    data = read_lastfm(tmp_path, threshold=4, **SETTINGS)
    again = read_lastfm(tmp_path, threshold=4, **SETTINGS)
    other = read_lastfm(tmp_path, threshold=4, random_state=1, **SETTINGS)
    assert data.test.to_pylist() == again.test.to_pylist() != other.test.to_pylist()
    assert "time" not in data.test.column_names
    for row in data.test.to_pandas().itertuples():
        liked = {f"B{e[1]:03}" for e in events() if f"A{e[0]}" == row.user_id and e[2] >= 4}
        assert set(row.history) | set(row.candidates[row.clicked == 1]) <= liked
        assert len(row.history) == len(liked) - 2
