"""Repeated events and empty texts, in the formats of all owners alike."""

import gzip
import json

import pytest

from skrec.datasets import read_amazon, read_hotelrec

from . import families
from .families import (
    DAYS,
    FAMILIES,
    N_ITEMS,
    NO_TIMES,
    SETTINGS,
    amazon_2018,
    hotelrec,
    json_lines,
)

# counts of plays per user and song are no events
WITH_EVENTS = sorted(set(FAMILIES) - {*NO_TIMES, "lastfm 1k"})
EVENTS = families.events()
PARTS = ("train", "valid", "test")


def read_with(events, name, folder, monkeypatch, **settings):
    """Write the files of a family with other events, and read them."""
    monkeypatch.setattr(families, "events", lambda: events)
    folder.mkdir()
    write, read, _ = FAMILIES[name]
    write(folder)
    return read(folder, **SETTINGS | settings)


def rows_of(data):
    return [data[part].to_pylist() for part in PARTS]


@pytest.mark.parametrize("name", WITH_EVENTS)
def test_exact_repeats_count_once(name, tmp_path, monkeypatch):
    wanted = read_with(EVENTS, name, tmp_path / "once", monkeypatch)
    assert wanted.test.num_rows
    repeated = [event for event in EVENTS for _ in range(1 + event[1] % 3)]
    found = read_with(repeated, name, tmp_path / "repeated", monkeypatch)
    assert rows_of(found) == rows_of(wanted)
    assert "with the same user, item and time count once" in found.DESCR


@pytest.mark.parametrize("name", WITH_EVENTS)
def test_only_the_first_click_on_an_item_is_used_on_request(name, tmp_path, monkeypatch):
    wanted = read_with(EVENTS, name, tmp_path / "once", monkeypatch)
    again = [(user, item, stars, second + 900_000) for user, item, stars, second in EVENTS[::4]]
    found = read_with([*EVENTS, *again], name, tmp_path / "again", monkeypatch, first_only=True)
    assert rows_of(found) == rows_of(wanted)
    assert "only the first click of a user on an item" in found.DESCR
    every = read_with([*EVENTS, *again], name, tmp_path / "every", monkeypatch)
    assert rows_of(every) != rows_of(wanted)


@pytest.mark.parametrize("name", sorted(set(WITH_EVENTS) - set(DAYS) - {"microlens"}))
def test_a_click_stays_one_if_a_repeat_has_fewer_stars(name, tmp_path, monkeypatch):
    wanted = read_with(EVENTS, name, tmp_path / "once", monkeypatch)
    worse = [(user, item, 1, second) for user, item, _, second in EVENTS]
    for order in ([*worse, *EVENTS], [*EVENTS, *worse]):
        found = read_with(order, name, tmp_path / f"worse{order[0][2]}", monkeypatch)
        assert rows_of(found) == rows_of(wanted)


def edit_json(file, **fields):
    """Change fields of the first line of a file with JSON objects."""
    text = file.read_bytes()
    lines = (gzip.decompress(text) if file.suffix == ".gz" else text).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    rows[0] |= fields
    json_lines(file, rows)


