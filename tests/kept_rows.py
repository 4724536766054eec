"""Items whose kept rows are known, for tests of the prefix store, in other processes too."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import torch

from skrec.content._lm.pages import item_keys
from skrec.content._lm.store import PrefixStore

SPEC = {"model": "tiny", "kind": "rows", "layer": [2], "dtype": "float32", "max_length": 9}
WIDTH = 6
PAGE_BYTES = WIDTH * 4 * 10
N = 60
LENGTHS = np.arange(N) % 5 + 1
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
KEYS = item_keys(OFFSETS, np.arange(OFFSETS[-1]))


def rows_of(items):
    """Return the rows of some items: each tells its item and its place."""
    parts = [torch.arange(OFFSETS[item], OFFSETS[item + 1]) for item in items]
    return torch.cat(parts).double().unsqueeze(1) + torch.arange(WIDTH) / 8


class Computer:
    """Computes rows, and keeps count of the items."""

    def __init__(self):
        self.items = []

    def __call__(self, items):
        self.items += items.tolist()
        return rows_of(items)


def store_in(memory, dtype=torch.float32, **spec):
    return PrefixStore(memory, SPEC | spec, WIDTH, dtype)


def filled(memory, dtype=torch.float32):
    store = store_in(memory, dtype)
    store.fill(KEYS, LENGTHS, rows_of)
    return store


def pages_of(store):
    return sorted(store.folder.glob("page-*"))


def assert_right(states, items, dtype=torch.float32):
    """Compare what `take` returns with what was computed, item by item."""
    rows, mask = states.take(torch.as_tensor(items, dtype=torch.long))
    longest = max([1, *LENGTHS[items]])
    assert rows.shape == (len(items), longest, WIDTH)
    assert rows.dtype == dtype
    assert mask.dtype == torch.bool
    for row, real, item in zip(rows, mask, items, strict=True):
        assert real.tolist() == [place < LENGTHS[item] for place in range(longest)]
        assert torch.equal(row[real], rows_of([item]).to(dtype))
        assert not row[~real].any()


def start(code, *arguments):
    """Run code in another process, after the imports and with the page size that it needs."""
    prelude = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch
from kept_rows import *
from skrec import cache
from skrec.content._lm import store as store_module
store_module.PAGE_BYTES = PAGE_BYTES
"""
    return subprocess.Popen(
        [sys.executable, "-c", prelude + textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
