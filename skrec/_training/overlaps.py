"""Histories that continue in other histories, such as sliding prefixes and windows of one log."""

from __future__ import annotations

import numpy as np

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import segment_blocks

SHORTEST_PREFIX = 2  # shorter histories are beginnings of others by chance
SHORTEST_WINDOW = 3
FILTER_BITS = 26  # largest filter of hashes is 64 MiB


def clicks_after(data: CodedInteractions) -> np.ndarray:
    """Count the clicks that follow each history in the other histories of the data.

    If a history with its click, or a history of at least two clicks, is the beginning of another
    one, the clicks of the other one follow. Histories that are windows of equal length over one log
    follow each other as well. Of two such histories, the later one always has fewer clicks after
    it. Therefore, the rows with the fewest can be held out without being seen in training.

    Histories are compared by 64-bit hashes.

    Parameters
    ----------
    data : CodedInteractions
        Rows with clicks, or bare histories, whose last item is the click.

    Returns
    -------
    ndarray of int64, shape (n,)
        Number of clicks after the history of each row.
    """
    hashes = _Hashes(data)
    lengths = hashes.lengths
    after = _n_windows_after(data, hashes)
    long_enough = lengths >= (1 if data.kind == "histories" else SHORTEST_PREFIX)
    histories = np.flatnonzero(hashes.used & long_enough)
    keys = hashes.full[histories]
    if data.kind != "histories":
        owner, extended = hashes.with_click(data)
        histories, keys = np.concatenate([histories, owner]), np.concatenate([keys, extended])
    ends = hashes.longest_with(keys, lengths + after)
    np.maximum.at(after, histories, ends - lengths[histories])
    return after[data.history_of_row]


class _Hashes:
    """Polynomial hashes, modulo 2**64, of histories and their beginnings.

    Parameters
    ----------
    data : CodedInteractions

    Attributes
    ----------
    used : ndarray of bool, shape (H,)
        Histories that rows have.
    lengths : ndarray of int64, shape (H,)
        Lengths of the histories.
    full : ndarray of uint64, shape (H,)
        Hashes of the histories; 0 for empty ones.
    """

    def __init__(self, data: CodedInteractions):
        self._offsets, self._codes = data.history_offsets, data.history_codes
        self.lengths = np.diff(self._offsets)
        self.used = np.zeros(len(self.lengths), dtype=bool)
        self.used[data.history_of_row] = True
        largest = max(int(codes.max(initial=0)) for codes in (self._codes, data.candidate_codes))
        rng = np.random.default_rng(0)
        self.of_item = rng.integers(2**64, size=largest + 1, dtype=np.uint64)
        base = int(rng.integers(2**62)) * 2 + 1  # odd numbers have an inverse modulo 2**64
        self.inverse = np.uint64(pow(base, -1, 2**64))
        self.powers = np.full(int(self.lengths.max(initial=0)) + 1, base, dtype=np.uint64)
        self.powers[0] = 1
        np.cumprod(self.powers, out=self.powers)
        self.full = np.zeros(len(self.lengths), dtype=np.uint64)
        for block in segment_blocks(self._offsets):
            beginnings, edges = self._beginnings(block)
            filled = np.diff(edges) > 0
            self.full[block][filled] = beginnings[edges[1:][filled] - 1]

    def _beginnings(self, block: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the hashes of all beginnings of the histories in a block, and offsets."""
        edges = self._offsets[block.start : block.stop + 1]
        low, lengths = edges[0], np.diff(edges)
        place = np.arange(low, edges[-1]) - np.repeat(edges[:-1], lengths)
        terms = self.of_item[self._codes[low : edges[-1]]] * self.powers[place]
        running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms)])
        return running[1:] - np.repeat(running[edges[:-1] - low], lengths), edges - low

    def with_click(self, data: CodedInteractions) -> tuple[np.ndarray, np.ndarray]:
        """Return the history of each click of the rows, and the hash of both together."""
        history, click = _clicks(data)
        return history, self.full[history] + self.of_item[click] * self.powers[
            self.lengths[history]
        ]

    def longest_with(self, keys: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Return the largest `length` (H,) of the histories that begin with each key; or 0."""
        distinct, inverse = np.unique(keys, return_inverse=True)
        longest = np.zeros(len(distinct), dtype=np.int64)
        if not len(distinct):
            return longest
        # most beginnings are no key, which a table of the lowest bits tells faster than a search
        n_bits = min(FILTER_BITS, int(len(distinct)).bit_length() + 3)
        low = np.uint64(2**n_bits - 1)
        possible = np.zeros(2**n_bits, dtype=bool)
        possible[distinct & low] = True
        for block in segment_blocks(self._offsets):
            beginnings, edges = self._beginnings(block)
            value = np.repeat(np.where(self.used, length, 0)[block], np.diff(edges))
            candidates = np.flatnonzero(possible[beginnings & low])
            found = beginnings[candidates]
            at = np.minimum(np.searchsorted(distinct, found), len(distinct) - 1)
            equal = distinct[at] == found
            np.maximum.at(longest, at[equal], value[candidates[equal]])
        return longest[inverse]


def _clicks(data: CodedInteractions) -> tuple[np.ndarray, np.ndarray]:
    """Return the history and the item of each clicked candidate."""
    assert data.clicked is not None
    at = np.flatnonzero(data.clicked)
    return data.history_of_row[data.row_of_candidate(at)], data.candidate_codes[at]


def _n_windows_after(data: CodedInteractions, hashes: _Hashes) -> np.ndarray:
    """Count the windows that follow each history, which each drop the first click and add one."""
    long_enough = np.flatnonzero(hashes.used & (hashes.lengths >= SHORTEST_WINDOW))
    n_histories = len(hashes.lengths)
    n_after = np.zeros(n_histories, dtype=np.int64)
    if not len(long_enough):
        return n_after
    offsets, codes = data.history_offsets, data.history_codes
    known = hashes.full[long_enough]
    history = long_enough
    if data.kind == "histories":  # all that a window and the next one have in common
        last = codes[offsets[1:][history] - 1]
        known = known - hashes.of_item[last] * hashes.powers[hashes.lengths[history] - 1]
        added = np.zeros(len(history), dtype=np.uint64)
    else:
        history, click = _clicks(data)
        kept = hashes.lengths[history] >= SHORTEST_WINDOW
        history, click = history[kept], click[kept]
        added = hashes.of_item[click] * hashes.powers[hashes.lengths[history] - 1]
    first = hashes.of_item[codes[offsets[history]]]
    wanted = (hashes.full[history] - first) * hashes.inverse + added
    order = np.argsort(known, kind="stable")
    at = order[np.minimum(np.searchsorted(known, wanted, sorter=order), len(order) - 1)]
    found = known[at] == wanted
    then = np.arange(n_histories)
    then[history[found]] = long_enough[at[found]]
    n_after += then != np.arange(n_histories)
    for _ in range(n_histories.bit_length()):  # each turn doubles the number of windows ahead
        if not n_after[then].any():
            break
        n_after, then = n_after + n_after[then], then[then]
    return n_after
