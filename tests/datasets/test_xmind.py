"""xMIND's files: MIND's news in another language, beside MIND."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skrec import ContentRecommender
from skrec.datasets import read_mind, read_xmind

from .test_mind import DEV, NEWS, TRAIN, write_part

TEXTS = {
    "train": [
        'N1\tKombe "Kubwa", limeshinda\tMuhtasari',
        "N2\tÉlan vital\t",  # no abstract
        "N3\tPasi\tNdefu",
        "N4\tKura\tHesabu",
    ],
    "dev": ["N4\tKura\tHesabu", "N5\tMpya\tHabari"],
}


@pytest.fixture
def mind(tmp_path):
    folder = tmp_path / "MINDsmall"
    write_part(folder / "MINDsmall_train", TRAIN, NEWS)
    write_part(folder / "MINDsmall_dev", DEV, [*NEWS[3:], "N5\tnews\tuk\tNew\tText\tu\t[]\t[]"])
    return folder


def as_lines(folder):
    for part, rows in TEXTS.items():
        (folder / f"xMINDsmall_{part}").mkdir(parents=True)
        file = folder / f"xMINDsmall_{part}" / "news.tsv"
        file.write_text("\n".join(rows) + "\n", encoding="utf-8")


def as_parquet(folder):
    folder.mkdir(parents=True)
    for part, rows in TEXTS.items():
        fields = [row.split("\t") for row in rows]
        columns = {
            name: [row[at] or None for row in fields]
            for at, name in enumerate(("nid", "title", "abstract"))
        }
        file = folder / f"{part}.parquet.gzip"
        pq.write_table(pa.table(columns), file, compression="gzip")


@pytest.mark.parametrize("write", [as_lines, as_parquet])
def test_clicks_are_those_of_mind_and_texts_are_not(write, mind, tmp_path):
    write(tmp_path / "xMINDsmall" / "swh")
    data = read_xmind(tmp_path / "xMINDsmall", mind, "swh")
    english = read_mind(mind)
    for name in ("train", "valid", "test"):
        assert data[name].equals(english[name])
    frame = data.items.to_pandas().set_index("item_id")
    assert frame.title.to_dict() == {
        "N1": 'Kombe "Kubwa", limeshinda',
        "N2": "Élan vital",
        "N3": "Pasi",
        "N4": "Kura",
        "N5": "Mpya",
    }
    assert frame.abstract.tolist() == ["Muhtasari", "", "Ndefu", "Hesabu", "Habari"]
    assert data.items.roles == english.items.roles
    assert frame.category.tolist() == english.items.to_pandas().category.tolist()
    assert "CC BY-NC-SA" in data.DESCR and english.DESCR in data.DESCR
    assert set(english.sources) < set(data.sources)
    rec = ContentRecommender("mean_pooling", max_epochs=1, width=8, early_stopping=False)
    assert 0 <= rec.fit(data.train, data.items).score(data.test) <= 1


def test_news_without_a_translation(mind, tmp_path):
    as_lines(tmp_path / "swh")
    (tmp_path / "swh" / "xMINDsmall_dev" / "news.tsv").unlink()
    with pytest.raises(ValueError, match="1 of the 5 news in MIND have no translation.*'N5'.*size"):
        read_xmind(tmp_path / "swh", mind)


def test_damaged_and_missing_files(mind, tmp_path):
    as_lines(tmp_path / "swh")
    file = tmp_path / "swh" / "xMINDsmall_train" / "news.tsv"
    file.write_text("\n".join(["N1\ta\tb", "N2\ta"]))
    with pytest.raises(ValueError, match=r"news\.tsv, line 2: Expected 3 columns, got 2"):
        read_xmind(tmp_path / "swh", mind)
    with pytest.raises(FileNotFoundError, match="no such folder: .*fin"):
        read_xmind(tmp_path, mind, "fin")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no translations in .*looked for news\.tsv"):
        read_xmind(tmp_path / "empty", mind)
    (tmp_path / "odd").mkdir()
    pq.write_table(pa.table({"nid": ["N1"], "title": ["x"]}), tmp_path / "odd" / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet: it has no column 'abstract'"):
        read_xmind(tmp_path / "odd", mind)
