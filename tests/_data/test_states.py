"""Cached states of many items, read from memory-mapped files."""

import gc
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from kept_rows import (
    KEYS,
    LENGTHS,
    PAGE_BYTES,
    SPEC,
    WIDTH,
    Computer,
    N,
    assert_right,
    filled,
    pages_of,
    rows_of,
    store_in,
)

from skrec import cache
from skrec.content._lm import store as store_module
from skrec.content._lm.pages import item_keys
from skrec.content._lm.store import PrefixStore

DTYPES = [torch.bfloat16, torch.float16, torch.float32, torch.float64]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """Use pages of ten float32 rows, so that a few items need several pages."""
    monkeypatch.setattr(store_module, "PAGE_BYTES", PAGE_BYTES)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_is_taken_is_what_was_computed(tmp_path, dtype):
    states = filled(tmp_path, dtype).take_layout(KEYS)
    assert len(states.pages) > 5  # tests the loop over pages
    assert states.lengths.dtype == torch.int64
    assert states.lengths.tolist() == LENGTHS.tolist()
    assert states.lengths_of(torch.tensor([1, 0])).tolist() == LENGTHS[[1, 0]].tolist()
    assert_right(states, list(range(N)), dtype)
    assert_right(states, [59, 0, 3, 3, 41, 0], dtype)
    assert_right(states, [], dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_items_of_one_page(tmp_path, monkeypatch, dtype):
    # tests the branch for one page, which writes in place
    monkeypatch.setattr(store_module, "PAGE_BYTES", 64 << 20)
    states = filled(tmp_path, dtype).take_layout(KEYS)
    assert len(states.pages) == 1
    assert_right(states, [59, 0, 3, 3, 41, 0], dtype)
    assert_right(states, [4, 9], dtype)  # without padding


def test_layout_follows_the_keys_asked_for(tmp_path):
    states = filled(tmp_path).take_layout(KEYS[[7, 7, 30]])
    rows, mask = states.take(torch.tensor([2, 0, 1]))
    assert torch.equal(rows[mask], rows_of([30, 7, 7]).float())


@pytest.mark.parametrize("page_bytes", [WIDTH * 4, 1 << 20])
def test_items_without_rows(tmp_path, monkeypatch, page_bytes):
    # they may fill a page, or be at the end of one, where there is no row to read
    monkeypatch.setattr(store_module, "PAGE_BYTES", page_bytes)
    lengths = np.array([0, 2, 1, 0])
    keys = item_keys(np.arange(5), np.arange(4))
    store = store_in(tmp_path)
    store.fill(keys, lengths, lambda items: torch.ones(int(lengths[items].sum()), WIDTH))
    rows, mask = store.take_layout(keys).take(torch.arange(4))
    assert mask.sum(1).tolist() == lengths.tolist()
    assert torch.equal(rows, mask.unsqueeze(2).expand_as(rows).float())
    empty, mask = store.take_layout(keys).take(torch.tensor([0, 3]))
    assert empty.shape == (2, 1, WIDTH)
    assert not empty.any()
    assert not mask.any()


def mapping(path):
    """Return the address range of a mapped file, and its resident kilobytes."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.endswith(str(path)))
    resident = next(line for line in lines[at:] if line.startswith("Rss:"))
    low, high = lines[at].split()[0].split("-")
    return range(int(low, 16), int(high, 16)), int(resident.split()[1])


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="needs Linux's /proc")
def test_pages_are_mapped_and_read_row_by_row(tmp_path, monkeypatch):
    # states of a large catalogue don't fit in memory
    monkeypatch.setattr(store_module, "PAGE_BYTES", 64 << 20)
    keys, lengths = item_keys(np.arange(5), np.arange(4)), np.full(4, 1500)
    wide = PrefixStore(tmp_path, SPEC, 2048, torch.bfloat16)
    wide.fill(keys, lengths, lambda items: torch.ones(6000, 2048))
    (page,) = pages_of(wide)
    del wide
    gc.collect()
    store = PrefixStore(tmp_path, SPEC, 2048, torch.bfloat16)
    states = store.take_layout(keys)
    where, resident = mapping(page)
    assert states.pages[0].data_ptr() in where
    assert resident < 64  # the checksum was not computed from the mapping
    states.take(torch.tensor([2]))
    assert 5_000 < mapping(page)[1] < 15_000  # 6,000 of 24,000 KB, plus what the system reads ahead


def test_reading_warns_of_nothing(tmp_path):
    filled(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_right(store_in(tmp_path).take_layout(KEYS), [1, 2])


def test_states_survive_clear(tmp_path):
    store = filled(tmp_path)
    states = store.take_layout(KEYS)
    cache.clear(tmp_path)
    assert_right(states, list(range(N)))
    # the store starts again, and its states can be read
    compute = Computer()
    store.fill(KEYS, LENGTHS, compute)
    assert len(compute.items) == N
    assert cache.info(tmp_path).n_items.tolist() == [N]


def test_states_for_a_device(tmp_path):
    states = filled(tmp_path).take_layout(KEYS)
    moved = states.to("meta")  # in place of a GPU
    rows, mask = moved.take(torch.tensor([1, 4]))
    assert rows.device.type == mask.device.type == "meta"
    assert rows.shape == (2, 5, WIDTH)
    assert_right(moved.to(torch.device("cpu")), [1, 4])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_states_on_a_gpu(tmp_path):
    states = filled(tmp_path).take_layout(KEYS)
    codes = torch.arange(N, device="cuda")
    rows, mask = states.to("cuda").take(codes)
    expected, real = states.take(codes)
    assert torch.equal(rows.cpu(), expected)
    assert torch.equal(mask.cpu(), real)
