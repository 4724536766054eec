"""Processes share the work of filling a store, and many small pages become few."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from kept_rows import (
    KEYS,
    LENGTHS,
    PAGE_BYTES,
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
from skrec.content._lm import store_folders as folders
from skrec.content._lm.page_index import PageIndex
from skrec.content._lm.pages import Page
from skrec.content._lm.store import _range_of


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """Limit pages to ten float32 rows, so that a few items fill several pages."""
    monkeypatch.setattr(store_module, "PAGE_BYTES", PAGE_BYTES)


@pytest.fixture
def ranges(monkeypatch):
    """Fill ranges of keys, as if much were missing."""
    monkeypatch.setattr(store_module, "RANGE_BYTES", 0)
    monkeypatch.setattr(store_module, "MANY_PAGES", 10**9)


def test_ranges_have_all_keys():
    counts = np.bincount(_range_of(KEYS), minlength=folders.N_RANGES)
    assert len(counts) == folders.N_RANGES
    assert counts.min() > 0


def test_filling_by_ranges_computes_each_item_once(tmp_path, ranges):
    store, compute, calls = store_in(tmp_path), Computer(), []
    store.fill(KEYS[:9], LENGTHS[:9], rows_of)
    store.fill(KEYS, LENGTHS, compute, lambda *step: calls.append(step))
    assert sorted(compute.items) == list(range(9, N))
    assert_right(store.take_layout(KEYS), list(range(N)))
    assert cache.info(tmp_path).n_items.tolist() == [N]
    done, whole = zip(*calls, strict=True)
    assert set(whole) == {N - 9}
    assert done[-1] == N - 9


def test_two_workers_compute_at_the_same_time(tmp_path, ranges):
    barrier, started = threading.Barrier(2, timeout=60), threading.local()
    computed = [[], []]

    def fill(number):
        def compute(items):
            if not hasattr(started, "yes"):
                started.yes = True
                barrier.wait()  # breaks if one waits for the other
            computed[number].extend(items.tolist())
            return rows_of(items)

        store = store_in(tmp_path)
        store.fill(KEYS, LENGTHS, compute)
        assert_right(store.take_layout(KEYS), list(range(N)))

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(fill, range(2)))
    assert sorted(computed[0] + computed[1]) == list(range(N))
    assert not set(_range_of(KEYS[computed[0]])) & set(_range_of(KEYS[computed[1]]))


def test_an_error_in_a_range_keeps_what_was_done(tmp_path, ranges):
    n_calls = []

    def fail(items):
        n_calls.append(len(items))
        if len(n_calls) == 5:
            raise KeyboardInterrupt
        return rows_of(items)

    with pytest.raises(KeyboardInterrupt):
        store_in(tmp_path).fill(KEYS, LENGTHS, fail)
    compute = Computer()
    store_in(tmp_path).fill(KEYS, LENGTHS, compute)
    assert len(compute.items) == N - sum(n_calls[:4])


def fill_one_by_one(store):
    for item in range(N):
        store.fill(KEYS[[item]], LENGTHS[[item]], lambda at, item=item: rows_of([item]))


def test_many_small_fills_make_few_files(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "PAGE_BYTES", 10 * PAGE_BYTES)
    store = store_in(tmp_path)
    early = store.take_layout(KEYS[:0])
    fill_one_by_one(store)
    assert len(pages_of(store)) < 2 * store_module.MANY_PAGES
    assert cache.info(tmp_path).n_items.tolist() == [N]
    for each in (store, store_in(tmp_path)):
        assert_right(each.take_layout(KEYS), list(range(N)))
    assert len(early.lengths) == 0
    assert cache.verify(tmp_path).empty


def test_states_that_were_taken_stay_readable_when_pages_are_joined(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "MANY_PAGES", 10**9)
    store = store_in(tmp_path)
    fill_one_by_one(store)
    states, other = store.take_layout(KEYS), store_in(tmp_path)
    other.fill(KEYS[:1], LENGTHS[:1], rows_of)
    assert len(pages_of(store)) == N
    monkeypatch.setattr(store_module, "MANY_PAGES", 2)
    monkeypatch.setattr(store_module, "PAGE_BYTES", 1 << 20)
    store._tidy()
    assert len(pages_of(store)) == 1
    assert_right(states, list(range(N)))
    assert_right(other.take_layout(KEYS), list(range(N)))
    compute = Computer()
    other.fill(KEYS, LENGTHS, compute)
    assert compute.items == []


def test_pages_are_not_joined_while_another_process_fills(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "MANY_PAGES", 2)
    monkeypatch.setattr(store_module, "PAGE_BYTES", 1 << 20)
    store = store_in(tmp_path)
    monkeypatch.setattr(store, "_small_pages", lambda: ["a", "b", "c"])
    monkeypatch.setattr(store, "_join", None)
    joining = threading.Thread(target=store._tidy)
    with folders.range_locked(store.folder, 3):
        joining.start()
        joining.join(60)
        assert not joining.is_alive()


def test_a_damaged_page_is_not_joined(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "MANY_PAGES", 10**9)
    store = store_in(tmp_path)
    fill_one_by_one(store)
    page = pages_of(store)[7]
    content = bytearray(page.read_bytes())
    content[-2] ^= 4
    page.write_bytes(content)
    monkeypatch.setattr(store_module, "MANY_PAGES", 2)
    monkeypatch.setattr(store_module, "PAGE_BYTES", 1 << 20)
    store._tidy()
    assert page.exists() and len(pages_of(store)) == 2
    assert cache.verify(tmp_path).file.tolist() == [str(page)]
    compute = Computer()
    store.fill(KEYS, LENGTHS, compute)
    assert len(compute.items) == 1
    assert_right(store.take_layout(KEYS), list(range(N)))


def test_locks_of_all_ranges_are_deleted_by_clear(tmp_path, ranges):
    filled(tmp_path)
    cache.clear(tmp_path)
    assert not list(tmp_path.iterdir())


def open_nothing(*arguments, **named):
    raise AssertionError("a page was opened")


def test_a_stored_index_is_read_in_place_of_the_pages(tmp_path, monkeypatch):
    filled(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "open_page", open_nothing)
        store, compute = store_in(tmp_path), Computer()
        store.fill(KEYS, LENGTHS, compute)
        assert_right(store.take_layout(KEYS), list(range(N)))
    assert compute.items == []


def test_pages_that_the_index_lacks_are_added_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "GROWTH", 100)
    few = store_in(tmp_path)
    few.fill(KEYS[:7], LENGTHS[:7], rows_of)
    written = (few.folder / folders.INDEX_NAME).read_bytes()
    filled(tmp_path)
    assert (few.folder / folders.INDEX_NAME).read_bytes() == written
    store, compute = store_in(tmp_path), Computer()
    store.fill(KEYS, LENGTHS, compute)
    assert compute.items == []
    assert_right(store.take_layout(KEYS), list(range(N)))
    # pages without keys in memory are opened again if others disappear
    page = next(page for page in pages_of(store) if page.name not in few._pages)
    page.unlink()
    store.fill(KEYS, LENGTHS, compute)
    assert 0 < len(compute.items) < 15
    assert_right(store.take_layout(KEYS), list(range(N)))


@pytest.mark.parametrize("place", [3, 40, -5, -900])
def test_a_damaged_index_is_not_believed(tmp_path, place):
    index = filled(tmp_path).folder / folders.INDEX_NAME
    content = bytearray(index.read_bytes())
    content[place] ^= 8
    index.write_bytes(content)
    store, compute = store_in(tmp_path), Computer()
    store.fill(KEYS, LENGTHS, compute)
    assert compute.items == []
    assert_right(store.take_layout(KEYS), list(range(N)))


def test_an_index_of_changed_or_missing_pages_is_not_believed(tmp_path):
    store = filled(tmp_path)
    first, second = pages_of(store)[:2]
    first.write_bytes(b"")
    with pytest.warns(UserWarning, match="is damaged"):
        store_in(tmp_path).fill(KEYS, LENGTHS, rows_of)
    second.unlink()
    again, compute = store_in(tmp_path), Computer()
    again.fill(KEYS, LENGTHS, compute)
    assert compute.items
    assert_right(again.take_layout(KEYS), list(range(N)))


def test_merged_keys_equal_sorted_ones():
    rng = np.random.default_rng(0)
    pages, index = [], PageIndex()
    for size in (5, 0, 3, 9, 1):
        keys = rng.choice(KEYS, size, replace=False)
        lengths = rng.integers(0, 4, size)
        page = Page(keys, lengths, torch.zeros(int(lengths.sum()), 2))
        pages.append(page)
        index = index.with_pages([page])
    wanted = PageIndex(pages)
    for own, other in zip(
        (index.keys, index.bases, *index.places),
        (wanted.keys, wanted.bases, *wanted.places),
        strict=True,
    ):
        np.testing.assert_array_equal(own, other)


def test_rows_on_another_type_are_joined_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "PAGE_BYTES", 10 * PAGE_BYTES)
    store = store_in(tmp_path, torch.bfloat16)
    fill_one_by_one(store)
    assert_right(store.take_layout(KEYS), list(range(N)), torch.bfloat16)
