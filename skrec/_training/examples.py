"""Training examples: which clicks are learned, and against what.

::

    CodedInteractions --> Examples --draw(rows)--> ExampleBatch (numpy)
                          one row a loss term      a click, its history, its negatives
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import gather_ranges, gather_segments, offsets_of, segment_ids
from skrec._training.negatives import NegativeSampler, Pool

# rows of a batch (m,), and for each a code
OwnedCodes = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ExampleBatch:
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

    def take(self, rows: slice) -> ExampleBatch:
        """Return some of the examples."""
        return ExampleBatch(*(getattr(self, field.name)[rows] for field in fields(self)))

    def stack(self, below: ExampleBatch) -> ExampleBatch:
        """Return these examples and others below them, with columns for the wider."""
        stacked = []
        for field in fields(self):
            parts = [getattr(self, field.name), getattr(below, field.name)]
            if parts[0].ndim == 2:
                width = max(part.shape[1] for part in parts)
                parts = [np.pad(part, [(0, 0), (0, width - part.shape[1])]) for part in parts]
            stacked.append(np.concatenate(parts))
        return ExampleBatch(*stacked)


class Examples(Protocol):
    """A training set, with what samples its negatives; each epoch draws every row once."""

    history_codes: np.ndarray
    n_skipped: int
    sampler: NegativeSampler

    def __len__(self) -> int: ...

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> ExampleBatch:
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
        self._at = np.flatnonzero(data.clicked)
        if not len(self._at):
            raise ValueError(
                f"none of the {len(data.clicked)} candidates was clicked; training needs at least "
                "one 1 in 'clicked' or y"
            )
        groups, self._group_of_row = np.unique(data.group_of_row, return_inverse=True)
        row_order = np.argsort(self._group_of_row, kind="stable")
        n_rows = np.bincount(self._group_of_row)
        self._rows_of_group = offsets_of(n_rows), row_order
        self._data, self._weight, self._user = data, weights_of(data), data.users()
        self.history_codes, self.sampler = data.history_codes, sampler
        has_click = np.zeros(len(groups), dtype=bool)
        has_click[self._group_of_row[data.row_of_candidate(self._at)]] = True
        self.n_skipped = int((~has_click).sum())

    def __len__(self) -> int:
        return len(self._at)

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> ExampleBatch:
        """Return the examples of some rows; the first candidate is the click."""
        data, at = self._data, self._at[rows]
        row = data.row_of_candidate(at)
        history = data.history_of_row[row]
        clicks, passed = self._shown_with(row)
        n = self.sampler.n_negatives
        shown, shown_mask = _choose(*passed, len(rows), n, rng)
        need = n - shown_mask.sum(axis=1)
        forbidden = self._forbidden(history, clicks, shown, shown_mask)
        sampled = self.sampler.fill(pool, need, *forbidden)
        used = shown_mask.any(axis=0)  # shown ones are at the left
        return with_negatives(
            data.candidate_codes[at],
            shown[:, used],
            shown_mask[:, used],
            sampled,
            (data.history_offsets[history], data.history_offsets[history + 1]),
            self._weight[row],
            self._user[row],
        )

    def _shown_with(self, row: np.ndarray) -> tuple[OwnedCodes, OwnedCodes]:
        """Return what was clicked in the impression of each row, and the rest, once each."""
        assert self._data.clicked is not None
        offsets, rows = self._rows_of_group
        near, of_near = gather_segments(offsets, self._group_of_row[row])
        near = rows[near]
        at, of_at = gather_segments(self._data.candidate_offsets, near)
        owner = segment_ids(of_near)[segment_ids(of_at)]
        codes = self._data.candidate_codes[at].astype(np.int64)
        clicked = self._data.clicked[at].astype(bool)
        # an item that was listed twice and clicked once is no negative
        key = owner * self.sampler.n_items + codes
        passed = np.setdiff1d(key[~clicked], key[clicked])
        return (owner[clicked], codes[clicked]), np.divmod(passed, self.sampler.n_items)

    def _forbidden(
        self, history: np.ndarray, clicks: OwnedCodes, shown: np.ndarray, mask: np.ndarray
    ) -> OwnedCodes:
        """Return (row, code) pairs that must not be sampled."""
        past, past_offsets = gather_segments(self._data.history_offsets, history)
        rows = [clicks[0], segment_ids(past_offsets), np.nonzero(mask)[0]]
        codes = [clicks[1], self.history_codes[past], shown[mask]]
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

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> ExampleBatch:
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
        if not data.clicked.any() or data.clicked.all():
            raise ValueError(
                f"all {len(data.clicked)} labels are {data.clicked[0]}; training needs both "
                "clicked and not clicked candidates"
            )
        self._data, self._weight, self._user = data, weights_of(data), data.users()
        self.history_codes, self.sampler = data.history_codes, sampler

    def __len__(self) -> int:
        return len(self._data.candidate_codes)

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> ExampleBatch:
        """Return the examples of some rows, one candidate each."""
        data, row = self._data, self._data.row_of_candidate(rows)
        assert data.clicked is not None
        history = data.history_of_row[row]
        candidates = data.candidate_codes[rows].astype(np.int64)[:, None]
        return ExampleBatch(
            data.history_offsets[history],
            data.history_offsets[history + 1],
            candidates,
            np.ones_like(candidates, dtype=bool),
            data.clicked[rows].astype(np.float32)[:, None],
            np.zeros((len(rows), len(pool)), dtype=bool),
            self._weight[row],
            self._user[row],
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

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> ExampleBatch:
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
) -> ExampleBatch:
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
    ExampleBatch
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
    return with_negatives(
        codes[place], none, none.astype(bool), sampled, (starts, place), weight, user
    )


def with_negatives(
    positive: np.ndarray,
    shown: np.ndarray,
    shown_mask: np.ndarray,
    sampled: np.ndarray,
    spans: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    user: np.ndarray,
) -> ExampleBatch:
    """Put each click (B,) in front of those that were shown with it (B, n)."""
    first = positive[:, None].astype(np.int64)
    candidates = np.concatenate([first, shown], axis=1)
    mask = np.concatenate([np.ones(first.shape, dtype=bool), shown_mask], axis=1)
    labels = np.zeros(candidates.shape, dtype=np.float32)
    labels[:, 0] = 1.0
    return ExampleBatch(*spans, candidates, mask, labels, sampled, weight, user)


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


def _choose(
    owner: np.ndarray, codes: np.ndarray, n_rows: int, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Choose up to n codes of each owner, at random without replacement; codes and mask (R, n).

    The owners are row numbers below `n_rows`, ascending.
    """
    order = np.lexsort((rng.random(len(owner)), owner))
    place = np.arange(len(owner)) - offsets_of(np.bincount(owner, minlength=n_rows))[owner]
    first = place < n
    chosen = np.zeros((n_rows, n), dtype=np.int64)
    mask = np.zeros((n_rows, n), dtype=bool)
    chosen[owner[first], place[first]] = codes[order[first]]
    mask[owner[first], place[first]] = True
    return chosen, mask
