"""The prefix store handles killed processes, damaged files, full disks and wrong folders."""

import contextlib
import errno
import gc
import itertools
import os
import resource
import shutil
import signal
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from kept_rows import (
    KEYS,
    LENGTHS,
    PAGE_BYTES,
    WIDTH,
    Computer,
    N,
    assert_right,
    filled,
    pages_of,
    rows_of,
    start,
    store_in,
)
from safetensors.torch import load_file

from skrec import cache
from skrec.content._lm import pages as _pages
from skrec.content._lm import store as store_module
from skrec.content._lm.pages import item_keys


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """Limit pages to ten float32 rows, so that a few items fill several pages."""
    monkeypatch.setattr(store_module, "PAGE_BYTES", PAGE_BYTES)


def test_an_error_while_computing_keeps_what_was_done(tmp_path):
    # such as Ctrl-C after an hour
    store = store_in(tmp_path)

    def fail(items):
        if 40 in items:
            raise KeyboardInterrupt
        return rows_of(items)

    with pytest.raises(KeyboardInterrupt):
        store.fill(KEYS, LENGTHS, fail)
    assert_right(store.take_layout(KEYS[:30]), list(range(30)))
    compute = Computer()
    store.fill(KEYS, LENGTHS, compute)
    assert 30 < min(compute.items) <= 40


@pytest.mark.parametrize("flip", [1, 0x40, 0x0E, 0xFF])
def test_no_damaged_byte_passes(tmp_path, flip):
    keys, lengths = KEYS[:3], LENGTHS[:3]
    path = _pages.write_page(tmp_path, keys, lengths, rows_of(range(3)).float())
    whole = path.read_bytes()
    padding = 0
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= flip
        path.write_bytes(changed)
        with contextlib.suppress(_pages.DamagedPage):
            page = _pages.open_page(path, WIDTH, torch.float32, verify=True)
            # a space in the header may become other white space
            assert whole[place : place + 1] == b" "
            assert torch.equal(page.rows, rows_of(range(3)).float())
            padding += 1
    assert padding < 64


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def damage_rows(path):
    content = bytearray(path.read_bytes())
    content[-9] ^= 16
    path.write_bytes(content)


def damage_keys(path):
    _, first, _ = _pages.read_header(path)
    content = bytearray(path.read_bytes())
    content[first + 8 * len(load_file(path)["lengths"]) + 3] ^= 16
    path.write_bytes(content)


def damage_header(path):
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)


def damage_empty(path):
    path.write_bytes(b"")


def damage_other_page(path):
    # an intact page of another store
    _pages.write_page(path.parent, KEYS[:1], LENGTHS[:1], torch.ones(1, 2)).rename(path)


