"""Parquet files of EB-NeRD: histories, clicked candidates, and the split by day."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skrec import ContentRecommender
from skrec.datasets import read_ebnerd

DAY = datetime.datetime(2023, 5, 18, 7)


def write_part(folder, rows, histories):
    folder.mkdir()
    ids = pa.list_(pa.int32())
    behaviors = {
        "impression_id": pa.array([row[0] for row in rows], pa.uint32()),
        "article_id": pa.array([None for _ in rows], pa.float64()),
        "impression_time": pa.array([row[2] for row in rows], pa.timestamp("us")),
        "article_ids_inview": pa.array([row[3] for row in rows], ids),
        "article_ids_clicked": pa.array([row[4] for row in rows], ids),
        "user_id": pa.array([row[1] for row in rows], pa.uint32()),
    }
    pq.write_table(pa.table(behaviors), folder / "behaviors.parquet")
    past = {
        "user_id": pa.array(list(histories), pa.uint32()),
        "article_id_fixed": pa.array(list(histories.values()), ids),
    }
    pq.write_table(pa.table(past), folder / "history.parquet")


@pytest.fixture
def ebnerd(tmp_path):
    articles = {
        "article_id": pa.array([1, 2, 3, 4], pa.int32()),
        "title": ["Sejr", "Valg", None, "Vejr"],
        "subtitle": ["", "Nyt", "x", None],
        "body": ["long"] * 4,
        "category_str": ["sport", "nyheder", "sport", "nyheder"],
        "topics": [["Fodbold"], [], None, ["Vejr", "Sol"]],
    }
    pq.write_table(pa.table(articles), tmp_path / "articles.parquet")
    write_part(
        tmp_path / "train",
        [
            (11, 7, DAY, [1, 2, 3], [2]),
            (12, 9, DAY, [2, 4], [2]),  # a reader without a history
            (13, 8, DAY + datetime.timedelta(days=1), [1, 4], [4, 1]),
        ],
        {8: [3], 7: [4, 2, 1]},
    )
    write_part(
        tmp_path / "validation", [(14, 7, DAY + datetime.timedelta(days=9), [3, 1], [1])], {7: None}
    )
    return tmp_path


def rows_of(table):
    return [list(row.values()) for row in table.drop("time").to_pylist()]


def test_impressions_are_as_in_the_files(ebnerd):
    data = read_ebnerd(ebnerd)
    assert rows_of(data.train) == [
        [11, 7, [4, 2, 1], [1, 2, 3], [0, 1, 0]],
        [12, 9, [], [2, 4], [1, 0]],
    ]
    assert rows_of(data.valid) == [[13, 8, [3], [1, 4], [1, 1]]]
    assert rows_of(data.test) == [[14, 7, [], [3, 1], [0, 1]]]
    assert data.train["time"].to_pylist() == [DAY, DAY]
    assert "2 impressions of the folder train" in data.DESCR
    assert read_ebnerd(ebnerd, max_history=2).train["history"][0].as_py() == [2, 1]


@pytest.mark.parametrize(("valid_days", "late"), [(1, [3, 4, 5]), (2, [2, 3, 4, 5]), (9, [])])
def test_the_last_days_are_hours(ebnerd, valid_days, late):
    """The owners' days begin at 7 o'clock, so the last date has only 7 hours of the last day."""
    hours = [0, 23, 24.5, 30, 48]
    for file in (ebnerd / "train").iterdir():
        file.unlink()
    (ebnerd / "train").rmdir()
    times = [DAY + datetime.timedelta(hours=hour) for hour in hours]
    assert {time.day for time in times} == {18, 19, 20}
    rows = [(at, 7, time, [1, 2], [2]) for at, time in enumerate(times, start=1)]
    write_part(ebnerd / "train", rows[::-1], {7: [4]})
    if valid_days == 9:
        with pytest.warns(UserWarning, match="valid_days=9 leaves train empty"):
            assert read_ebnerd(ebnerd, valid_days=9).train.num_rows == 0
        return
    data = read_ebnerd(ebnerd, valid_days=valid_days)
    assert sorted(data.valid["impression_id"].to_pylist()) == late
    assert sorted(data.train["impression_id"].to_pylist()) == [
        n for n in range(1, 6) if n not in late
    ]
    assert f"{len(late):,} impressions of these hours" in data.DESCR
    assert f"without its last {24 * valid_days} hours" in data.DESCR


def test_empty_texts_are_no_categories(ebnerd):
    articles = pq.read_table(ebnerd / "articles.parquet").drop(["category_str", "topics"])
    articles = articles.append_column("category_str", pa.array(["sport", "", " ", None]))
    topics = pa.array([["", "Sol"], [" "], None, ["Vejr", None]])
    pq.write_table(articles.append_column("topics", topics), ebnerd / "articles.parquet")
    items = read_ebnerd(ebnerd).items
    assert items.column("category").to_pylist() == ["sport", None, None, None]
    assert [row or [] for row in items.column("topics").to_pylist()] == [["Sol"], [], [], ["Vejr"]]


def test_articles(ebnerd):
    items = read_ebnerd(ebnerd).items
    assert list(items.roles.values()) == ["text", "text", "category", "multi-category"]
    frame = items.to_pandas()
    assert frame.title.tolist() == ["Sejr", "Valg", "", "Vejr"]
    assert frame.category.tolist() == ["sport", "nyheder", "sport", "nyheder"]


def test_from_the_files_to_fit_and_score(ebnerd):
    data = read_ebnerd(ebnerd)
    rec = ContentRecommender("mean_pooling", width=8, early_stopping=False, random_state=0)
    assert 0 <= rec.fit(data.train, data.items).score(data.test) <= 1


def test_without_a_validation_part_and_with_missing_files(ebnerd):
    for file in (ebnerd / "validation").iterdir():
        file.unlink()
    (ebnerd / "validation").rmdir()
    assert read_ebnerd(ebnerd).test.num_rows == 0
    (ebnerd / "train" / "history.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="the histories are not in .*"):
        read_ebnerd(ebnerd)


def test_damaged_files_are_named(ebnerd):
    file = ebnerd / "train" / "behaviors.parquet"
    pq.write_table(pq.read_table(file).drop("user_id"), file)
    with pytest.raises(ValueError, match=r"behaviors.parquet: it has no column 'user_id', only"):
        read_ebnerd(ebnerd)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"behaviors.parquet: "):
        read_ebnerd(ebnerd)
