"""The prefix store computes each item once; `info` lists it, `clear` deletes everything."""

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
from safetensors.torch import load_file

from skrec import cache
from skrec.content._lm import pages as _pages
from skrec.content._lm import store as store_module
from skrec.content._lm.page_index import PageIndex
from skrec.content._lm.pages import item_keys
from skrec.content._lm.store import PrefixStore


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """Limit pages to ten float32 rows, so that a few items fill several pages."""
    monkeypatch.setattr(store_module, "PAGE_BYTES", PAGE_BYTES)


def test_an_item_is_computed_once(tmp_path):
    compute = Computer()
    store = store_in(tmp_path)
    twice = np.concatenate([KEYS, KEYS[::-1]])
    store.fill(twice, np.concatenate([LENGTHS, LENGTHS[::-1]]), compute)
    assert compute.items == list(range(N))
    # neither the same object nor another one computes it again
    store.fill(KEYS, LENGTHS, compute)
    store_in(tmp_path).fill(KEYS, LENGTHS, compute)
    assert len(compute.items) == N
    assert cache.info(tmp_path).n_items.tolist() == [N]


def test_only_missing_items_are_computed(tmp_path):
    store = store_in(tmp_path)
    store.fill(KEYS[:20], LENGTHS[:20], rows_of)
    compute = Computer()
    store.fill(KEYS, LENGTHS, compute)
    assert compute.items == list(range(20, N))
    assert_right(store.take_layout(KEYS), list(range(N)))


def test_another_spec_or_width_or_dtype_is_another_store(tmp_path):
    # states of another layer or template must never be read
    stores = [
        store_in(tmp_path),
        store_in(tmp_path, layer=[3]),
        store_in(tmp_path, torch.bfloat16),
        PrefixStore(tmp_path, SPEC, WIDTH + 1, torch.float32),
    ]
    assert len({store.folder for store in stores}) == 4
    assert store_in(tmp_path).folder == stores[0].folder
    assert store_in(str(tmp_path)).folder == stores[0].folder


def test_nothing_to_fill(tmp_path):
    store = store_in(tmp_path)
    store.fill(KEYS[:0], LENGTHS[:0], rows_of)
    states = store.take_layout(KEYS[:0])
    assert len(states.lengths) == 0
    assert not pages_of(store)


def test_items_that_were_not_filled(tmp_path):
    store = store_in(tmp_path)
    store.fill(KEYS[:2], LENGTHS[:2], rows_of)
    with pytest.raises(RuntimeError, match="58 of 60 items have no states"):
        store.take_layout(KEYS)


def test_compute_of_wrong_shape(tmp_path):
    # otherwise, rows of one item would be read as those of the next item
    with pytest.raises(RuntimeError, match=r"must return rows \(6, 6\), got \(5, 6\)"):
        store_in(tmp_path).fill(KEYS[:3], LENGTHS[:3], lambda items: rows_of(items)[1:])


def test_pages_hold_about_page_bytes_and_progress_tells_of_each(tmp_path):
    calls = []
    store = store_in(tmp_path)
    store.fill(KEYS, LENGTHS, rows_of, lambda *step: calls.append(step))
    done, whole = zip(*calls, strict=True)
    assert set(whole) == {N}
    assert done[-1] == N
    assert list(done) == sorted(set(done))
    assert len(pages_of(store)) == len(calls)
    assert all(5 <= len(load_file(page)["rows"]) <= 15 for page in pages_of(store))


def test_pages_of_another_object_are_seen(tmp_path):
    early = store_in(tmp_path)
    early.fill(KEYS[:5], LENGTHS[:5], rows_of)
    filled(tmp_path)
    assert_right(early.take_layout(KEYS), list(range(N)))


def test_pages_are_safetensors_files(tmp_path):
    pages = [load_file(page) for page in pages_of(filled(tmp_path))]
    by_key = {
        bytes(key): rows
        for page in pages
        for key, rows in zip(
            page["keys"].numpy(), page["rows"].split(page["lengths"].tolist()), strict=True
        )
    }
    assert torch.equal(by_key[KEYS[13].ljust(16, b"\0")], rows_of([13]).float())


