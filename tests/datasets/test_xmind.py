"""Files of xMIND: news of MIND in another language."""

import zipfile

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
        'N3\t"Pasi"\tNdefu',
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


def as_quoted_lines(folder):
    """Write texts that contain quotes in the way of CSV."""
    as_lines(folder)
    file = folder / "xMINDsmall_train" / "news.tsv"
    text = file.read_text(encoding="utf-8")
    text = text.replace('Kombe "Kubwa", limeshinda', '"Kombe ""Kubwa"", limeshinda"')
    file.write_text(text.replace('"Pasi"', '"""Pasi"""'), encoding="utf-8")


def as_archives(folder):
    as_lines(folder)
    for part in TEXTS:
        name = f"xMINDsmall_{part}"
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.write(folder / name / "news.tsv", f"{name}/news.tsv")
        (folder / name / "news.tsv").unlink()
        (folder / name).rmdir()


def as_archives_and_lines(folder):
    """Write unpacked files next to archives, which must not be read."""
    as_lines(folder)
    for part in TEXTS:
        (folder / f"xMINDsmall_{part}.zip").write_bytes(b"not read")


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


@pytest.mark.parametrize(
    "write", [as_lines, as_quoted_lines, as_archives, as_archives_and_lines, as_parquet]
)
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
        "N3": '"Pasi"',
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


def write_large(folder):
    """Write texts of MINDlarge, which numbers its news differently: here N3 has no abstract."""
    (folder / "xMINDlarge_train").mkdir(parents=True)
    rows = [f"N{n}\tNyingine {n}\t{'' if n == 3 else 'Muhtasari'}" for n in range(1, 9)]
    file = folder / "xMINDlarge_train" / "news.tsv"
    file.write_text("\n".join(rows), encoding="utf-8")


def test_translations_of_the_other_size_are_not_taken(mind, tmp_path):
    # folders of the owners contain both sizes, and large sorts first
    as_lines(tmp_path / "swh")
    write_large(tmp_path / "swh")
    assert read_xmind(tmp_path / "swh", mind).items.to_pandas().title[2] == '"Pasi"'
    unnamed = tmp_path / "unnamed"
    unnamed.mkdir()
    for part in ("train", "dev"):
        (mind / f"MINDsmall_{part}").rename(unnamed / part)
    with pytest.raises(
        ValueError, match="translations of MINDsmall and MINDlarge, and .* don't say"
    ):
        read_xmind(tmp_path / "swh", unnamed)
    write_large(tmp_path / "large")
    with pytest.raises(ValueError, match="not of these news of MIND: only 0 lack an abstract"):
        read_xmind(tmp_path / "large", unnamed)
    mind = unnamed.rename(tmp_path / "beside MINDlarge")
    for part in ("train", "dev"):
        (mind / part).rename(mind / f"MINDsmall_{part}")
    with pytest.raises(ValueError, match="has translations of MINDlarge, but mind is MINDsmall"):
        read_xmind(tmp_path / "large", mind)


def test_damaged_and_missing_files(mind, tmp_path):
    as_lines(tmp_path / "swh")
    file = tmp_path / "swh" / "xMINDsmall_train" / "news.tsv"
    file.write_text("\n".join(["N1\ta\tb", "N2\ta"]))
    with pytest.raises(ValueError, match=r"news\.tsv, line 2: Expected 3 columns, got 2"):
        read_xmind(tmp_path / "swh", mind)
    with pytest.raises(FileNotFoundError, match="no such folder: .*fin"):
        read_xmind(tmp_path, mind, "fin")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no translations in .*, news\.tsv and"):
        read_xmind(tmp_path / "empty", mind)
    (tmp_path / "odd").mkdir()
    pq.write_table(pa.table({"nid": ["N1"], "title": ["x"]}), tmp_path / "odd" / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet: it has no column 'abstract'"):
        read_xmind(tmp_path / "odd", mind)
    (tmp_path / "zip").mkdir()
    (tmp_path / "zip" / "xMINDsmall_train.zip").write_bytes(b"cut")
    with pytest.raises(ValueError, match=r"xMINDsmall_train\.zip: File is not a zip file"):
        read_xmind(tmp_path / "zip", mind)
    as_archives(tmp_path / "archives")
    with zipfile.ZipFile(tmp_path / "archives" / "xMINDsmall_dev.zip", "w") as archive:
        archive.writestr("xMINDsmall_dev/news.tsv", "N4\ta\tb\nN5")
    with pytest.raises(ValueError, match=r"xMINDsmall_dev\.zip/.*news\.tsv, line 2: Expected 3"):
        read_xmind(tmp_path / "archives", mind)
