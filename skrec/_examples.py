"""Training examples: which clicks are learned, and against what.

::

    CodedInteractions --> Examples --draw(rows)--> Drawn (numpy)
                          one row a loss term      a click, its history, its negatives
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from skrec._coded import CodedInteractions
from skrec._negatives import NegativeSampler, Pool
from skrec._segments import gather_ranges, gather_segments, offsets_of, segment_ids


@dataclass(frozen=True)
class Drawn:
    """Examples of one batch: history ranges (B,), candidates (B, C), each row's weight and user.

    `sampled` (B, S) says which items of the batch's pool are negatives of a row as well.
    """

    starts: np.ndarray
    stops: np.ndarray
    candidates: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    sampled: np.ndarray
    weight: np.ndarray
    user: np.ndarray

    def take(self, rows: slice) -> Drawn:
        """Return some of the examples."""
        return Drawn(*(getattr(self, field.name)[rows] for field in fields(self)))

    def stack(self, below: Drawn) -> Drawn:
        """Return these examples and others below them, with columns for the wider."""
        stacked = []
        for field in fields(self):
            parts = [getattr(self, field.name), getattr(below, field.name)]
            if parts[0].ndim == 2:
                width = max(part.shape[1] for part in parts)
                parts = [np.pad(part, [(0, 0), (0, width - part.shape[1])]) for part in parts]
            stacked.append(np.concatenate(parts))
        return Drawn(*stacked)


class Examples(Protocol):
    """A training set, with what samples its negatives; each epoch draws every row once."""

    history_codes: np.ndarray
    n_skipped: int
    sampler: NegativeSampler

    def __len__(self) -> int: ...

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> Drawn:
        """Return the examples of some rows, with negatives of their own or of the pool."""
        ...


class ImpressionExamples:
    """Each click against `n_negatives` items that were shown with it and not clicked.

    Negatives are drawn anew in each epoch, without replacement. Where an impression has too
    few, the rest is sampled from the catalogue, leaving out the clicks of the impression and
    the history. Impressions without a click are skipped; `n_skipped` counts them.
    """

    def __init__(self, data: CodedInteractions, sampler: NegativeSampler):
        assert data.clicked is not None and data.group_of_row is not None
        row = data.row_of_candidate()
        groups, group = np.unique(data.group_of_row, return_inverse=True)
        group = group[row]
        clicked = data.clicked.astype(bool)
        key = group * sampler.n_items + data.candidate_codes
        # distinct; an item that was listed twice and clicked once is no negative
        passed = np.setdiff1d(key[~clicked], key[clicked])
        self.history_codes = data.history_codes
        self._history_offsets = data.history_offsets
        self._history = data.history_of_row[row[clicked]]
        self._group = group[clicked]
        self._positive = data.candidate_codes[clicked].astype(np.int64)
        self._weight = weights_of(data)[row[clicked]]
        self._user = data.users()[row[clicked]]
        self._positives = _by_group(group[clicked], self._positive, len(groups))
        self._negatives = _by_group(
            passed // sampler.n_items, passed % sampler.n_items, len(groups)
        )
        self.sampler = sampler
        self.n_skipped = int((np.diff(self._positives[0]) == 0).sum())
        if not len(self._positive):
            raise ValueError(
                f"none of the {len(row)} candidates was clicked; training needs at least one 1 in "
                "'clicked' or y"
            )

    def __len__(self) -> int:
        return len(self._positive)

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> Drawn:
        """Return the examples of some rows; the first candidate is the click."""
        history, group = self._history[rows], self._group[rows]
        n = self.sampler.n_negatives
        shown, shown_mask = _choose(*self._negatives, group, n, rng)
        need = n - shown_mask.sum(axis=1)
        forbidden = self._forbidden(history, group, shown, shown_mask)
        sampled = self.sampler.fill(pool, need, *forbidden)
        used = shown_mask.any(axis=0)  # shown ones are at the left
        return against(
            self._positive[rows],
            shown[:, used],
            shown_mask[:, used],
            sampled,
            (self._history_offsets[history], self._history_offsets[history + 1]),
            self._weight[rows],
            self._user[rows],
        )

    def _forbidden(
        self, history: np.ndarray, group: np.ndarray, shown: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (row, code) pairs that must not be sampled."""
        clicks, click_offsets = gather_segments(self._positives[0], group)
        past, past_offsets = gather_segments(self._history_offsets, history)
        rows = [segment_ids(click_offsets), segment_ids(past_offsets), np.nonzero(mask)[0]]
        codes = [self._positives[1][clicks], self.history_codes[past], shown[mask]]
        return np.concatenate(rows), np.concatenate(codes)


