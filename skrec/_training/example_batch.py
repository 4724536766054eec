"""The examples of one batch as numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np

from skrec._data.coded import CodedInteractions
from skrec._training.hard_negatives import columns_of
from skrec._training.negatives import NegativeSampler, Pool
from skrec._training.windows import WindowBatch

EMPTY_HISTORIES = (
    "every history is empty; training on bare histories predicts a click from those before it"
)

# row numbers in a batch (m,) and one item code for each
RowCodes = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ExampleBatch:
    """The B examples of one batch.

    Parameters
    ----------
    starts, stops : ndarray of int64, shape (B,)
        Range of each history in `Examples.history_codes`.
    candidates : ndarray of int64, shape (B, C)
        Codes of the candidates. Padding is 0.
    mask : ndarray of bool, shape (B, C)
        True for candidates, false for padding.
    labels : ndarray of float32, shape (B, C)
        1 for clicks, 0 otherwise.
    sampled : ndarray of bool, shape (B, S)
        Mask of the items of the batch's pool that are negatives of a row, in addition to its
        candidates.
    weight : ndarray of float64, shape (B,)
        Weight of each example in the loss.
    user_context : ndarray of int64, shape (B, 2)
        Codes of the user and the context of each example.
    windows : WindowBatch or None
        Windows whose clicks are learned in addition to the examples.
    n_hard : int
        Number of columns of `candidates`, after the first one, that contain hard negatives.
    """

    starts: np.ndarray
    stops: np.ndarray
    candidates: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    sampled: np.ndarray
    weight: np.ndarray
    user_context: np.ndarray
    windows: WindowBatch | None = None
    n_hard: int = 0

    def __len__(self) -> int:
        return len(self.mask) + (0 if self.windows is None else self.windows.n_targets())

    def clicks(self, history_codes: np.ndarray) -> np.ndarray:
        """Return the items (m,) that are clicked in the examples and learned in the windows.

        `history_codes` are those of `Examples`.
        """
        clicked = self.candidates[(self.labels == 1) & self.mask]
        if self.windows is None:
            return clicked
        return np.concatenate([clicked, history_codes[self.windows.targets()[2]]])

    def take(self, rows: slice) -> ExampleBatch:
        """Return the examples and the windows of a slice."""
        arrays = {name: getattr(self, name)[rows] for name in ARRAYS}
        windows = None if self.windows is None else self.windows.take(rows)
        return replace(self, windows=windows, **arrays)

    def stack(self, below: ExampleBatch) -> ExampleBatch:
        """Return these examples followed by others; the narrower arrays are padded."""
        stacked = {}
        for name in ARRAYS:
            parts = [getattr(self, name), getattr(below, name)]
            if parts[0].ndim == 2:
                width = max(part.shape[1] for part in parts)
                parts = [np.pad(part, [(0, 0), (0, width - part.shape[1])]) for part in parts]
            stacked[name] = np.concatenate(parts)
        n_hard = max(self.n_hard, below.n_hard)
        return replace(self, n_hard=n_hard, **stacked)  # type: ignore[arg-type]


OTHERS = "windows", "n_hard"
ARRAYS = tuple(field.name for field in fields(ExampleBatch) if field.name not in OTHERS)


def no_examples(n_shared: int) -> ExampleBatch:
    """Return a batch without examples, for a pool of `n_shared` items."""
    none = np.empty(0, dtype=np.int64)
    square = np.empty((0, 0), dtype=np.int64)
    shared = np.empty((0, n_shared), dtype=bool)
    pairs = np.empty((0, 2), dtype=np.int64)
    return with_negatives(
        none, square, square.astype(bool), shared, (none, none), none.astype(float), pairs
    )


def with_negatives(
    positive: np.ndarray,
    shown: np.ndarray,
    shown_mask: np.ndarray,
    sampled: np.ndarray,
    ranges: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    user_context: np.ndarray,
    hard: np.ndarray | None = None,
) -> ExampleBatch:
    """Return examples of one click each, which is the first candidate.

    Parameters
    ----------
    positive : ndarray of int, shape (B,)
        Codes of the clicks.
    shown : ndarray of int64, shape (B, n)
        Codes of the items that were shown with a click and not clicked.
    shown_mask : ndarray of bool, shape (B, n)
        False for padding of `shown`.
    sampled : ndarray of bool, shape (B, S)
        Mask of the pool's items that are negatives of a click.
    ranges : tuple of (ndarray of int64, shape (B,), ndarray of int64, shape (B,))
        Starts and stops of the histories.
    weight : ndarray of float64, shape (B,)
        Weight of each example.
    user_context : ndarray of int64, shape (B, 2)
        Codes of the user and the context of each example.
    hard : ndarray of int64, shape (B, n_hard), default=None
        Codes of hard negatives; -1 where there is none.

    Returns
    -------
    ExampleBatch
    """
    first = positive[:, None].astype(np.int64)
    hard = np.empty((len(first), 0), dtype=np.int64) if hard is None else hard
    candidates = np.concatenate([first, np.maximum(hard, 0), shown], axis=1)
    mask = np.concatenate([np.ones(first.shape, dtype=bool), hard >= 0, shown_mask], axis=1)
    labels = np.zeros(candidates.shape, dtype=np.float32)
    labels[:, 0] = 1.0
    n_hard = hard.shape[1]
    return ExampleBatch(
        *ranges, candidates, mask, labels, sampled, weight, user_context, None, n_hard
    )


def rows_of_windows(windows: WindowBatch, codes: np.ndarray, pool: Pool) -> ExampleBatch:
    """Return the targets of windows as examples of their own, each with the clicks before it.

    Parameters
    ----------
    windows : WindowBatch
    codes : ndarray of int32
        `Examples.history_codes`.
    pool : ndarray of int64, shape (S,)
        Items that were sampled for the batch.

    Returns
    -------
    ExampleBatch
    """
    window, starts, places = windows.targets()
    none = np.empty((len(window), 0), dtype=np.int64)
    ranges, weight = (starts, places), windows.weight[window]
    user_context = windows.user_context[window]
    allowed = windows.allowed[window]
    if windows.hard is not None:
        allowed[columns_of(pool, windows.hard)] = False
    return with_negatives(
        codes[places],
        none,
        none.astype(bool),
        allowed,
        ranges,
        weight,
        user_context,
        windows.hard,
    )


class Examples(Protocol):
    """Interface of a training set, of which each epoch draws every row once.

    Attributes
    ----------
    history_codes : ndarray of int32
        Item codes of all histories.
    contexts : ndarray of float32, shape (n_contexts, F), or None
        Distinct contexts; see `CodedInteractions`.
    n_skipped : int
        Number of impressions or histories without a click to learn.
    sampler : NegativeSampler
        Sampler of the pool of negatives.
    """

    history_codes: np.ndarray
    contexts: np.ndarray | None
    n_skipped: int
    sampler: NegativeSampler

    def __len__(self) -> int: ...

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> ExampleBatch:
        """Draw the examples of some rows.

        Parameters
        ----------
        rows : ndarray of int
            Row numbers in the training set.
        pool : ndarray of int64, shape (S,)
            Items that were sampled for the batch.
        rng : numpy.random.Generator
            Generator of the choice of negatives and targets.

        Returns
        -------
        ExampleBatch
        """
        ...


def weights_of(data: CodedInteractions) -> np.ndarray:
    """Return the weight of each row (n,), scaled to a mean of 1."""
    if data.weight is None:
        return np.ones(data.n_rows)
    return data.weight / data.weight.mean()


def without_context(user_context: np.ndarray) -> np.ndarray:
    """Return codes of users and contexts (B, 2) in which all contexts are unknown."""
    return user_context * np.array([1, 0])
