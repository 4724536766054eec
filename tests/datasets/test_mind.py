"""Files of MIND: parts, empty histories, labels, days and damaged lines."""

import datetime
import zipfile

import pytest

from skrec import ContentRecommender
from skrec.datasets import read_mind

NEWS = [
    'N1\tsports\tgolf\tThe "Big" Cup, won\tAn abstract, with "quotes"\turl\t[{"Label": "x"}]\t[]',
    "N2\tnews\tworld\tÉlan vital\t\turl\t[]\t[]",  # no abstract
    "N3\tsports\tnfl\tA pass\tLong\turl\t\t",
    "N4\tnews\tworld\tVotes\tCount\turl\t[]\t[]",
]
TRAIN = [
    "1\tU1\t11/11/2019 9:05:58 AM\tN1 N2\tN3-1 N4-0",
    "2\tU2\t11/12/2019 12:00:00 PM\t\tN1-0 N2-1 N4-1",  # a new reader
    "3\tU1\t11/14/2019 11:59:59 PM\tN1 N2 N3\tN4-0 N2-1",
]
DEV = ["1\tU9\t11/15/2019 8:36:57 AM\tN4\tN5-1 N1-0"]
TEST = ["1\tU9\t11/16/2019 8:36:57 AM\tN4\tN5 N1"]


def write_part(folder, behaviors, news):
    folder.mkdir(parents=True)
    (folder / "behaviors.tsv").write_text("".join(f"{row}\n" for row in behaviors))
    (folder / "news.tsv").write_text("".join(f"{row}\n" for row in news), encoding="utf-8")
    return folder


@pytest.fixture
def mind(tmp_path):
    write_part(tmp_path / "MINDsmall_train", TRAIN, NEWS)
    write_part(tmp_path / "MINDsmall_dev", DEV, [*NEWS[3:], "N5\tnews\tuk\tNew\t\tu\t[]\t[]"])
    return tmp_path


def rows_of(table):
    return table.select(["history", "candidates", "clicked"]).to_pylist()


def test_empty_texts_are_no_categories(mind):
    news = [NEWS[0].replace("sports\tgolf", "\t "), *NEWS[1:]]
    (mind / "MINDsmall_train" / "news.tsv").write_text("\n".join(news), encoding="utf-8")
    items = read_mind(mind).items
    for name in ("category", "subcategory"):
        assert items.column(name)[0].as_py() is None
        assert items.column(name).null_count == 1


def test_impressions_are_as_in_the_files(mind):
    data = read_mind(mind)
    assert rows_of(data.train) == [
        {"history": ["N1", "N2"], "candidates": ["N3", "N4"], "clicked": [1, 0]},
        {"history": [], "candidates": ["N1", "N2", "N4"], "clicked": [0, 1, 1]},
    ]
    assert rows_of(data.valid) == [  # the last day
        {"history": ["N1", "N2", "N3"], "candidates": ["N4", "N2"], "clicked": [0, 1]}
    ]
    assert rows_of(data.test) == [
        {"history": ["N4"], "candidates": ["N5", "N1"], "clicked": [1, 0]}
    ]
    assert data.unlabelled is None
    ids = [data[name]["impression_id"].to_pylist() for name in ("train", "valid", "test")]
    assert ids == [[1, 2], [3], [4]]
    assert data.train["user_id"].to_pylist() == ["U1", "U2"]
    assert data.train["time"][0].as_py() == datetime.datetime(2019, 11, 11, 9, 5, 58)
    assert data.train["time"][1].as_py() == datetime.datetime(2019, 11, 12, 12)
    assert data.valid["time"][0].as_py() == datetime.datetime(2019, 11, 14, 23, 59, 59)


def test_news_of_all_parts_once(mind):
    items = read_mind(mind).items
    assert items.ids.tolist() == ["N1", "N2", "N3", "N4", "N5"]
    assert items.roles == {
        "title": "text",
        "abstract": "text",
        "category": "category",
        "subcategory": "category",
    }
    frame = items.to_pandas().set_index("item_id")
    assert frame.title["N1"] == 'The "Big" Cup, won'
    assert frame.abstract["N2"] == ""
    assert frame.title["N2"] == "Élan vital"
    assert frame.subcategory.tolist() == ["golf", "world", "nfl", "world", "uk"]


def test_archives_and_the_part_without_labels(mind, tmp_path):
    write_part(tmp_path / "x" / "MINDsmall_test", TEST, NEWS[:1])
    with zipfile.ZipFile(mind / "MINDsmall_test.zip", "w") as archive:
        for file in (tmp_path / "x" / "MINDsmall_test").iterdir():
            archive.write(file, f"MINDsmall_test/{file.name}")
    data = read_mind(mind)
    assert data.unlabelled.column_names[-1] == "candidates"
    assert data.unlabelled["candidates"].to_pylist() == [["N5", "N1"]]
    assert data.unlabelled["impression_id"].to_pylist() == [5]
    assert "Unlabelled   1 impressions" in data.DESCR


def test_one_part_alone(mind):
    data = read_mind(mind / "MINDsmall_train", valid_days=0)
    assert (data.train.num_rows, data.valid.num_rows, data.test.num_rows) == (3, 0, 0)


def test_from_the_files_to_fit_and_score(mind):
    data = read_mind(mind)
    rec = ContentRecommender(max_epochs=1, width=8, early_stopping=False, random_state=0)
    rec.fit(data.train, data.items)
    assert 0 <= rec.score(data.test) <= 1
    assert len(rec.predict_proba(data.valid)) == 1


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("behaviors.tsv", "2\tU2\tN1", r"behaviors.tsv, line 2: Expected 5 columns, got 3"),
        ("behaviors.tsv", "x\tU2\t11/12/2019 1:00:00 PM\t\tN1-0", "line 2: impression_id: .*'x'"),
        ("behaviors.tsv", "2\tU2\tyesterday\t\tN1-0", "behaviors.tsv: .*'yesterday'"),
        (
            "behaviors.tsv",
            "2\tU2\t11/12/2019 1:00:00 PM\t\tN1-0 N2",
            "line 2: N2 must be a news id",
        ),
        ("news.tsv", "N2\tnews\tworld", r"news.tsv, line 2: Expected 8 columns, got 3"),
    ],
)
def test_damaged_lines_are_named(mind, file, line, message):
    path = mind / "MINDsmall_train" / file
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1] = line
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_mind(mind)


def test_folders_without_mind(tmp_path, mind):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_mind(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no part of MIND in .*found "):
        read_mind(tmp_path / "empty")
    (mind / "MINDsmall_dev" / "news.tsv").unlink()
    with pytest.raises(FileNotFoundError, match="no MIND data in .*looked for behaviors.tsv, news"):
        read_mind(mind)
    with pytest.raises(ValueError, match="valid_days must be an int of at least 0, got -1"):
        read_mind(mind, valid_days=-1)


def test_parts_of_two_sizes(mind):
    write_part(mind / "MINDlarge_test", TEST, NEWS[:1])
    with pytest.raises(ValueError, match="parts of MIND large and small, which number their news"):
        read_mind(mind)
