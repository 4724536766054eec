"""Training examples and the batches made of them.

::

    CodedInteractions --> Examples --draw(rows)--> Drawn (numpy) --collate--> Batch (torch)
                          one row a loss term      negatives chosen           distinct items once
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from skrec._coded import CodedInteractions
from skrec._segments import gather_ranges, gather_segments, offsets_of, segment_ids

# below this many cells, negatives are chosen among all that are allowed, without rejection
EXACT_CELLS = 1 << 20
MAX_REDRAWS = 50


@dataclass(frozen=True)
class Batch:
    """What one step reads; indices point into `items`, the batch's U distinct items.

    Attributes
    ----------
    items : int64 tensor of shape (U,)
        Catalogue codes.
    history : int64 tensor of shape (H, L)
        The batch's distinct histories, padded with 0.
    history_mask : bool tensor of shape (H, L)
    history_of_row : int64 tensor of shape (B,)
    candidates : int64 tensor of shape (B, C)
    candidate_mask : bool tensor of shape (B, C)
    labels : float tensor of shape (B, C)
    """

    items: torch.Tensor
    history: torch.Tensor
    history_mask: torch.Tensor
    history_of_row: torch.Tensor
    candidates: torch.Tensor
    candidate_mask: torch.Tensor
    labels: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Drawn:
    """Examples of one batch: history ranges (B,), candidate codes, mask and labels (B, C)."""

    starts: np.ndarray
    stops: np.ndarray
    candidates: np.ndarray
    mask: np.ndarray
    labels: np.ndarray


class Examples(Protocol):
    """A training set; each epoch draws every row once."""

    history_codes: np.ndarray
    n_skipped: int

    def __len__(self) -> int: ...

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> Drawn:
        """Return the examples of some rows, with their negatives."""
        ...


class ImpressionExamples:
    """Each click against `n_negatives` items that were shown with it and not clicked.

    Negatives are drawn anew in each epoch, without replacement. Where an impression has too
    few, the rest is sampled from the catalogue, leaving out the clicks of the impression and
    the history. Impressions without a click are skipped; `n_skipped` counts them.
    """

    def __init__(self, data: CodedInteractions, n_negatives: int, n_items: int):
        assert data.clicked is not None and data.group_of_row is not None
        row = data.row_of_candidate()
        groups, group = np.unique(data.group_of_row, return_inverse=True)
        group = group[row]
        clicked = data.clicked.astype(bool)
        key = group * n_items + data.candidate_codes
        # distinct; an item that was listed twice and clicked once is no negative
        passed = np.setdiff1d(key[~clicked], key[clicked])
        self.history_codes = data.history_codes
        self._history_offsets = data.history_offsets
        self._history = data.history_of_row[row[clicked]]
        self._group = group[clicked]
        self._positive = data.candidate_codes[clicked]
        self._positives = _by_group(group[clicked], self._positive, len(groups))
        self._negatives = _by_group(passed // n_items, passed % n_items, len(groups))
        self._n_negatives, self._n_items = n_negatives, n_items
        self.n_skipped = int((np.diff(self._positives[0]) == 0).sum())
        if not len(self._positive):
            raise ValueError(
                f"none of the {len(row)} candidates was clicked; training needs at least one 1 in "
                "'clicked' or y"
            )

    def __len__(self) -> int:
        return len(self._positive)

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> Drawn:
        """Return the examples of some rows; the first candidate is the click."""
        history, group = self._history[rows], self._group[rows]
        negatives, mask = _choose(*self._negatives, group, self._n_negatives, rng)
        short = np.flatnonzero(~mask.all(axis=1))
        if len(short):
            forbidden = self._forbidden(history[short], group[short], negatives[short], mask[short])
            sampled, valid = sample_negatives(
                rng, len(short), self._n_negatives, self._n_items, *forbidden
            )
            # shown ones are at the left; the best of the sampled ones are to fill up the right
            fill = ~mask[short]
            negatives[short] = np.where(fill, sampled[:, ::-1], negatives[short])
            mask[short] = np.where(fill, valid[:, ::-1], True)
        start, stop = self._history_offsets[history], self._history_offsets[history + 1]
        return _against(self._positive[rows], negatives, mask, start, stop)

    def _forbidden(
        self, history: np.ndarray, group: np.ndarray, negatives: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (row, code) pairs that must not be sampled."""
        clicks, click_offsets = gather_segments(self._positives[0], group)
        past, past_offsets = gather_segments(self._history_offsets, history)
        rows = [segment_ids(click_offsets), segment_ids(past_offsets), np.nonzero(mask)[0]]
        codes = [self._positives[1][clicks], self.history_codes[past], negatives[mask]]
        return np.concatenate(rows), np.concatenate(codes)


