"""The examples of one batch as numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

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
    user : ndarray of int64, shape (B,)
        Code of the user of each example.
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
        """Return the examples of a slice."""
        return ExampleBatch(*(getattr(self, field.name)[rows] for field in fields(self)))

    def stack(self, below: ExampleBatch) -> ExampleBatch:
        """Return these examples followed by others; the narrower arrays are padded."""
        stacked = []
        for field in fields(self):
            parts = [getattr(self, field.name), getattr(below, field.name)]
            if parts[0].ndim == 2:
                width = max(part.shape[1] for part in parts)
                parts = [np.pad(part, [(0, 0), (0, width - part.shape[1])]) for part in parts]
            stacked.append(np.concatenate(parts))
        return ExampleBatch(*stacked)


def with_negatives(
    positive: np.ndarray,
    shown: np.ndarray,
    shown_mask: np.ndarray,
    sampled: np.ndarray,
    ranges: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    user: np.ndarray,
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
    user : ndarray of int64, shape (B,)
        Code of the user of each example.

    Returns
    -------
    ExampleBatch
    """
    first = positive[:, None].astype(np.int64)
    candidates = np.concatenate([first, shown], axis=1)
    mask = np.concatenate([np.ones(first.shape, dtype=bool), shown_mask], axis=1)
    labels = np.zeros(candidates.shape, dtype=np.float32)
    labels[:, 0] = 1.0
    return ExampleBatch(*ranges, candidates, mask, labels, sampled, weight, user)
