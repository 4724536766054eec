"""Files of Adressa: one file of events per day, in a folder or an archive."""

import gzip
import io
import json
import tarfile

import pytest

from skrec import ContentRecommender
from skrec.datasets import read_adressa

SETTINGS = {"min_clicks": 4, "n_valid": 1, "n_test": 1, "n_negatives": 2, "n_negatives_eval": 3}
START = 1_483_225_200  # 2017-01-01 00:00 in Norway
N_NEWS = 12


def visit(user, second, news=None):
    event = {"eventId": second, "userId": f"cx:{user}", "time": START + second, "country": "no"}
    if news is None:  # a visit to the front page
        return event | {"url": "http://adressa.no", "activeTime": 8}
    profile = [{"item": "0", "groups": [{"count": 1, "group": "importance", "weight": 1.0}]}]
    article = {
        "id": f"a{news}",
        "title": f"Sak nr. {news}: Blåbærtur på Byåsen",
        "profile": profile,
    }
    sections = {} if news == 0 else {"category1": "nyheter|trondheim" if news % 2 else "sport"}
    words = {} if news == 1 else {"keywords": f"by, tema {news % 3},"}
    return event | article | sections | words


def days():
    """Return the events of two days. The events of a day are not sorted by time."""
    rows = [
        visit(user, 100 * at + user, (user + at) % N_NEWS) for user in range(4) for at in range(6)
    ]
    rows += [visit(10 + news // 3, 7000 + news, news) for news in range(N_NEWS)]
    first, second = rows[::2], [*rows[1::2][::-1], visit(0, 5), visit(0, 90_000, 0)]
    second.append(visit(1, 2, 3) | {"title": None})
    return {"20170101": first, "20170102": second}


def as_text(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


@pytest.fixture(params=["folder", "folder inside", "archive"])
def adressa(request, tmp_path):
    if request.param == "archive":
        with tarfile.open(tmp_path / "one_week.tar.gz", "w:gz") as archive:
            for name, rows in days().items():
                member = tarfile.TarInfo(f"one_week/{name}")
                member.size = len(as_text(rows))
                archive.addfile(member, io.BytesIO(as_text(rows)))
        return tmp_path / "one_week.tar.gz"
    folder = tmp_path / ("one_week" if request.param == "folder inside" else "")
    folder.mkdir(exist_ok=True)
    for name, rows in days().items():
        (folder / name).write_bytes(as_text(rows))
    (folder / "README.txt").write_text("no events")
    return tmp_path


def test_clicks_are_the_articles_that_were_opened_in_order(adressa):
    data = read_adressa(adressa, **SETTINGS)
    (row,) = [row for row in data.test.to_pylist() if row["user_id"] == "cx:0"]
    # the visit to the front page is not a click, and the second click on a0 is not used
    assert row["history"] == [f"a{at}" for at in range(5)]
    clicked = [news for news, click in zip(row["candidates"], row["clicked"], strict=True) if click]
    assert clicked == ["a5"]
    assert row["time"].timestamp() == START + 500
    assert "in 2 day(s)" in data.DESCR


def test_items_are_the_news(adressa):
    items = read_adressa(adressa, **SETTINGS).items
    assert items.roles == {
        "title": "text",
        "category": "category",
        "subcategory": "category",
        "keywords": "multi-category",
    }
    frame = items.to_pandas().set_index("item_id")
    assert len(frame) == N_NEWS
    assert frame.title["a3"] == "Sak nr. 3: Blåbærtur på Byåsen"
    assert (frame.category["a3"], frame.subcategory["a3"]) == ("nyheter", "trondheim")
    assert (frame.category["a2"], frame.subcategory["a2"]) == ("sport", "sport")
    assert frame.category.isna().sum() == 1
    assert list(frame.keywords["a2"]) == ["by", "tema 2"]
    assert list(frame.keywords["a1"]) == []  # empty words are left out


def test_the_first_event_determines_the_content(tmp_path):
    # the first by time, within a day and over days, not the first line
    rows = days()
    early = {"title": "Som først", "time": START - 9}
    rows["20170101"] += [visit(3, 0, 5) | {"title": "Senere", "time": START + 500_000}]
    rows["20170102"] += [visit(3, 0, 5) | early]
    for name, lines in rows.items():
        (tmp_path / name).write_bytes(as_text(lines))
    data = read_adressa(tmp_path, **SETTINGS)
    assert data.items.to_pandas().set_index("item_id").title["a5"] == "Som først"
    (row,) = [row for row in data.test.to_pylist() if row["user_id"] == "cx:3"]
    assert row["history"][0] == "a5"


def test_the_first_category_that_is_not_missing_is_kept(tmp_path):
    rows = days()
    sections = [
        (5, 0, {}),  # the first event of a5 has no category, and the next one an empty text
        (5, 1, {"category1": "", "keywords": " "}),
        (5, 3, {"category1": "kultur|musikk", "keywords": "jazz"}),
        (5, 2, {"category1": None, "keywords": "by, tema"}),
        (5, 4, {"category1": "sport"}),
        (7, 0, {"category1": " "}),
    ]
    for news, second, fields in sections:
        event = visit(3, 0, news) | {"time": START - 1000 + second, "title": f"Sak {second}"}
        for name in ("category1", "keywords"):
            event.pop(name, None)
        rows["20170102" if second % 2 else "20170101"].append(event | fields)
    for name, lines in rows.items():
        (tmp_path / name).write_bytes(as_text(lines))
    frame = read_adressa(tmp_path, **SETTINGS).items.to_pandas().set_index("item_id")
    assert (frame.category["a5"], frame.subcategory["a5"]) == ("kultur", "musikk")
    assert list(frame.keywords["a5"]) == ["by", "tema"]
    assert frame.title["a5"] == "Sak 0"
    assert (frame.category["a7"], frame.subcategory["a7"]) == ("nyheter", "trondheim")


def test_every_click_is_used_on_request(adressa):
    data = read_adressa(adressa, first_only=False, **SETTINGS)
    (row,) = [row for row in data.test.to_pylist() if row["user_id"] == "cx:0"]
    assert row["history"] == ["a0", "a1", "a2", "a3", "a4", "a5"]
    assert row["candidates"][row["clicked"].index(1)] == "a0"


@pytest.mark.parametrize("name", ["userId", "id", "title"])
def test_events_with_empty_fields_are_no_clicks(name, tmp_path):
    empty = [visit(at % 4, 80_000 + at, at % 3) | {name: " " * (at % 2)} for at in range(20)]
    found = []
    for folder, more in (("without", []), ("with", empty)):
        (tmp_path / folder).mkdir()
        for day, lines in days().items():
            (tmp_path / folder / day).write_bytes(as_text([*lines, *more]))
        found.append(read_adressa(tmp_path / folder, first_only=False, **SETTINGS))
    assert found[0].test.equals(found[1].test)
    assert found[0].items.to_pandas().equals(found[1].items.to_pandas())


def test_from_the_files_to_fit_and_score(adressa):
    data = read_adressa(adressa, **SETTINGS)
    rec = ContentRecommender("mean_pooling", max_epochs=1, width=8, early_stopping=False)
    assert 0 <= rec.fit(data.train, data.items).score(data.test) <= 1


def test_damaged_days_are_named(tmp_path):
    (tmp_path / "20170101").write_bytes(as_text(days()["20170101"]) + b'{"id": ')
    with pytest.raises(ValueError, match="20170101, line 19: JSON parse error"):
        read_adressa(tmp_path, **SETTINGS)
    with tarfile.open(tmp_path / "one_week.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "20170101", "one_week/20170101")
    with pytest.raises(ValueError, match=r"tar\.gz, one_week/20170101, line 19: JSON"):
        read_adressa(tmp_path / "one_week.tar.gz", **SETTINGS)
    data = (tmp_path / "one_week.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"cut\.tar\.gz"):
        read_adressa(tmp_path / "cut.tar.gz", **SETTINGS)


def test_paths_without_data(tmp_path):
    with pytest.raises(FileNotFoundError, match="no events in .*looked for files of a day"):
        read_adressa(tmp_path, **SETTINGS)
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_adressa(tmp_path / "one_week.tar.gz", **SETTINGS)
    (tmp_path / "file.gz").write_bytes(gzip.compress(b"x"))
    with pytest.raises(ValueError, match=r"must be a folder or a \.tar\.gz file"):
        read_adressa(tmp_path / "file.gz", **SETTINGS)
    with pytest.raises(TypeError, match="'min_click' is no setting"):
        read_adressa(tmp_path, min_click=3)