def test_keys_are_of_the_token_ids_alone():
    ids = np.array([1, 2, 3, 1, 2, 3, 3, 2, 1, 1, 2])
    offsets = np.array([0, 3, 6, 9, 11, 11])
    keys = item_keys(offsets, ids)
    assert len(set(keys.tolist())) == 4
    assert keys[0] == keys[1]
    assert np.array_equal(keys, item_keys(offsets, ids.astype(np.int32)))
    # other keys would make all stored states of users useless
    assert keys[0].hex() == "d0d66ae2837a0117026f21f9c50dcf1f"
    assert keys[4].hex() == "99aa06d3014798d86001c324468d497f"


def test_keys_that_end_in_zero_bytes_differ():
    keys = np.array([b"a" * 15, b"a" * 15 + b"\1", b"a" * 14, b"\0"], dtype="S16")
    index = PageIndex([_pages.Page(keys[:2], np.ones(2, np.int64), torch.ones(2, 3))])
    assert index.find(keys)[1].tolist() == [True, True, False, False]


def test_foreign_files_are_neither_read_nor_deleted(tmp_path):
    store = filled(tmp_path)
    foreign = [
        tmp_path / "thesis.txt",
        tmp_path / "prefix" / "notes.txt",
        tmp_path / "prefix" / "other" / "page-1.safetensors",
        store.folder / "notes.txt",
        store.folder / "page-mine.safetensors",
        store.folder / "half.tmp",
        store.folder.with_name("0" * 32) / "description.json",
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store_in(tmp_path).fill(KEYS, LENGTHS, rows_of)
        store_in(tmp_path).fill(KEYS[:0], LENGTHS[:0], rows_of)
    assert len(cache.info(tmp_path)) == 1
    cache.clear(tmp_path)
    left = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(foreign)


def test_info(tmp_path):
    filled(tmp_path)
    store_in(tmp_path, torch.bfloat16, max_length=5).fill(KEYS[:7], LENGTHS[:7], rows_of)
    table = cache.info(str(tmp_path)).sort_values("n_items", ignore_index=True)
    assert table.model.tolist() == ["tiny", "tiny"]
    assert table.layer.tolist() == [[2], [2]]
    assert table.kind.tolist() == ["rows", "rows"]
    assert table.dtype.tolist() == ["bfloat16", "float32"]  # number types of the stored rows
    assert table.max_length.tolist() == [5, 9]
    assert table.n_items.tolist() == [7, N]
    assert table.n_tokens.tolist() == [LENGTHS[:7].sum(), LENGTHS.sum()]
    assert str(table.created.dtype).endswith("UTC]")
    on_disk = [
        sum(path.stat().st_size for path in Path(folder).iterdir()) for folder in table.folder
    ]
    assert table.bytes.tolist() == on_disk


def test_clear_leaves_no_trace(tmp_path):
    filled(tmp_path)
    store_in(tmp_path, layer=[3])  # a store without pages
    kept = cache.info(tmp_path).bytes.sum()
    assert cache.clear(tmp_path) == kept
    assert not list(tmp_path.iterdir())
    assert cache.clear(tmp_path) == 0


@pytest.mark.parametrize("make", [False, True])
def test_nothing_is_kept_there(tmp_path, make):
    memory = tmp_path / "memory"
    if make:
        memory.mkdir()
    table = cache.info(memory)
    assert table.shape == (0, 10)
    assert list(table)[:2] == ["model", "layer"]
    assert table.n_items.sum() == 0
    assert cache.clear(memory) == 0
    assert memory.exists() == make


def test_a_full_store_needs_no_lock(tmp_path):
    # the store may be on a disk that the user cannot write to
    store = filled(tmp_path)
    store.folder.with_suffix(".lock").unlink(missing_ok=True)
    store_in(tmp_path).fill(KEYS, LENGTHS, rows_of)
    assert not store.folder.with_suffix(".lock").exists()
