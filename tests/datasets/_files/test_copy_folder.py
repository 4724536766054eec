"""Copies that are damaged, swapped, read-only, or made while their source files change."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xxhash

from skrec.datasets import read_microlens, read_mind
from skrec.datasets._files import copies as _copies
from skrec.datasets._files import copy_folder as _copy_folder
from skrec.datasets._files.converter import Converter

from ..test_mind import NEWS, TRAIN, write_part
from .conftest import write_videos
from .test_copies import SETTINGS

FILES = ["copy.json", "items.parquet", "test.arrow", "train.arrow", "valid.arrow"]


def contents(data):
    """Return all values of a data set, which stay the same if its files change."""
    return {
        "items": data.items.to_pandas().to_dict("list"),
        **{name: data[name].to_pylist() for name in ("train", "valid", "test")},
        "DESCR": data.DESCR,
        "sources": data.sources,
    }


def read(videos, home, **settings):
    return contents(read_microlens(videos, data_home=home, **SETTINGS | settings))


def replace_file(path, text):
    """Write another file with the same name. Tables that map the old one stay readable."""
    path.unlink()
    path.write_bytes(text)


@pytest.mark.parametrize("file", FILES)
def test_one_flipped_bit_is_noticed(file, videos, home, read_files):
    wanted = read(videos, home)
    (folder,) = home.iterdir()
    text = (folder / file).read_bytes()
    rng = np.random.default_rng(0)
    for at in [0, len(text) - 1, *rng.integers(len(text), size=8).tolist()]:
        flipped = bytearray(text)
        flipped[at] ^= 1 << int(rng.integers(8))
        state = (folder / file).stat()
        replace_file(folder / file, flipped)
        os.utime(folder / file, ns=(state.st_atime_ns, state.st_mtime_ns))
        read_files.clear()
        with pytest.warns(UserWarning, match=f"is damaged: {file} differs from what was written"):
            assert read(videos, home) == wanted
        assert len(read_files) == 2
        assert sorted(path.name for path in folder.iterdir()) == FILES


@pytest.mark.parametrize("damage", ["cut", "gone", "longer", "swapped", "folder", "pipe"])
@pytest.mark.parametrize("file", FILES)
def test_other_damage_is_noticed(file, damage, videos, home, read_files):
    wanted = read(videos, home)
    (folder,) = home.iterdir()
    path = folder / file
    text = path.read_bytes()
    if damage == "cut":
        replace_file(path, text[:100])
    elif damage == "gone":
        path.unlink()
    elif damage == "longer":
        replace_file(path, text + b" x")
    elif damage == "swapped":
        other = folder / FILES[FILES.index(file) - 1]
        path.rename(folder / "x")
        other.rename(path)
        (folder / "x").rename(other)
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    else:  # opening a pipe waits for a writer
        path.unlink()
        os.mkfifo(path)
    read_files.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error" if (file, damage) == ("copy.json", "gone") else "ignore")
        assert read(videos, home) == wanted
    assert len(read_files) == 2
    assert sorted(path.name for path in folder.iterdir()) == FILES
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(videos, home) == wanted
    assert len(read_files) == 2


def test_two_swapped_copies_are_noticed(videos, home):
    wanted = [read(videos, home, random_state=seed) for seed in range(2)]
    one, other = home.iterdir()
    one.rename(home / "x")
    other.rename(one)
    (home / "x").rename(other)
    for seed in range(2):
        with pytest.warns(UserWarning, match="is damaged: it is the copy microlens-"):
            assert read(videos, home, random_state=seed) == wanted[seed]
    assert len(list(home.iterdir())) == 2


def reseal(about):
    """Renew the checksum of an edited ``copy.json``."""
    about.pop("checksum", None)
    digest = xxhash.xxh3_128_hexdigest(json.dumps(about, sort_keys=True).encode())
    return about | {"checksum": digest}


@pytest.mark.parametrize(
    "about",
    [
        *([], {}, 3, None, "x", {"checksum": "x"}, [["tables"]]),
        *(reseal({}), reseal({"format": "skrec data set 1"}), reseal({"format": 3})),
        *("tables", "values", "sources", "files", "name", "format"),  # fields that are left out
        *({"tables": 3}, {"tables": ["train"]}, {"tables": [3]}, {"files": []}, {"values": 3}),
        *({"sources": [["x"]]}, {"sources": 3}, {"sources": [3]}, {"name": 3}),
        {"sources": [["x", 1, 2, 3]]},
        {"values": {"items": 3}},
        {"values": {"train": 3}},
    ],
)
def test_a_description_of_wrong_shape_is_replaced(about, videos, home):
    wanted = read(videos, home)
    (folder,) = home.iterdir()
    right = json.loads((folder / "copy.json").read_text())
    if isinstance(about, str) and about in right:
        about = reseal({name: value for name, value in right.items() if name != about})
    elif isinstance(about, dict) and set(about) <= set(right) - {"checksum", "format"} and about:
        about = reseal(right | about)
    (folder / "copy.json").write_text(json.dumps(about))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read(videos, home) == wanted
    assert json.loads((folder / "copy.json").read_text()) == right


def test_a_deeply_nested_description_is_replaced(videos, home):
    wanted = read(videos, home)
    (folder,) = home.iterdir()
    (folder / "copy.json").write_text("[" * 200_000)
    with pytest.warns(UserWarning, match=r"copy\.json differs"):
        assert read(videos, home) == wanted


@pytest.mark.parametrize("place", ["file", "link"])
def test_something_else_in_the_place_of_a_copy_is_replaced(place, videos, home):
    wanted = read(videos, home)
    (folder,) = home.iterdir()
    shutil.rmtree(folder)
    if place == "file":
        folder.write_text("x")
    else:
        folder.symlink_to(home.parent / "nowhere")
    assert read(videos, home) == wanted
    assert read(videos, home) == wanted
    assert [path.name for path in home.iterdir()] == [folder.name]


def test_files_are_checked_once_per_process(videos, home, monkeypatch):
    digests = []
    digest = _copy_folder._digest
    monkeypatch.setattr(_copy_folder, "_digest", lambda path: digests.append(path) or digest(path))
    read(videos, home)
    (folder,) = home.iterdir()
    assert len(digests) == 4  # when they were written
    read(videos, home)
    assert len(digests) == 4
    _copy_folder._checked.clear()  # as in a new process
    for _ in range(3):
        read(videos, home)
    assert len(digests) == 8
    replace_file(folder / "train.arrow", (folder / "train.arrow").read_bytes())
    read(videos, home)
    assert digests[8:] == [folder / "train.arrow"]


def test_all_files_are_flushed_before_the_folder_gets_its_name(videos, home, monkeypatch):
    flushed, names = [], {}
    fsync = os.fsync

    def observe(number):
        path = Path(os.readlink(f"/proc/self/fd/{number}"))
        flushed.append(path.name)
        names[path.name] = [entry.name for entry in home.iterdir() if entry.name[0] != "."]
        fsync(number)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", observe)
    read(videos, home)
    (folder,) = home.iterdir()
    assert sorted(flushed[:5]) == FILES
    assert flushed[5].endswith(".new")
    assert flushed[6] == home.name
    assert [bool(names[name]) for name in (*FILES, flushed[5], home.name)] == [False] * 6 + [True]


def test_a_disk_that_fails_is_an_error(videos, home, monkeypatch):
    def fail(number):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        read(videos, home)
    assert not list(home.iterdir())


@pytest.mark.parametrize(
    ("mask", "folder_mode", "file_mode"), [(0o022, 0o755, 0o644), (0o007, 0o770, 0o660)]
)
def test_modes_follow_the_umask(mask, folder_mode, file_mode, videos, home):
    before = os.umask(mask)
    try:
        read(videos, home)
    finally:
        os.umask(before)
    (folder,) = home.iterdir()
    assert {path.stat().st_mode & 0o777 for path in (home, folder)} == {folder_mode}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {file_mode}


READ_ONLY = """
import os, sys, warnings
from pathlib import Path
sys.path[:0] = {path}
from skrec.datasets import read_microlens
videos, home = Path(sys.argv[1]), Path(sys.argv[2])
if os.geteuid() == 0:
    os.seteuid(65534)  # root may write everywhere
