"""Windows of one log that move by several clicks: the end of one is the beginning of another."""

from __future__ import annotations

import numpy as np

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import gather_ranges, segment_blocks

SHORTEST_WINDOW = 3  # clicks that two windows have in common, in addition to the click of the first
FILTER_BITS = 26  # the largest table has 64 MiB
N_TRIED = 3  # number of places in a history that are compared with the beginnings of others


def clicks_of(data: CodedInteractions) -> tuple[np.ndarray, np.ndarray]:
    """Return the history and the item of each clicked candidate."""
    assert data.clicked is not None
    at = np.flatnonzero(data.clicked)
    return data.history_of_row[data.row_of_candidate(at)], data.candidate_codes[at]


def lookup_table(keys: np.ndarray) -> tuple[np.ndarray, np.uint64]:
    """Return a table of bool and the bits that are its index; False means that no key matches.

    If most values are no key, the table is faster than a search.
    """
    n_bits = min(FILTER_BITS, int(len(keys)).bit_length() + 3)
    low = np.uint64(2**n_bits - 1)
    possible = np.zeros(2**n_bits, dtype=bool)
    possible[keys & low] = True
    return possible, low


def later_windows(
    data: CodedInteractions, of_item: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the histories that begin with the last clicks of another history and its click.

    Parameters
    ----------
    data : CodedInteractions
        Rows with clicks, or bare histories, whose last item is the click.
    of_item : ndarray of uint64, shape (n_items,)
        Random numbers.
    wanted : ndarray of bool, shape (H,)
        Histories whose later windows are searched.

    Returns
    -------
    history, later : ndarray of int64, shape (n_found,)
        Histories for which a later window was found, and the longest one that begins alike.
    n_clicks : ndarray of int64, shape (n_found,)
        Number of clicks in the later window after the first history, at least 1.
    """
    offsets, codes = data.history_offsets, data.history_codes
    lengths, is_bare = np.diff(offsets), data.kind == "histories"
    used = np.zeros(len(lengths), dtype=bool)
    used[data.history_of_row] = True
    begins, longest = _beginnings(data, of_item, np.flatnonzero(used & (lengths > SHORTEST_WINDOW)))
    stops = offsets[1:] - is_bare  # ends of the histories without their click
    history, start, later = _places(data, of_item, wanted, stops, begins, longest)
    n_common = stops[history] - start
    fits = (n_common < lengths[later]) & (later != history)
    history, start, later, n_common = (x[fits] for x in (history, start, later, n_common))
    # the last clicks and the clicks after them, before all that is in between
    end = offsets[later] + n_common
    same = codes[stops[history] - 1] == codes[end - 1]
    same &= _is_click(data, history, codes[end])
    history, start, later, n_common = (x[same] for x in (history, start, later, n_common))
    same = _are_equal(codes, start, offsets[later], n_common)
    n_clicks = lengths[later] - n_common - is_bare
    same &= n_clicks > 0
    history, first = np.unique(history[same], return_index=True)
    return history, later[same][first], n_clicks[same][first]


def _trigrams(codes: np.ndarray, of_item: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return hashes of the `SHORTEST_WINDOW` items from each position on."""
    base = np.uint64(0x9E3779B97F4A7C15)
    total = np.zeros(len(at), dtype=np.uint64)
    for k in range(SHORTEST_WINDOW):
        total = total * base + of_item[codes[at + k]]
    return total


def _beginnings(
    data: CodedInteractions, of_item: np.ndarray, histories: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct hashes of the first items, sorted, and the longest history of each."""
    offsets = data.history_offsets
    keys = _trigrams(data.history_codes, of_item, offsets[histories])
    order = np.lexsort((np.diff(offsets)[histories], keys))
    keys = keys[order]
    is_last = np.ones(len(keys), dtype=bool)
    is_last[:-1] = keys[1:] != keys[:-1]
    return keys[is_last], histories[order][is_last]


def _places(
    data: CodedInteractions,
    of_item: np.ndarray,
    wanted: np.ndarray,
    stops: np.ndarray,
    begins: np.ndarray,
    longest: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where histories contain the beginning of another one, at most `N_TRIED` places each.

    Returns
    -------
    history, start, later : ndarray of int64
        The history, the position in `history_codes`, and the longest history with the beginning.
        The places of a history are in the order of its clicks.
    """
    offsets, codes = data.history_offsets, data.history_codes
    found = [np.empty((3, 0), dtype=np.int64)]
    possible, low = lookup_table(begins)
    for block in segment_blocks(offsets) if len(begins) else ():
        chosen = np.arange(block.start, block.stop)[wanted[block]]
        # a history begins with its own beginning, so the search starts at its second click
        starts = offsets[chosen] + 1
        at, edges = gather_ranges(starts, np.maximum(starts, stops[chosen] - SHORTEST_WINDOW + 1))
        keys = _trigrams(codes, of_item, at)
        candidates = np.flatnonzero(possible[keys & low])
        place = np.searchsorted(begins, keys[candidates])
        place = np.minimum(place, len(begins) - 1)
        equal = begins[place] == keys[candidates]
        candidates, place = candidates[equal], place[equal]
        history = np.searchsorted(edges, candidates, side="right") - 1
        rank = np.arange(len(history)) - np.searchsorted(history, history)
        kept = rank < N_TRIED
        parts = chosen[history[kept]], at[candidates[kept]], longest[place[kept]]
        found.append(np.stack(parts))
    history, start, later = np.concatenate(found, axis=1)
    return history, start, later


def _is_click(data: CodedInteractions, history: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Return whether each item is a click of the history."""
    if data.kind == "histories":
        return data.history_codes[data.history_offsets[1:][history] - 1] == item
    known, click = clicks_of(data)
    size = 1 + max(int(each.max(initial=0)) for each in (click, item))
    return np.isin(history * size + item, known * size + click)


def _are_equal(
    codes: np.ndarray, one: np.ndarray, other: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Return whether the items from two positions on are equal, for some positive lengths."""
    equal = np.ones(len(lengths), dtype=bool)
    edges = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    for block in segment_blocks(edges):
        n = lengths[block]
        first, _ = gather_ranges(one[block], one[block] + n)
        second, inner = gather_ranges(other[block], other[block] + n)
        differs = codes[first] != codes[second]
        equal[block] = ~np.logical_or.reduceat(differs, inner[:-1]) if len(n) else True
    return equal
