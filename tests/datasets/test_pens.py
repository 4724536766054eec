"""Files of PENS: headers, and separate columns for clicked and other candidates."""

import datetime

import pytest

from skrec import ContentRecommender
from skrec.datasets import read_pens

NEWS = [
    "News ID\tCategory\tTopic\tHeadline\tNews body\tTitle entity\tEntity content",
    'N1\tsports\tgolf\tA "Big" Cup\tLong, very\t{}\t{}',
    "N2\tnews\tworld\tVotes\t\t{}\t{}",
    "N3\tnews\tuk\tRain\tWet\t{}\t{}",
]
HEAD = "UserID\tClicknewsID\tdwelltime\texposure_time\tpos\tneg\tstart\tend\tdwelltime_pos"
TRAIN = [
    HEAD,
    "U1\tN1 N2\t5 6\tx#y\tN3\tN1 N2\t7/3/2019 6:43:49 AM\t7/3/2019 6:50:00 AM\t9",
    "U2\t\t\t\tN1 N2\tN3\t7/4/2019 12:00:01 PM\t7/4/2019 12:05:00 PM\t9 9",
]


@pytest.fixture
def pens(tmp_path):
    for name, rows in {"news": NEWS, "train": TRAIN, "valid": TRAIN[:2]}.items():
        (tmp_path / f"{name}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


def test_impressions_are_as_in_the_files(pens):
    data = read_pens(pens)
    assert [*data.train.to_pylist(), *data.valid.to_pylist()] == [
        {
            "impression_id": 0,
            "user_id": "U1",
            "time": datetime.datetime(2019, 7, 3, 6, 43, 49),
            "history": ["N1", "N2"],
            "candidates": ["N3", "N1", "N2"],
            "clicked": [1, 0, 0],
        },
        {
            "impression_id": 1,
            "user_id": "U2",
            "time": datetime.datetime(2019, 7, 4, 12, 0, 1),
            "history": [],
            "candidates": ["N1", "N2", "N3"],
            "clicked": [1, 1, 0],
        },
    ]
    assert (data.train.num_rows, data.valid.num_rows) == (1, 1)
    assert read_pens(pens, valid_days=0).train.num_rows == 2
    assert data.test["impression_id"].to_pylist() == [2]
    assert list(data.items.roles.values()) == ["text", "text", "category", "category"]
    assert data.items.to_pandas().headline[0] == 'A "Big" Cup'
    (pens / "valid.tsv").unlink()
    assert read_pens(pens).test.num_rows == 0


def test_quotes_are_undone_where_a_field_is_quoted(pens):
    lines = [
        NEWS[0],
        'N1\tsports\t\t"A ""Big"" Cup"\t"Long, very"\t{}\t{}',
        'N2\t"news"\t" "\t"""Votes"""\t""\t{}\t{}',
        'N3\tnews\tuk\t"Rain" or "Sun"\t"Wet" and dry\t{}\t{}',
        'N4\tnews\tuk\t"Rain\t6" of "" rain\t{}\t{}',
    ]
    (pens / "news.tsv").write_text("\n".join(lines), encoding="utf-8")
    frame = read_pens(pens).items.to_pandas()
    assert frame.headline.tolist() == ['A "Big" Cup', '"Votes"', '"Rain" or "Sun"', '"Rain']
    assert frame.body.tolist() == ["Long, very", "", '"Wet" and dry', '6" of "" rain']
    assert frame.category.tolist() == ["sports", "news", "news", "news"]
    assert frame.topic.isna().tolist() == [True, True, False, False]


def test_from_the_files_to_fit_and_score(pens):
    data = read_pens(pens)
    rec = ContentRecommender("mean_pooling", width=8, early_stopping=False, random_state=0)
    assert 0 <= rec.fit(data.train, data.items).score(data.test) <= 1


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("train.tsv", "U1\tN1", "train.tsv, line 3: Expected 9 columns, got 2"),
        ("train.tsv", TRAIN[1].replace("7/3/2019 6:43", "noon"), "train.tsv: .*noon"),
        ("news.tsv", "N2\tnews", "news.tsv, line 3: Expected 7 columns"),
    ],
)
def test_damaged_lines_are_named(pens, file, line, message):
    lines = (pens / file).read_text(encoding="utf-8").splitlines()
    lines[2] = line
    (pens / file).write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_pens(pens)


def test_other_headers_and_missing_files(pens):
    (pens / "news.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(ValueError, match="expected the header News ID"):
        read_pens(pens)
    (pens / "news.tsv").unlink()
    with pytest.raises(FileNotFoundError, match="the news are not in"):
        read_pens(pens)