try:
    (home / "x").write_text("")
    print("can write")
except OSError:
    pass
settings = {settings}
with warnings.catch_warnings():
    warnings.simplefilter("error")
    print(read_microlens(videos, data_home=home, **settings).train.num_rows)
try:
    read_microlens(videos, data_home=home, random_state=1, **settings)
except OSError as error:
    print(error)
os.environ["SKREC_DATA"] = str(home)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    print(read_microlens(videos, random_state=1, **settings).train.num_rows)
    print(seen[0].message, seen[0].filename)
"""


@pytest.mark.parametrize("leftover", [False, True])
def test_a_read_only_home_with_a_valid_copy_is_used(leftover):
    # a folder that other users can enter, in contrast to tmp_path
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        videos, home = write_videos(Path(root, "MicroLens")), Path(root, "home")
        n_rows = len(read(videos, home)["train"])
        (folder,) = home.iterdir()
        if leftover:
            (home / f".{folder.name}.lock").touch()
            (home / f".{folder.name}.old").mkdir()
        home.chmod(0o555)
        code = READ_ONLY.format(path=sys.path, settings=SETTINGS)
        command = [sys.executable, "-c", code, str(videos), str(home)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300)
        home.chmod(0o755)
        assert run.returncode == 0, run.stderr
        first, explicit, default, warning = run.stdout.splitlines()
        assert first == default == str(n_rows)
        assert "data_home must be a folder that can be written to, got" in explicit
        assert "no converted copy of" in warning
        assert warning.endswith("<string>")  # the line of the user
        assert len(list(home.iterdir())) == 1 + 2 * leftover


def test_leftovers_are_removed_by_the_next_reading_of_any_copy(videos, home):
    wanted = read(videos, home)
    (folder,) = home.iterdir()
    gone = "hm-0123456789abcdef"
    for name in (folder.name, gone):
        for ending in ("0" * 32 + ".new", "f" * 32 + ".new", "old"):
            (home / f".{name}.{ending}").mkdir()
            (home / f".{name}.{ending}" / "train.arrow").write_text("x")
        (home / f".{name}.lock").touch()
    kept = ["amazon", ".download", f".{gone}.zip", ".x.lock", "notes.old"]
    for name in kept:
        (home / name).mkdir()
    assert read(videos, home) == wanted
    assert sorted(path.name for path in home.iterdir()) == sorted([folder.name, *kept])


def test_the_folder_of_a_process_that_runs_is_left_alone(videos, home):
    from filelock import FileLock

    read(videos, home)
    running = home / ".hm-0123456789abcdef.lock"
    (home / f".hm-0123456789abcdef.{'0' * 32}.new").mkdir()
    with FileLock(running):
        read(videos, home)
        assert len(list(home.iterdir())) == 3
    read(videos, home)
    assert len(list(home.iterdir())) == 1


def change_while_it_is_read(monkeypatch, change, n_times=1):
    """Call `change` after a source file was read, for the first `n_times` conversions."""
    hash_sources, calls = Converter.hash_sources, []

    def wrapped(self):
        calls.append(1)
        if len(calls) <= n_times:
            change()
        hash_sources(self)

    monkeypatch.setattr(Converter, "hash_sources", wrapped)
    return calls


@pytest.mark.parametrize("way", ["replaced", "replaced, same time", "rewritten", "longer"])
def test_a_source_that_changes_during_the_conversion_is_read_again(way, videos, home, monkeypatch):
    titles = videos / "MicroLens-100k_title_en.csv"
    text = titles.read_text()

    def change():
        state = titles.stat()
        new = text.replace("about", "of not") if way != "longer" else text + "\n12,Another"
        if way.startswith("replaced"):
            (videos.parent / "new").write_text(new)
            if way.endswith("time"):
                os.utime(videos.parent / "new", ns=(state.st_atime_ns, state.st_mtime_ns))
            (videos.parent / "new").replace(titles)
        else:
            titles.write_text(new)

    calls = change_while_it_is_read(monkeypatch, change)
    found = read(videos, home)
    assert len(calls) == 2
    assert ("A video of not 0" in found["items"]["title"]) == (way != "longer")
    assert ("Another" in found["items"]["title"]) == (way == "longer")
    assert read(videos, home) == found
    assert len(calls) == 2
    (folder,) = home.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == FILES
    fresh = contents(read_microlens(videos, data_home=home.parent / "other", **SETTINGS))
    assert fresh == found


def test_an_archive_that_is_replaced_after_it_was_opened(tmp_path, home, monkeypatch):
    part = write_part(tmp_path / "part", TRAIN, NEWS)
    archive = tmp_path / "train.zip"

    def pack(path, old="", new=""):
        with zipfile.ZipFile(path, "w") as packed:
            for file in sorted(part.iterdir()):
                packed.writestr(file.name, file.read_text().replace(old, new))

    pack(archive)
    pack(tmp_path / "other.zip", "Votes", "Votos")
    observe, calls = Converter._observe, []

    def replace_first(self, file):
        calls.append(1)
        if len(calls) == 1:
            (tmp_path / "other.zip").replace(archive)
        return observe(self, file)

    monkeypatch.setattr(Converter, "_observe", replace_first)
    for _ in range(2):
        titles = read_mind(archive, data_home=home).items.column("title").to_pylist()
        assert titles[3] == "Votos"
    assert len(calls) == 4


def test_a_source_that_always_changes_is_an_error(videos, home, monkeypatch):
    pairs = videos / "MicroLens-100k_pairs.csv"
    calls = change_while_it_is_read(monkeypatch, lambda: os.utime(pairs), n_times=99)
    with pytest.raises(OSError, match=r"pairs.csv' changed while it was read, 3 times; call again"):
        read(videos, home)
    assert len(calls) == 3
    assert not list(home.iterdir())


def test_a_source_that_is_deleted_during_the_conversion_is_missing(videos, home, monkeypatch):
    titles = videos / "MicroLens-100k_title_en.csv"
    change_while_it_is_read(monkeypatch, titles.unlink)
    with pytest.raises(FileNotFoundError, match="the titles are not in"):
        read(videos, home)
    assert not list(home.iterdir())


def test_an_error_of_a_half_written_source_is_not_final(videos, home, monkeypatch):
    pairs = videos / "MicroLens-100k_pairs.csv"
    whole = pairs.read_text()
    pairs.write_text(whole[:-3] + ",")  # a line without its last field
    read_csv = Converter.read_csv_columns

    def finish_meanwhile(self, *arguments):
        try:
            return read_csv(self, *arguments)
        finally:
            pairs.write_text(whole)

    monkeypatch.setattr(Converter, "read_csv_columns", finish_meanwhile)
    with pytest.raises(OSError, match="changed while it was read"):
        read(videos, home)
    monkeypatch.setattr(Converter, "read_csv_columns", read_csv)
    assert len(read(videos, home)["test"]) == 6


def test_without_a_copy_changed_sources_are_read_again_too(videos, monkeypatch):
    titles = videos / "MicroLens-100k_title_en.csv"
    observe, calls = Converter._observe, []

    def change_first(self, file):
        calls.append(file.name)
        if len(calls) == 2:
            titles.write_text(titles.read_text().replace("about", "of not"))
        return observe(self, file)

    monkeypatch.setattr(Converter, "_observe", change_first)
    data = read_microlens(videos, random_state=None, **SETTINGS)
    assert "A video of not 0" in data.items.column("title").to_pylist()


def test_an_interrupted_conversion_leaves_no_files(videos, home, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    change_while_it_is_read(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        read(videos, home)
    assert not list(home.iterdir())
    assert _copies.N_ATTEMPTS > 1
