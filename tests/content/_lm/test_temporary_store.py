"""Without `memory`, states are in files without a name, which end with their process."""

import errno
import gc
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from subprocess import PIPE, Popen

import numpy as np
import pytest
import torch
from kept_rows import KEYS, LENGTHS, PAGE_BYTES, WIDTH, Computer, N, assert_right, rows_of

from skrec.content._lm import store as store_module
from skrec.content._lm import temporary_store
from skrec.content._lm.pages import item_keys
from skrec.content._lm.store import PrefixStore
from skrec.content._lm.temporary_store import TemporaryStore, open_store

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """Limit pages to ten float32 rows, so that a few items fill several pages."""
    monkeypatch.setattr(store_module, "PAGE_BYTES", PAGE_BYTES)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Let temporary files be in a folder of the test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def filled(dtype=torch.float32):
    store = TemporaryStore(WIDTH, dtype)
    store.fill(KEYS, LENGTHS, rows_of)
    return store


def n_maps():
    """Count the memory maps of temporary files of this process."""
    return Path("/proc/self/maps").read_text().count("(deleted)")


def test_memory_decides_on_the_store(tmp_path):
    assert isinstance(open_store(None, {}, WIDTH, torch.float32), TemporaryStore)
    assert isinstance(open_store(tmp_path, {}, WIDTH, torch.float32), PrefixStore)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_states_are_as_they_were_computed(dtype, temporary):
    states = filled(dtype).take_layout(KEYS)
    assert_right(states, list(range(N)), dtype)
    assert_right(states, [7, 3, 3, 59], dtype)
    assert not list(temporary.iterdir())


def test_an_item_is_computed_once(temporary):
    compute, reports = Computer(), []
    store = TemporaryStore(WIDTH, torch.float32)
    store.fill(KEYS[:20], LENGTHS[:20], compute)
    twice = np.concatenate([KEYS, KEYS[::-1]])
    lengths = np.concatenate([LENGTHS, LENGTHS[::-1]])
    store.fill(twice, lengths, compute, lambda *done: reports.append(done))
    store.fill(twice, lengths, compute)
    assert compute.items == list(range(N))
    assert len(reports) > 3 and reports[-1] == (N - 20, N - 20)
    with pytest.raises(RuntimeError, match="1 of 1 items have no states in memory; fill"):
        store.take_layout(item_keys(np.array([0, 2]), np.array([5, 6])))


def test_nothing_to_fill(temporary):
    store = TemporaryStore(WIDTH, torch.float32)
    store.fill(KEYS[:0], LENGTHS[:0], Computer())
    assert len(store.take_layout(KEYS[:0]).lengths) == 0


def test_several_threads_compute_each_item_once(temporary):
    store, compute = TemporaryStore(WIDTH, torch.float32), Computer()
    threads = [threading.Thread(target=store.fill, args=(KEYS, LENGTHS, compute)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert compute.items == list(range(N))
    assert_right(store.take_layout(KEYS), list(range(N)))


def test_without_proc_files_are_mapped_by_python(temporary, monkeypatch):
    monkeypatch.setattr(temporary_store.os.path, "exists", lambda path: False)
    states = filled(torch.bfloat16).take_layout(KEYS)
    assert_right(states, list(range(N)), torch.bfloat16)


@on_linux
def test_maps_end_with_the_states_and_small_pages_are_joined(temporary):
    gc.collect()
    before = n_maps()
    store = TemporaryStore(WIDTH, torch.float32)
    for at in range(N):
        store.fill(KEYS[at : at + 1], LENGTHS[at : at + 1], lambda _, at=at: rows_of([at]))
    states = store.take_layout(KEYS)
    assert 0 < n_maps() - before < N // 2
    del store
    assert_right(states, list(range(N)))
    del states
    gc.collect()
    assert n_maps() == before


def test_a_full_disk(temporary, monkeypatch):
    def stored(rows):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(temporary_store, "_stored", stored)
    with pytest.raises(OSError, match=f"no room in '{temporary}' for the states of 60 items"):
        filled()
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 9}))
    with pytest.raises(OSError, match="4,320 bytes needed, 9 bytes free; .* another folder as mem"):
        filled()


CHILD = """
import sys, time
from skrec import ContentRecommender, content
from skrec.datasets import make_headlines

news = make_headlines(n_users=10, n_items=100, n_impressions=60, random_state=0)
rec = ContentRecommender(content.LanguageModel(sys.argv[1], trainable_layers=1), max_epochs=1)
rec.fit(news.train, news.items[["item_id", "title"]])
rec.content_.prepare(rec.items_)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=str)
def test_a_killed_process_leaves_nothing_behind(number, tiny_bert, tmp_path):
    """Python runs no code when it is killed, so that the system must free the states."""
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CHILD, tiny_bert]
    with Popen(command, env=environment, stdout=PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            if sys.platform == "linux":
                assert "(deleted)" in Path(f"/proc/{process.pid}/maps").read_text()
        finally:
            process.send_signal(number)
    assert process.returncode == -number
    assert [path.name for path in tmp_path.rglob("*") if "skrec" in path.name] == []
    assert not list(tmp_path.iterdir())