class NextClickExamples:
    """Histories alone: the click at a random place against sampled negatives.

    The clicks before the place are the history. Negatives are never one of the row's clicks,
    be they before or after the place. Histories of one click or none are skipped.
    """

    def __init__(self, data: CodedInteractions, n_negatives: int, n_items: int):
        lengths = np.diff(data.history_offsets)[data.history_of_row]
        self.history_codes = data.history_codes
        self._offsets = data.history_offsets
        self._history = data.history_of_row[lengths >= 2]
        self._n_negatives, self._n_items = n_negatives, n_items
        self.n_skipped = int((lengths < 2).sum())
        if not len(self._history):
            raise ValueError(
                "every history has fewer than 2 clicks; training on bare histories predicts a "
                "click from those before it"
            )

    def __len__(self) -> int:
        return len(self._history)

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> Drawn:
        """Return the examples of some rows; the first candidate is the click."""
        history = self._history[rows]
        start, stop = self._offsets[history], self._offsets[history + 1]
        place = rng.integers(start + 1, stop)
        past, offsets = gather_ranges(start, stop)
        negatives, mask = sample_negatives(
            rng,
            len(rows),
            self._n_negatives,
            self._n_items,
            segment_ids(offsets),
            self.history_codes[past],
        )
        return _against(self.history_codes[place], negatives, mask, start, place)


class PairExamples:
    """Every candidate with its own label."""

    n_skipped = 0

    def __init__(self, data: CodedInteractions):
        assert data.clicked is not None
        self.history_codes = data.history_codes
        self._offsets = data.history_offsets
        self._history = data.history_of_row[data.row_of_candidate()]
        self._candidates = data.candidate_codes
        self._labels = data.clicked.astype(np.float32)
        if not self._labels.any() or self._labels.all():
            raise ValueError(
                f"all {len(self._labels)} labels are {self._labels[0]:.0f}; training needs both "
                "clicked and not clicked candidates"
            )

    def __len__(self) -> int:
        return len(self._candidates)

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> Drawn:
        """Return the examples of some rows, one candidate each."""
        history = self._history[rows]
        candidates = self._candidates[rows][:, None]
        return Drawn(
            self._offsets[history],
            self._offsets[history + 1],
            candidates,
            np.ones_like(candidates, dtype=bool),
            self._labels[rows][:, None],
        )


def resolve_loss(loss: str | None, data: CodedInteractions) -> str:
    """Return the loss to train with: softmax where something groups candidates, else bce."""
    grouped = data.kind != "pairs" or data.group_of_row is not None
    if loss == "softmax" and not grouped:
        raise ValueError(
            "loss='softmax' compares the candidates of one impression; give pairs an "
            "'impression_id' column, or take loss='bce'"
        )
    return loss or ("softmax" if grouped else "bce")


def make_examples(data: CodedInteractions, loss: str, n_negatives: int, n_items: int) -> Examples:
    """Return the training set that a loss wants of some rows."""
    if data.kind == "histories":
        return NextClickExamples(data, n_negatives, n_items)
    if loss == "bce":
        return PairExamples(data)
    return ImpressionExamples(data, n_negatives, n_items)


