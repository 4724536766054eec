"""Batches: the drawn examples of one step as tensors, with each distinct item named once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from skrec._examples import Drawn, Examples
from skrec._negatives import NegativeSampler
from skrec._segments import gather_ranges


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
    weight : float tensor of shape (B,)
        What each row counts in the loss.
    log_q : float tensor of shape (B, C)
        See ``Drawn``.
    n_rows : int
        Rows of the step in all processes: B, but where the batch is one process's share.
    """

    items: torch.Tensor
    history: torch.Tensor
    history_mask: torch.Tensor
    history_of_row: torch.Tensor
    candidates: torch.Tensor
    candidate_mask: torch.Tensor
    labels: torch.Tensor
    weight: torch.Tensor
    log_q: torch.Tensor
    n_rows: int

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        values: list[Any] = [getattr(self, field.name) for field in fields(self)]
        return Batch(*(v.to(device) if isinstance(v, torch.Tensor) else v for v in values))


def iterate_batches(
    examples: Examples,
    sampler: NegativeSampler,
    batch_size: int,
    max_history: int,
    rng: np.random.Generator,
    rank: int = 0,
    n_processes: int = 1,
) -> Iterator[Batch]:
    """Yield the batches of one epoch, in random order.

    Parameters
    ----------
    examples : Examples
        The training set.
    sampler : NegativeSampler
        Draws the negatives that a batch shares.
    batch_size : int
        Rows of a process.
    max_history : int
        How many of the latest clicks are kept.
    rng : numpy.random.Generator
        In the same state in all processes.
    rank, n_processes : int
        Which share of a step this process takes, of how many.

    Yields
    ------
    Batch
    """
    order = rng.permutation(len(examples))
    size = batch_size * n_processes
    for start in range(0, len(order), size):
        drawn = examples.draw(order[start : start + size], sampler.draw(rng), rng)
        share = drawn.take(slice(rank, None, n_processes))
        yield collate(share, examples.history_codes, max_history, len(drawn.mask))


def collate(
    drawn: Drawn, history_codes: np.ndarray, max_history: int, n_rows: int | None = None
) -> Batch:
    """Find a batch's distinct items and histories, and pad.

    Parameters
    ----------
    drawn : Drawn
        The examples.
    history_codes : ndarray of int32
        What the ranges of `drawn` point into.
    max_history : int
        How many of the latest clicks are kept.
    n_rows : int, default=None
        Rows of the step in all processes; None for those of `drawn`.

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
    items, index = _distinct(named)
    n_clicks = int(history_mask.sum())
    history[history_mask] = index[:n_clicks]
    candidates = np.zeros(drawn.candidates.shape, dtype=np.int64)
    candidates[drawn.mask] = index[n_clicks:]
    return Batch(
        items=torch.from_numpy(items),
        history=torch.from_numpy(history),
        history_mask=torch.from_numpy(history_mask),
        history_of_row=torch.from_numpy(history_of_row),
        candidates=torch.from_numpy(candidates),
        candidate_mask=torch.from_numpy(drawn.mask),
        labels=torch.from_numpy(drawn.labels),
        weight=torch.from_numpy(drawn.weight),
        log_q=torch.from_numpy(drawn.log_q),
        n_rows=len(drawn.mask) if n_rows is None else n_rows,
    )


def _distinct(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct codes, ascending, and where each code is: np.unique without a sort."""
    seen = np.zeros(int(codes.max(initial=-1)) + 1, dtype=bool)
    seen[codes] = True
    distinct = np.flatnonzero(seen)
    place = np.empty(len(seen), dtype=np.int64)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[codes]


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