# for each family: the fields of the first item, and the columns that come from them
EMPTY = {
    "amazon 2018": ({"brand": "", "category": ["", " ", "Shelf"]}, "brand", "categories"),
    "amazon 2023": ({"store": " ", "categories": ["Shelf", ""]}, "brand", "categories"),
    "yelp": ({"city": "", "state": "\t", "categories": ", Shelf, "}, "city state", "categories"),
    "goodreads": (
        {
            "publisher": "",
            "language_code": "",
            "popular_shelves": [{"name": ""}, {"name": "Shelf"}, {"name": None}],
        },
        "publisher language",
        "shelves",
    ),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_texts_are_no_categories(name, tmp_path):
    write, read, _ = FAMILIES[name]
    write(tmp_path)
    fields, columns, listed = EMPTY[name]
    (file,) = [file for file in tmp_path.iterdir() if set(fields) <= set(first_object(file))]
    edit_json(file, **fields)
    items = read(tmp_path, **SETTINGS).items
    for column in columns.split():
        assert items.column(column)[0].as_py() is None
        assert items.column(column).null_count == 1
    assert items.column(listed)[0].as_py() == ["Shelf"]


def first_object(file):
    text = file.read_bytes()
    text = gzip.decompress(text) if file.suffix == ".gz" else text
    return json.loads(text.splitlines()[0])


def test_empty_fields_of_hm_are_no_categories(tmp_path):
    write, read, _ = FAMILIES["hm"]
    write(tmp_path)
    file = tmp_path / "articles.csv"
    file.write_text(file.read_text().replace("Vest,Upper", " ,", 1))
    items = read(tmp_path, **SETTINGS).items
    for column in ("product_type_name", "product_group_name"):
        assert items.column(column)[0].as_py() is None
        assert items.column(column).null_count == 1


def test_reviews_without_an_author_belong_to_nobody(tmp_path):
    hotelrec(tmp_path)
    wanted = read_hotelrec(tmp_path, **SETTINGS)
    file = tmp_path / "HotelRec.txt"
    nobody = [
        json.loads(file.read_text().splitlines()[0])
        | {"author": author, "date": f"2019-01-{day + 1:02d}T00:00:00"}
        | {"hotel_url": f"Hotel_Review-g1-d{day + 100}-Reviews-Inn-Rome.html"}
        for author in ("", " ")
        for day in range(20)
    ]
    file.write_text(file.read_text() + "".join(json.dumps(row) + "\n" for row in nobody))
    found = read_hotelrec(tmp_path, **SETTINGS)
    assert rows_of(found) == rows_of(wanted)
    assert found.DESCR == wanted.DESCR


SCRIPTS = [
    "var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();",
    "\n\n(function(w, d) { w.x = 1; })(window, document);",
    "window.ue_ihb = (window.ue_ihb || window.ueinit || 0) + 1;",
    "<script type='text/javascript'>x()</script>",
    "if (loaded) { script = document.createElement('script') }",
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_titles_that_are_scripts_are_dropped(script, tmp_path):
    amazon_2018(tmp_path)
    wanted = read_amazon(tmp_path, **SETTINGS)
    edit_json(tmp_path / "meta_Video_Games.json.gz", title=script)
    found = read_amazon(tmp_path, **SETTINGS)
    assert rows_of(found) == rows_of(wanted)
    titles = dict(
        zip(found.items.ids.tolist(), found.items.column("title").to_pylist(), strict=True)
    )
    # the product occurs a second time, with a title
    assert titles.pop("B000") == "Game 0 again"
    assert titles == {f"B{i:03}": f"Game {i}" for i in range(1, N_ITEMS)}
    edit_json(tmp_path / "meta_Video_Games.json.gz", title=script, asin="B999")
    items = read_amazon(tmp_path, **SETTINGS).items
    assert items.column("title")[0].as_py() == ""
    assert items.column("description")[0].as_py() == "A game. Second part."


@pytest.mark.parametrize(
    "title", ["The Var = Value Game", "Function (Keys)", "Document. Window", "Get Time (Part 2)"]
)
def test_titles_that_only_look_like_scripts_stay(title, tmp_path):
    amazon_2018(tmp_path)
    edit_json(tmp_path / "meta_Video_Games.json.gz", title=title)
    assert read_amazon(tmp_path, **SETTINGS).items.column("title")[0].as_py() == title


@pytest.mark.parametrize("name", ["amazon 2018", "amazon 2023"])
def test_entities_of_products_are_unescaped(name, tmp_path):
    write, read, _ = FAMILIES[name]
    write(tmp_path)
    (file,) = tmp_path.glob("meta_*")
    brand, categories = ("brand", "category") if "2018" in name else ("store", "categories")
    fields = {
        "title": "Tom &amp; Jerry&#39;s &quot;Game&quot; AT&T &nosuch;",
        "description": ["R&amp;B", "", "&lt;b&gt; &Eacute;t&eacute;"],
        brand: "Black &amp; Decker",
        categories: ["Toys &amp; Games", "&amp;"],
    }
    edit_json(file, **fields)
    items = read(tmp_path, **SETTINGS).items
    columns = ("title", "description", "brand", "categories")
    assert [items.column(column)[0].as_py() for column in columns] == [
        'Tom & Jerry\'s "Game" AT&T &nosuch;',
        "R&B <b> Été",
        "Black & Decker",
        ["Toys & Games", "&"],
    ]
    assert items.column("brand")[1].as_py() == "Brand 1"
