"""Converted copies: written once, mapped, and replaced when a source file changes."""

import gzip
import os
import shutil
import threading

import numpy as np
import pyarrow as pa
import pytest

from skrec import ContentRecommender, Items
from skrec.datasets import clear_data_home, get_data_home, read_microlens, read_mind, read_movielens
from skrec.datasets._files import converter as _converter
from skrec.datasets._files import files as _files
from skrec.datasets._files import json_lines as _json_lines

from ..test_mind import DEV, NEWS, TRAIN, write_part

SETTINGS = {"min_clicks": 3, "n_test": 1, "n_negatives_eval": 2, "n_negatives": 1}


def assert_same(one, other):
    assert set(one) == set(other)
    for name, value in dict(one).items():
        if isinstance(value, Items):
            assert value.to_pandas().equals(other[name].to_pandas())
            assert value.roles == other[name].roles
            np.testing.assert_array_equal(value.hashes(), other[name].hashes())
        else:
            assert value == other[name], name


def test_a_second_reading_opens_the_copy(videos, home, read_files):
    first = read_microlens(videos, data_home=home, **SETTINGS)
    assert sorted(read_files) == ["MicroLens-100k_pairs.csv", "MicroLens-100k_title_en.csv"]
    assert sorted(first.sources) == sorted(str(file) for file in videos.iterdir())
    read_files.clear()
    second = read_microlens(videos, data_home=home, **SETTINGS)
    assert not read_files
    assert_same(first, second)
    rec = ContentRecommender("mean_pooling", width=4, max_epochs=1)
    assert 0 <= rec.fit(second.train, second.items).score(second.test) <= 1


def test_other_settings_have_another_copy(videos, home, read_files):
    read_microlens(videos, data_home=home, **SETTINGS)
    read_files.clear()
    other = read_microlens(videos, data_home=home, **SETTINGS | {"n_negatives": 2})
    assert len(read_files) == 2
    assert len(other.train["candidates"][0]) == 3


def test_a_changed_source_is_read_again(videos, home, read_files):
    first = read_microlens(videos, data_home=home, **SETTINGS)
    titles = videos / "MicroLens-100k_title_en.csv"
    state = titles.stat()
    titles.write_text(titles.read_text().replace("about", "of not"))  # as long as before
    os.utime(titles, ns=(state.st_atime_ns, state.st_mtime_ns + 10))
    second = read_microlens(videos, data_home=home, **SETTINGS)
    assert second.items.column("title")[0].as_py() == "A video of not 0"
    assert first.items.column("title")[0].as_py() == "A video about 0"
    read_files.clear()
    read_microlens(videos, data_home=home, **SETTINGS)
    assert not read_files


def test_a_source_that_only_looks_newer_is_not_read_again(videos, home, read_files):
    read_microlens(videos, data_home=home, **SETTINGS)
    os.utime(videos / "MicroLens-100k_pairs.csv")
    read_files.clear()
    read_microlens(videos, data_home=home, **SETTINGS)
    assert not read_files


def test_a_new_part_is_read(tmp_path, home):
    write_part(tmp_path / "MIND" / "MINDsmall_train", TRAIN, NEWS)
    assert read_mind(tmp_path / "MIND", data_home=home).test.num_rows == 0
    write_part(tmp_path / "MIND" / "MINDsmall_dev", DEV, [*NEWS, "N5\tnews\tuk\tNew\t\tu\t[]\t[]"])
    assert read_mind(tmp_path / "MIND", data_home=home).test.num_rows == 1


def test_missing_sources_are_an_error(videos, home):
    read_microlens(videos, data_home=home, **SETTINGS)
    shutil.rmtree(videos)
    with pytest.raises(FileNotFoundError, match="MicroLens"):
        read_microlens(videos, data_home=home, **SETTINGS)


def test_a_failed_conversion_leaves_no_files(videos, home):
    (videos / "MicroLens-100k_pairs.csv").write_text("user,item,timestamp\n1,2,x")
    with pytest.raises(ValueError, match="line 2"):
        read_microlens(videos, data_home=home, **SETTINGS)
    assert not list(home.iterdir())


@pytest.mark.parametrize("seed", [None, np.random.default_rng(0)])
def test_results_without_a_fixed_seed_are_not_cached(videos, home, seed):
    data = read_microlens(videos, data_home=home, random_state=seed, **SETTINGS)
    assert data.train.num_rows
    assert not home.exists()


def test_the_copy_is_mapped_and_contains_only_what_is_returned(tmp_path, home):
    write_part(tmp_path / "MIND" / "MINDsmall_train", TRAIN, NEWS)
    data = read_mind(tmp_path / "MIND", data_home=home)
    (folder,) = home.iterdir()
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["copy.json", "items.parquet", "test.arrow", "train.arrow", "valid.arrow"]
    before = pa.total_allocated_bytes()
    again = read_mind(tmp_path / "MIND", data_home=home).train
    assert again.equals(data.train)
    assert pa.total_allocated_bytes() - before < 1 << 16  # a page or two for the catalogue