class NextClickExamples:
    """Histories alone: clicks at random places against sampled negatives.

    The clicks before the place are the history. Negatives are never one of the row's clicks,
    be they before or after the place. Empty histories are skipped.
    """

    def __init__(self, data: CodedInteractions, sampler: NegativeSampler, n_targets: int = 1):
        filled = np.diff(data.history_offsets)[data.history_of_row] > 0
        self.history_codes = data.history_codes
        self._offsets = data.history_offsets
        self._history = data.history_of_row[filled]
        self._weight, self._user = weights_of(data)[filled], data.users()[filled]
        self.sampler, self._n_targets = sampler, n_targets
        self.n_skipped = int((~filled).sum())
        if not len(self._history):
            raise ValueError(
                "every history is empty; training on bare histories predicts a click from those "
                "before it"
            )

    def __len__(self) -> int:
        return len(self._history)

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> Drawn:
        """Return the examples of some rows; the first candidate is the click."""
        rows = np.repeat(rows, self._n_targets)
        history = self._history[rows]
        spans = self._offsets[history], self._offsets[history + 1]
        who = self._weight[rows], self._user[rows]
        return next_clicks(self.history_codes, spans, pool, self.sampler, *who, rng)


class PairExamples:
    """Every candidate with its own label."""

    n_skipped = 0

    def __init__(self, data: CodedInteractions, sampler: NegativeSampler):
        assert data.clicked is not None
        row = data.row_of_candidate()
        self.history_codes = data.history_codes
        self._offsets = data.history_offsets
        self._history = data.history_of_row[row]
        self._candidates = data.candidate_codes.astype(np.int64)
        self._labels = data.clicked.astype(np.float32)
        self._weight, self._user = weights_of(data)[row], data.users()[row]
        self.sampler = sampler
        if not self._labels.any() or self._labels.all():
            raise ValueError(
                f"all {len(self._labels)} labels are {self._labels[0]:.0f}; training needs both "
                "clicked and not clicked candidates"
            )

    def __len__(self) -> int:
        return len(self._candidates)

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> Drawn:
        """Return the examples of some rows, one candidate each."""
        history = self._history[rows]
        candidates = self._candidates[rows][:, None]
        return Drawn(
            self._offsets[history],
            self._offsets[history + 1],
            candidates,
            np.ones_like(candidates, dtype=bool),
            self._labels[rows][:, None],
            np.zeros((len(rows), len(pool)), dtype=bool),
            self._weight[rows],
            self._user[rows],
        )


class WithHistoryTargets:
    """Examples, and for each of them `n_targets` clicks at random places inside its history.

    Such a click is a target against sampled negatives, with the clicks before it as its
    history: a history teaches what follows what, and the first click what is liked at all.
    """

    def __init__(self, examples: Examples, n_targets: int):
        self.history_codes, self.n_skipped = examples.history_codes, examples.n_skipped
        self._examples, self.sampler, self._n_targets = examples, examples.sampler, n_targets

    def __len__(self) -> int:
        return len(self._examples)

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> Drawn:
        """Return the examples of some rows, and below them those inside their histories."""
        drawn = self._examples.draw(rows, pool, rng)
        owner = np.repeat(np.flatnonzero(drawn.starts < drawn.stops), self._n_targets)
        row, column = np.nonzero((drawn.labels == 1)[owner])
        clicked = row, drawn.candidates[owner[row], column]  # later clicks are no negatives
        spans = drawn.starts[owner], drawn.stops[owner]
        who = drawn.weight[owner], drawn.user[owner]
        return drawn.stack(
            next_clicks(self.history_codes, spans, pool, self.sampler, *who, rng, clicked)
        )


