"""Pages are believed in their own store only, and several threads may use one store."""

import json
import os
import shutil
import signal
import threading

import numpy as np
import pytest
import torch
import xxhash
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

from skrec import cache
from skrec.content._lm import pages as _pages
from skrec.content._lm import store as store_module


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """Limit pages to ten float32 rows, so that a few items fill several pages."""
    monkeypatch.setattr(store_module, "PAGE_BYTES", PAGE_BYTES)


def read_again(memory, message):
    """Return the items that a new store computes, with a warning about a page."""
    compute, store = Computer(), store_in(memory)
    with pytest.warns(UserWarning, match=message):
        store.fill(KEYS, LENGTHS, compute)
    assert_right(store.take_layout(KEYS), list(range(N)))
    return sorted(compute.items)


def test_a_page_of_another_model_is_not_believed(tmp_path):
    one, other = filled(tmp_path), store_in(tmp_path, layer=[3])
    other.fill(KEYS, LENGTHS, lambda items: -rows_of(items))
    page = pages_of(one)[0]
    items = np.flatnonzero(np.isin(KEYS, _pages.open_page(page, WIDTH, torch.float32).keys))
    shutil.copy(pages_of(other)[0], page)
    assert read_again(tmp_path, "it belongs to another store") == items.tolist()


def rewrite(path, edit):
    """Change the header of a page, with a right checksum."""
    tensors, start, _ = _pages.read_header(path)
    body = path.read_bytes()[start:]
    lengths = np.frombuffer(body[: 8 * tensors["keys"]["shape"][0]], "<i8").copy()
    body = edit(tensors, lengths).tobytes() + body[lengths.nbytes :]
    digest = xxhash.xxh3_128(json.dumps([path.parent.name, tensors], sort_keys=True).encode())
    digest.update(body)
    metadata = {"format": _pages.FORMAT, "store": path.parent.name, "checksum": digest.hexdigest()}
    header = json.dumps({"__metadata__": metadata, **tensors}).encode()
    header += b" " * (-(8 + len(header)) % 64)
    path.write_bytes(len(header).to_bytes(8, "little") + header + body)


def longer(tensors, lengths):
    lengths[0] += 1
    return lengths


def negative(tensors, lengths):
    lengths[:2] = -1, lengths[:2].sum() + 1
    return lengths


def overflowing(tensors, lengths):
    lengths[:2] = 2**62
    return lengths


def fewer_items(tensors, lengths):
    tensors["keys"]["shape"][0] -= 1
    return lengths


def wider(tensors, lengths):
    tensors["rows"]["shape"] = [1, 10**9]
    return lengths


@pytest.mark.parametrize("edit", [longer, negative, overflowing, fewer_items, wider])
def test_shapes_agree_with_lengths(tmp_path, edit):
    page = pages_of(filled(tmp_path))[0]
    rewrite(page, edit)
    assert read_again(tmp_path, "is damaged: (its items have|the description of its)")


def test_a_page_of_the_first_format_is_computed_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(_pages, "FORMAT", "skrec prefix page 1")
        filled(tmp_path)
    assert read_again(tmp_path, "its header is not that of a skrec prefix page 2") == list(range(N))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_folder_in_the_place_of_a_page(tmp_path, make):
    store = filled(tmp_path)
    page = pages_of(store)[0]
    page.unlink()
    make(page)
    again, compute = store_in(tmp_path), Computer()
    again.fill(KEYS, LENGTHS, compute)
    assert compute.items
    assert_right(again.take_layout(KEYS), list(range(N)))
    assert len(cache.info(tmp_path)) == 1
    cache.clear(tmp_path)
    assert page.exists()


def test_a_pipe_in_the_place_of_the_description(tmp_path):
    store = store_in(tmp_path)
    os.mkfifo(store.folder / "description.json")
    store.fill(KEYS, LENGTHS, rows_of)
    assert cache.info(tmp_path).n_items.tolist() == [N]


def test_a_page_that_becomes_a_pipe_does_not_hang(tmp_path):
    page = pages_of(filled(tmp_path))[0]
    page.unlink()
    os.mkfifo(page)
    with pytest.raises(_pages.DamagedPage, match="it is not a file"):
        _pages.open_page(page, WIDTH, torch.float32)


def test_several_threads_use_one_store(tmp_path):
    store, compute, errors = store_in(tmp_path), Computer(), []
    barrier = threading.Barrier(8)

    def use(seed):
        rng = np.random.default_rng(seed)
        try:
            barrier.wait()
            for _ in range(20):
                items = np.sort(rng.choice(N, size=7, replace=False))
                store.fill(KEYS[items], LENGTHS[items], lambda at, own=items: compute(own[at]))
                states = store.take_layout(KEYS[items])
                rows, mask = states.take(torch.arange(len(items)))
                assert torch.equal(rows[mask], rows_of(items).float())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len(compute.items) == len(set(compute.items))


@pytest.mark.slow
def test_kill_at_random_moments_loses_nothing(tmp_path):
    """Thirty processes are killed while they fill the store; what they wrote is right."""
    rng = np.random.default_rng(0)
    code = """
    import time
    def slowly(items):
        time.sleep(0.002)
        return rows_of(items)
    print("begin", flush=True)
    store_in(sys.argv[1]).fill(KEYS, LENGTHS, slowly)
    print("done", flush=True)
    """
    for _ in range(30):
        process = start(code, tmp_path)
        process.stdout.readline()
        threading.Event().wait(rng.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        process.stdin.close()
        store = store_in(tmp_path)
        store._open_new()
        known = np.flatnonzero(store._index.find(KEYS)[1])
        if len(known):
            rows, mask = store.take_layout(KEYS[known]).take(torch.arange(len(known)))
            assert torch.equal(rows[mask], rows_of(known).float())
        if len(known) == N:
            cache.clear(tmp_path)
    store = filled(tmp_path)
    assert_right(store.take_layout(KEYS), list(range(N)))
    names = {path.name.split("-")[0] for path in store.folder.iterdir()}
    assert names == {"page", "description.json", "index.bin"}