def test_threads_make_one_copy(videos, home, read_files):
    results = []
    readers = [
        threading.Thread(
            target=lambda: results.append(read_microlens(videos, data_home=home, **SETTINGS))
        )
        for _ in range(4)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(results) == 4
    for result in results:
        assert_same(results[0], result)
    assert len(list(home.iterdir())) == 1
    assert len(read_files) == 2  # one of them has read the files


def test_the_folder_of_copies(tmp_path, monkeypatch):
    assert get_data_home(tmp_path / "here") == tmp_path / "here"
    monkeypatch.setenv("SKREC_DATA", str(tmp_path / "there"))
    assert get_data_home() == tmp_path / "there"
    monkeypatch.delenv("SKREC_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert get_data_home() == tmp_path / "skrec_data"
    with pytest.raises(TypeError, match="data_home must be None or the path of a folder, got 3"):
        get_data_home(3)
    (tmp_path / "here" / "file").write_text("x")
    clear_data_home(tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_a_home_that_cannot_be_written(videos, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):  # an error, because the user chose the folder
        read_microlens(videos, data_home=tmp_path / "file", **SETTINGS)
    monkeypatch.setenv("SKREC_DATA", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="no converted copy"):
        data = read_microlens(videos, **SETTINGS)
    assert data.train.num_rows


def test_reading_in_blocks_equals_reading_at_once(tmp_path, home, monkeypatch):
    rows = [row.replace("1\t", f"{n}\t", 1) for n, row in enumerate(TRAIN[:1] * 40, start=1)]
    write_part(tmp_path / "MIND" / "train", rows, NEWS)
    whole = read_mind(tmp_path / "MIND", valid_days=0, data_home=home)
    monkeypatch.setattr(_files, "BLOCK_SIZE", 130)
    shutil.rmtree(home)
    blocks = read_mind(tmp_path / "MIND", valid_days=0, data_home=home)
    assert blocks.train.column("history").num_chunks > 10
    assert_same(whole, blocks)
    rows[30] = rows[30].replace("N4-0", "N4")
    (tmp_path / "MIND" / "train" / "behaviors.tsv").write_text("\n".join(rows))
    with pytest.raises(ValueError, match="line 31: N4 must be a news id with -0 or -1"):
        read_mind(tmp_path / "MIND", data_home=home)
    rows[35] = "a\tb"
    rows[30] = rows[29]
    (tmp_path / "MIND" / "train" / "behaviors.tsv").write_text("\n".join(rows))
    with pytest.raises(ValueError, match="line 36: Expected 5 columns, got 2"):
        read_mind(tmp_path / "MIND", data_home=home)


@pytest.mark.parametrize(
    "text", ["", "a", "a\n", "a\n\n", "a\nbb\n\nccc\r\n\r\n", "\n\n", "a\n" * 9]
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_lines_of_blocks_are_the_lines_of_the_file(text, size, tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "BLOCK_SIZE", size)
    (tmp_path / "file").write_bytes(text.encode())
    with open(tmp_path / "file", "rb") as stream:
        blocks = list(_files.iterate_line_blocks(stream))
    assert b"".join(blocks) == text.encode().rstrip(b"\r\n")
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert all(blocks)


def test_progress(videos, home, capsys, monkeypatch):
    read_microlens(videos, data_home=home, **SETTINGS)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(_converter, "REPORT_INTERVAL", 0.0)
    shutil.rmtree(home)
    read_microlens(videos, data_home=home, verbose=True, **SETTINGS)
    printed = capsys.readouterr().err
    assert "MicroLens-100k_pairs.csv: 100% of 0 MB" in printed
    assert "MicroLens-100k_title_en.csv: all 12 rows read" in printed
    assert "MicroLens-100k_pairs.csv: all 24 rows read" in printed


def test_a_copy_of_an_archive(tmp_path, home, read_files):
    import zipfile

    part = write_part(tmp_path / "parts" / "train", TRAIN, NEWS)
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        for file in part.iterdir():
            archive.write(file, file.name)
    data = read_mind(tmp_path / "train.zip", data_home=home)
    assert data.sources == [str(tmp_path / "train.zip")]
    read_files.clear()
    read_mind(tmp_path / "train.zip", data_home=home)
    assert not read_files


def test_a_missing_path(tmp_path, home):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_movielens(tmp_path / "nothing", data_home=home)


@pytest.mark.parametrize("days", [[11, 12, 13, 14], [14, 13, 12, 11], [12, 14, 11, 13, 14, 13]])
@pytest.mark.parametrize("n_days", [1, 2, 9])
@pytest.mark.filterwarnings("ignore:valid_days=9 leaves train empty")
def test_days_are_split_in_blocks_and_at_once_alike(days, n_days, tmp_path, home, monkeypatch):
    monkeypatch.setattr(_files, "BLOCK_SIZE", 60)  # about one row
    row = "{}\tU{}\t11/{}/2019 9:05:58 AM\tN1\tN3-1 N4-0"
    rows = [row.format(at, at, day) for at, day in enumerate(days, start=1)]
    write_part(tmp_path / "MIND" / "train", rows, NEWS)
    data = read_mind(tmp_path / "MIND", valid_days=n_days, data_home=home)
    late = [at for at, day in enumerate(days, start=1) if day > max(days) - n_days]
    assert sorted(data.valid["impression_id"].to_pylist()) == late
    early = set(range(1, len(days) + 1)) - set(late)
    assert sorted(data.train["impression_id"].to_pylist()) == sorted(early)
    assert data.train.num_rows + data.valid.num_rows == len(days)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("size", [10, 1 << 24])
@pytest.mark.parametrize(("bad", "at"), [('{"a": 3}', 1), ("[]", 4), ('{"a": "x', 6)])
def test_the_damaged_line_of_a_json_file_is_named(packed, size, bad, at, tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "BLOCK_SIZE", size)
    lines = ['{"a": "x", "b": 1}', '{"a": null}', "", '{"b": 2}', '{"a": "y"}', '{"a": ""}']
    file = tmp_path / ("lines.json.gz" if packed else "lines.json")

    def read():
        text = "\n".join(lines).encode()
        file.write_bytes(gzip.compress(text) if packed else text)
        return pa.concat_tables(_json_lines.iterate_json_lines(file, {"a": pa.string()}))

    assert read()["a"].to_pylist() == ["x", None, None, "y", ""]
    lines[at - 1] = bad
    with pytest.raises(ValueError, match=rf"{file.name}, line {at}: JSON parse error"):
        read()