@pytest.mark.parametrize(
    "damage", [damage_cut, damage_keys, damage_header, damage_empty, damage_other_page]
)
def test_a_damaged_page_is_computed_again(tmp_path, damage):
    path = pages_of(filled(tmp_path))[3]
    lost = len(load_file(path)["lengths"])
    damage(path)
    store, compute = store_in(tmp_path), Computer()
    with pytest.warns(UserWarning, match=f"{path.name}' is damaged") as caught:
        store.fill(KEYS, LENGTHS, compute)
    assert len(caught) == 1
    assert len(compute.items) == lost
    assert not path.exists()
    assert_right(store.take_layout(KEYS), list(range(N)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store_in(tmp_path).fill(KEYS, LENGTHS, compute)
    assert len(compute.items) == lost


def test_rows_are_verified_on_demand(tmp_path):
    store = filled(tmp_path)
    assert cache.verify(tmp_path).empty
    first, second = pages_of(store)[2:4]
    lost = len(load_file(first)["lengths"]) + len(load_file(second)["lengths"])
    damage_rows(first), damage_cut(second)
    found = cache.verify(tmp_path)
    assert found.file.tolist() == [str(first), str(second)]
    assert found.problem[0] == "its checksum is another"
    assert cache.verify(tmp_path).empty
    compute = Computer()
    store.fill(KEYS, LENGTHS, compute)
    assert len(compute.items) == lost
    assert_right(store_in(tmp_path).take_layout(KEYS), list(range(N)))


def test_opening_does_not_read_the_rows(tmp_path, monkeypatch):
    # otherwise, each start of a process would read a terabyte of states
    filled(tmp_path)
    read, real = [], _pages.xxhash.xxh3_128

    class Counted:
        def __init__(self, first):
            self.hash = real(first)

        def update(self, data):
            read.append(len(data))
            self.hash.update(data)

        def hexdigest(self):
            return self.hash.hexdigest()

    monkeypatch.setattr(_pages.xxhash, "xxh3_128", Counted)
    store_in(tmp_path).fill(KEYS, LENGTHS, rows_of)
    assert sum(read) <= 64 * N  # keys and places


def test_a_page_that_is_written_wrongly_is_refused(tmp_path, monkeypatch):
    write = store_module.write_page

    def damaged(*arguments):
        path = write(*arguments)
        damage_rows(path)
        return path

    monkeypatch.setattr(store_module, "write_page", damaged)
    with pytest.raises(OSError, match="could not be read as it was written"):
        filled(tmp_path)
    assert not pages_of(store_in(tmp_path))


def test_a_damaged_page_is_no_reason_to_stop_info(tmp_path):
    for page, damage in zip(
        pages_of(filled(tmp_path)), [damage_cut, damage_header, damage_empty], strict=False
    ):
        damage(page)
    assert 0 < cache.info(tmp_path).n_items[0] < N


@pytest.mark.slow
def test_two_processes_compute_each_item_once(tmp_path):
    code = """
        import sys
        store = PrefixStore(sys.argv[1], SPEC, 6, torch.float32)
        computed = []
        def compute(items):
            computed.extend(items)
            return rows_of(items)
        print("ready", flush=True)
        sys.stdin.readline()
        store.fill(KEYS, LENGTHS, compute)
        rows, mask = store.take_layout(KEYS).take(torch.arange(N))
        assert torch.equal(rows[mask], rows_of(range(N)).float())
        print(len(computed))
    """
    processes = [start(code, tmp_path) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    computed = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(computed) == N
    assert cache.info(tmp_path).n_items.tolist() == [N]


@pytest.mark.slow
def test_kill_in_the_middle_of_a_page(tmp_path):
    process = start(
        """
        import os, signal, sys
        flush = os.fsync

        def stop(file):
            flush(file)
            if len(list(store.folder.glob("page-*"))) == 3:  # the fourth is written, not renamed
                print("now", flush=True)
                signal.pause()

        os.fsync = stop
        store = PrefixStore(sys.argv[1], SPEC, 6, torch.float32)
        store.fill(KEYS, LENGTHS, rows_of)
        """,
        tmp_path,
    )
    try:
        assert process.stdout.readline() == "now\n"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=120)
    store, compute = store_in(tmp_path), Computer()
    assert len(list(store.folder.glob("*.tmp"))) == 1
    there = sum(len(load_file(page)["lengths"]) for page in pages_of(store))
    assert cache.info(tmp_path).n_items.tolist() == [there]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.fill(KEYS, LENGTHS, compute)
    assert compute.items == list(range(there, N))
    assert cache.info(tmp_path).n_items.tolist() == [N]
    assert_right(store.take_layout(KEYS), list(range(N)))
    assert not list(store.folder.glob("*.tmp"))


@pytest.mark.parametrize("moment", ["mapped", "listed"])
def test_a_page_that_is_cleared_while_it_is_opened(tmp_path, monkeypatch, moment):
    # another process deletes the store meanwhile: everything is computed again, without a warning
    store = filled(tmp_path)
    if moment == "listed":
        (store.folder / "index.bin").unlink()  # with it, pages are mapped, but not opened
    owner, name = {"mapped": (torch, "from_file"), "listed": (store_module, "open_page")}[moment]
    real = getattr(owner, name)

    def clear_first(*arguments, **named):
        monkeypatch.setattr(owner, name, real)
        assert cache.clear(tmp_path) > 0
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, clear_first)
    store, compute = store_in(tmp_path), Computer()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.fill(KEYS, LENGTHS, compute)
    assert sorted(compute.items) == list(range(N))
    assert_right(store.take_layout(KEYS), list(range(N)))


@pytest.mark.parametrize("call", range(4))
def test_folders_that_are_cleared_while_they_are_made(tmp_path, monkeypatch, call):
    # clear() in another process may delete an empty folder in the middle of a mkdir
    calls, real = itertools.count(), Path.mkdir

    def make(path, *arguments, **named):
        if next(calls) == call:
            cache.clear(tmp_path)
            raise FileNotFoundError(errno.ENOENT, "gone", str(path))
        return real(path, *arguments, **named)

    monkeypatch.setattr(Path, "mkdir", make)
    store = store_in(tmp_path)
    store.fill(KEYS, LENGTHS, rows_of)
    assert next(calls) > call
    assert_right(store.take_layout(KEYS), list(range(N)))


def test_a_lock_whose_folder_is_cleared_meanwhile(tmp_path, monkeypatch):
    store, real = store_in(tmp_path), os.open
    calls = itertools.count()

    def open_late(path, *arguments, **named):
        if str(path).endswith(".lock") and next(calls) == 0:
            shutil.rmtree(tmp_path / "prefix")
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "open", open_late)
    store.fill(KEYS, LENGTHS, rows_of)
    assert next(calls) >= 2
    assert_right(store.take_layout(KEYS), list(range(N)))


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system with one megabyte of space."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"mounting a small disk isn't allowed here: {error}")
    try:
        yield disk
    finally:
        gc.collect()  # closes memory-mapped pages
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_is_too_small(small_disk):
    compute = Computer()
    keys, lengths = item_keys(np.arange(3), np.arange(2)), np.full(2, 40_000)
    with pytest.raises(
        OSError, match=r"2 items: 1,920,048 bytes needed, [\d,]+ bytes free"
    ) as caught:
        store_in(small_disk).fill(keys, lengths, compute)
    assert caught.value.errno == errno.ENOSPC
    assert str(small_disk) in str(caught.value)
    assert not compute.items  # the error comes before any computation