def next_clicks(
    codes: np.ndarray,
    spans: tuple[np.ndarray, np.ndarray],
    pool: Pool,
    sampler: NegativeSampler,
    weight: np.ndarray,
    user: np.ndarray,
    rng: np.random.Generator,
    forbidden: tuple[np.ndarray, np.ndarray] | None = None,
) -> Drawn:
    """Draw a click inside each span of `codes`, to be told from items of the pool.

    Parameters
    ----------
    codes : ndarray of int32
        Clicks, oldest first.
    spans : tuple of ndarray of int64, shape (B,)
        Starts and stops of histories in `codes`; none is empty.
    pool : ndarray of int64, shape (S,)
        Sampled items.
    sampler : NegativeSampler
        What drew them.
    weight, user : ndarray of shape (B,)
    rng : numpy.random.Generator
    forbidden : tuple of ndarray, default=None
        Further rows and codes that are no negatives, besides each span's own.

    Returns
    -------
    Drawn
    """
    starts, stops = spans
    place = rng.integers(starts, stops)
    past, offsets = gather_ranges(starts, stops)
    rows, own = segment_ids(offsets), codes[past]
    if forbidden is not None:
        rows, own = np.concatenate([rows, forbidden[0]]), np.concatenate([own, forbidden[1]])
    need = np.full(len(starts), sampler.n_negatives)
    sampled = sampler.fill(pool, need, rows, own)
    none = np.empty((len(starts), 0), dtype=np.int64)
    return against(codes[place], none, none.astype(bool), sampled, (starts, place), weight, user)


def against(
    positive: np.ndarray,
    shown: np.ndarray,
    shown_mask: np.ndarray,
    sampled: np.ndarray,
    spans: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    user: np.ndarray,
) -> Drawn:
    """Put each click (B,) in front of those that were shown with it (B, n)."""
    first = positive[:, None].astype(np.int64)
    candidates = np.concatenate([first, shown], axis=1)
    mask = np.concatenate([np.ones(first.shape, dtype=bool), shown_mask], axis=1)
    labels = np.zeros(candidates.shape, dtype=np.float32)
    labels[:, 0] = 1.0
    return Drawn(*spans, candidates, mask, labels, sampled, weight, user)


def weights_of(data: CodedInteractions) -> np.ndarray:
    """Return the weight of each row (n,), 1 on average."""
    if data.weight is None:
        return np.ones(data.n_rows)
    return data.weight / data.weight.mean()


def resolve_loss(loss: str | None, data: CodedInteractions) -> str:
    """Return the loss to train with: softmax where something groups candidates, else bce."""
    grouped = data.kind != "pairs" or data.group_of_row is not None
    if loss in ("softmax", "bpr") and not grouped:
        raise ValueError(
            f"loss={loss!r} compares the candidates of one impression; give pairs an "
            "'impression_id' column, or take loss='bce'"
        )
    return loss or ("softmax" if grouped else "bce")


def make_examples(
    data: CodedInteractions, loss: str, sampler: NegativeSampler, history_targets: int = 0
) -> Examples:
    """Return the training set that a loss wants of some rows."""
    if data.kind == "histories":
        return NextClickExamples(data, sampler, 1 + history_targets)
    of_rows = PairExamples if loss == "bce" else ImpressionExamples
    examples: Examples = of_rows(data, sampler)
    return WithHistoryTargets(examples, history_targets) if history_targets else examples


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