def iterate_batches(
    examples: Examples, batch_size: int, max_history: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yield the batches of one epoch, in random order."""
    order = rng.permutation(len(examples))
    for start in range(0, len(order), batch_size):
        drawn = examples.draw(order[start : start + batch_size], rng)
        yield collate(drawn, examples.history_codes, max_history)


def collate(drawn: Drawn, history_codes: np.ndarray, max_history: int) -> Batch:
    """Find a batch's distinct items and histories, and pad.

    Parameters
    ----------
    drawn : Drawn
        The examples.
    history_codes : ndarray of int32
        What the ranges of `drawn` point into.
    max_history : int
        How many of the latest clicks are kept.

    Returns
    -------
    Batch
    """
    starts = np.maximum(drawn.starts, drawn.stops - max_history)
    key = starts * (max_history + 1) + (drawn.stops - starts)
    key, history_of_row = np.unique(key, return_inverse=True)
    starts, lengths = np.divmod(key, max_history + 1)
    history, history_mask = pad_histories(history_codes, starts, starts + lengths)
    named = np.concatenate([history[history_mask], drawn.candidates[drawn.mask]])
    items, index = np.unique(named, return_inverse=True)
    n_clicks = int(history_mask.sum())
    history[history_mask] = index[:n_clicks]
    candidates = np.zeros(drawn.candidates.shape, dtype=np.int64)
    candidates[drawn.mask] = index[n_clicks:]
    return Batch(
        items=torch.from_numpy(items.astype(np.int64)),
        history=torch.from_numpy(history),
        history_mask=torch.from_numpy(history_mask),
        history_of_row=torch.from_numpy(history_of_row),
        candidates=torch.from_numpy(candidates),
        candidate_mask=torch.from_numpy(drawn.mask),
        labels=torch.from_numpy(drawn.labels),
    )


def pad_histories(
    codes: np.ndarray, starts: np.ndarray, stops: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lay ranges of `codes` out as rows.

    Returns
    -------
    history : ndarray of int64, shape (H, L)
        L is the longest range, and at least 1; the rest is 0.
    mask : ndarray of bool, shape (H, L)
    """
    lengths = stops - starts
    positions, _ = gather_ranges(starts, stops)
    mask = np.arange(max(1, int(lengths.max(initial=0)))) < lengths[:, None]
    history = np.zeros(mask.shape, dtype=np.int64)
    history[mask] = codes[positions]
    return history, mask


def sample_negatives(
    rng: np.random.Generator,
    n_rows: int,
    n: int,
    n_items: int,
    forbidden_rows: np.ndarray,
    forbidden_codes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw items uniformly for each row, without replacement and without the forbidden.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_rows, n, n_items : int
        Rows, draws for each, and items of the catalogue.
    forbidden_rows, forbidden_codes : ndarray of int, shape (n_forbidden,)
        Pairs of a row and a code that must not be drawn for it.

    Returns
    -------
    codes : ndarray of int64, shape (n_rows, n)
    mask : ndarray of bool, shape (n_rows, n)
        False where the catalogue has too few allowed items.
    """
    if n_rows * n_items <= EXACT_CELLS:
        keys = rng.random((n_rows, n_items))
        keys[forbidden_rows, forbidden_codes] = 2.0
        best = np.argsort(keys, axis=1)[:, :n]
        mask = np.take_along_axis(keys, best, axis=1) < 2.0
        pad = [(0, 0), (0, n - best.shape[1])]
        return np.pad(best, pad), np.pad(mask, pad)
    forbidden = np.unique(forbidden_rows.astype(np.int64) * n_items + forbidden_codes)
    base = np.arange(n_rows)[:, None] * n_items
    codes = rng.integers(n_items, size=(n_rows, n))
    for _ in range(MAX_REDRAWS):
        bad = _contains(forbidden, base + codes) | _repeated(codes)
        if not bad.any():
            break
        codes[bad] = rng.integers(n_items, size=int(bad.sum()))
    return codes, ~(_contains(forbidden, base + codes) | _repeated(codes))


def _contains(ordered: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Whether each key is in an ascending array."""
    if not len(ordered):
        return np.zeros(keys.shape, dtype=bool)
    at = np.searchsorted(ordered, keys)
    return ordered[np.minimum(at, len(ordered) - 1)] == keys


def _repeated(codes: np.ndarray) -> np.ndarray:
    """Whether each code stands further left in its row as well."""
    order = np.argsort(codes, axis=1, kind="stable")
    ordered = np.take_along_axis(codes, order, axis=1)
    same = np.zeros(codes.shape, dtype=bool)
    same[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    repeated = np.empty_like(same)
    np.put_along_axis(repeated, order, same, axis=1)
    return repeated


def _by_group(group: np.ndarray, codes: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets (n + 1,) and codes sorted by group."""
    order = np.argsort(group, kind="stable")
    return offsets_of(np.bincount(group, minlength=n)), codes[order]


def _choose(
    offsets: np.ndarray, codes: np.ndarray, rows: np.ndarray, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Choose up to n of each row's codes at random, without replacement; codes and mask (R, n)."""
    at, new = gather_segments(offsets, rows)
    owner = segment_ids(new)
    order = np.lexsort((rng.random(len(at)), owner))
    place = np.arange(len(at)) - new[owner]
    first = place < n
    chosen = np.zeros((len(rows), n), dtype=np.int64)
    mask = np.zeros((len(rows), n), dtype=bool)
    chosen[owner[first], place[first]] = codes[at[order[first]]]
    mask[owner[first], place[first]] = True
    return chosen, mask


def _against(
    positive: np.ndarray,
    negatives: np.ndarray,
    mask: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
) -> Drawn:
    """Put the click in front of its negatives."""
    candidates = np.concatenate([positive[:, None].astype(np.int64), negatives], axis=1)
    mask = np.concatenate([np.ones((len(mask), 1), dtype=bool), mask], axis=1)
    labels = np.zeros(candidates.shape, dtype=np.float32)
    labels[:, 0] = 1.0
    return Drawn(starts, stops, candidates, mask, labels)