def test_a_disk_that_fills_up_meanwhile(small_disk):
    store = store_in(small_disk)
    calls = itertools.count()

    def compute(items):
        if next(calls) == 2:
            with contextlib.suppress(OSError), open(small_disk / "other", "wb", 0) as other:
                while other.write(bytes(256)):
                    pass
        return rows_of(items)

    with pytest.raises(OSError, match=r"bytes needed, 0 bytes free") as caught:
        store.fill(KEYS, LENGTHS, compute)
    assert caught.value.errno == errno.ENOSPC
    assert not list(store.folder.glob("*.tmp"))
    # free the disk again
    (small_disk / "other").unlink()
    missing = Computer()
    store.fill(KEYS, LENGTHS, missing)
    assert 0 < min(missing.items)
    assert_right(store.take_layout(KEYS), list(range(N)))


def test_files_of_limited_size(tmp_path):
    # another kind of quota: the system refuses to extend the file
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    store = store_in(tmp_path)
    keys, lengths = item_keys(np.arange(2), np.arange(1)), np.array([40_000])
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
        with pytest.raises(OSError, match="960,024 bytes needed") as caught:
            store.fill(keys, lengths, lambda items: torch.ones(40_000, WIDTH))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert [path.name for path in store.folder.iterdir()] == ["description.json"]


@pytest.mark.parametrize("use", [store_in, cache.info, cache.clear])
def test_memory_that_is_no_folder(tmp_path, use):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="memory must be the path of a folder, got the file"):
        use(tmp_path / "file")
    with pytest.raises(TypeError, match="memory must be the path of a folder, .*got 3"):
        use(3)


def test_memory_that_can_not_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="memory must be a folder that can be written to, got '.*x'"):
        store_in(tmp_path / "file" / "x")
    if os.path.isdir("/sys/kernel"):
        with pytest.raises(PermissionError, match="written to, got '/sys/kernel'"):
            store_in("/sys/kernel")
