"""Histories that continue in other histories, such as sliding prefixes and windows of one log."""

from __future__ import annotations

import numpy as np

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import segment_blocks
from skrec._training.moving_windows import SHORTEST_WINDOW, clicks_of, later_windows, lookup_table

SHORTEST_PREFIX = 2  # shorter histories are beginnings of others by chance


def clicks_after(data: CodedInteractions) -> np.ndarray:
    """Count the clicks that follow each history in the other histories of the data.

    If a history with its click, or a history of at least two clicks, is the beginning of another
    one, the clicks of the other one follow. Histories that are windows over one log follow each
    other as well: the last clicks of one, at least three, and its click are the first clicks of the
    other. Of two such histories, the later one always has fewer clicks after
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


def repeated_beginnings(data: CodedInteractions, held: np.ndarray) -> np.ndarray:
    """Tell which held-out bare histories repeat clicks of other rows.

    Parameters
    ----------
    data : CodedInteractions
        Bare histories, whose last item is the click.
    held : ndarray of bool, shape (n,)
        Rows that are held out.

    Returns
    -------
    ndarray of bool, shape (H,)
        Held-out histories that contain the click of another held-out history, after the same
        clicks, or that are a history of training with one more click.
    """
    hashes = _Hashes(data)
    is_held, is_kept = np.zeros_like(hashes.used), np.zeros_like(hashes.used)
    is_held[data.history_of_row[held]] = True
    is_kept[data.history_of_row[~held]] = True
    is_held &= hashes.lengths > 0
    clicks = data.history_codes[data.history_offsets[1:][is_held] - 1]
    before = (
        hashes.full[is_held] - hashes.of_item[clicks] * hashes.powers[hashes.lengths[is_held] - 1]
    )
    repeats = np.zeros_like(is_held)
    repeats[is_held] = np.isin(before, hashes.full[is_kept])
    repeats |= hashes.begin_with(hashes.full[is_held]) & is_held
    part = data.take(np.flatnonzero(held))
    hashes.used = is_held
    then = _next_windows(part, hashes)
    repeats[then[then != np.arange(len(then))]] = True
    repeats[later_windows(part, hashes.of_item, is_held)[1]] = True
    return repeats


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
        history, click = clicks_of(data)
        return history, self.full[history] + self.of_item[click] * self.powers[
            self.lengths[history]
        ]

    def longest_with(self, keys: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Return the largest `length` (H,) of the histories that begin with each key; or 0."""
        distinct, inverse = np.unique(keys, return_inverse=True)
        longest = np.zeros(len(distinct), dtype=np.int64)
        if not len(distinct):
            return longest
        possible, low = lookup_table(distinct)
        for block in segment_blocks(self._offsets):
            beginnings, edges = self._beginnings(block)
            value = np.repeat(np.where(self.used, length, 0)[block], np.diff(edges))
            candidates = np.flatnonzero(possible[beginnings & low])
            found = beginnings[candidates]
            at = np.minimum(np.searchsorted(distinct, found), len(distinct) - 1)
            equal = distinct[at] == found
            np.maximum.at(longest, at[equal], value[candidates[equal]])
        return longest[inverse]

    def begin_with(self, keys: np.ndarray) -> np.ndarray:
        """Return whether each history (H,) begins with a key, and has more clicks."""
        keys = np.unique(keys)
        begins = np.zeros(len(self.lengths), dtype=bool)
        possible, low = lookup_table(keys)
        for block in segment_blocks(self._offsets):
            beginnings, edges = self._beginnings(block)
            is_part = np.ones(len(beginnings), dtype=bool)
            is_part[edges[1:][np.diff(edges) > 0] - 1] = False
            candidates = np.flatnonzero(is_part & possible[beginnings & low])
            found = candidates[np.isin(beginnings[candidates], keys)]
            begins[block.start + np.searchsorted(edges, found, side="right") - 1] = True
        return begins


def _n_windows_after(data: CodedInteractions, hashes: _Hashes) -> np.ndarray:
    """Count the clicks in windows after each history, which drop first clicks and add new ones."""
    n_histories = len(hashes.lengths)
    then = _next_windows(data, hashes)
    n_after = (then != np.arange(n_histories)).astype(np.int64)
    single = hashes.used & (n_after == 0)
    history, later, n_clicks = later_windows(data, hashes.of_item, single)
    then[history], n_after[history] = later, n_clicks
    for _ in range(n_histories.bit_length()):  # each turn doubles the number of windows ahead
        if not n_after[then].any():
            break
        n_after, then = n_after + n_after[then], then[then]
    return n_after


def _next_windows(data: CodedInteractions, hashes: _Hashes) -> np.ndarray:
    """Return the window (H,) that drops the first click of each history and adds one, or itself."""
    then = np.arange(len(hashes.lengths))
    long_enough = np.flatnonzero(hashes.used & (hashes.lengths >= SHORTEST_WINDOW))
    if not len(long_enough):
        return then
    offsets, codes = data.history_offsets, data.history_codes
    known = hashes.full[long_enough]
    history = long_enough
    if data.kind == "histories":  # all that a window and the next one have in common
        last = codes[offsets[1:][history] - 1]
        known = known - hashes.of_item[last] * hashes.powers[hashes.lengths[history] - 1]
        added = np.zeros(len(history), dtype=np.uint64)
    else:
        history, click = clicks_of(data)
        kept = hashes.lengths[history] >= SHORTEST_WINDOW
        history, click = history[kept], click[kept]
        added = hashes.of_item[click] * hashes.powers[hashes.lengths[history] - 1]
    first = hashes.of_item[codes[offsets[history]]]
    wanted = (hashes.full[history] - first) * hashes.inverse + added
    order = np.argsort(known, kind="stable")
    at = order[np.minimum(np.searchsorted(known, wanted, sorter=order), len(order) - 1)]
    found = known[at] == wanted
    then[history[found]] = long_enough[at[found]]
    return then
