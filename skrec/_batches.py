"""Batches: the drawn examples of one step as tensors, with each distinct item named once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skrec._examples import Drawn, Examples
from skrec._negatives import Pool
from skrec._segments import gather_ranges


@dataclass(frozen=True)
class Batch:
    """What one step reads; indices point into `items`, the batch's U distinct items.

    Attributes
    ----------
    items : int64 tensor of shape (U,)
        Catalogue codes.
    history : int64 tensor of shape (H, L)
        The batch's distinct histories, padded with 0; once for each user.
    history_mask : bool tensor of shape (H, L)
    user : int64 tensor of shape (H,)
        Who reads each of them: 0 for unknown users.
    history_of_row : int64 tensor of shape (B,)
    candidates : int64 tensor of shape (B, C)
        Those of each row by itself.
    shared : int64 tensor of shape (S,)
        Sampled candidates of all rows; scores have C + S columns.
    candidate_mask : bool tensor of shape (B, C + S)
    labels : float tensor of shape (B, C + S)
    log_q : float tensor of shape (B, C + S)
        What a softmax over sampled candidates takes off the scores: the log of their chances to
        be drawn, and 0 in rows that have none.
    weight : float tensor of shape (B,)
        What each row counts in the loss.
    n_rows : int
        Rows of the step in all processes: B, but where the batch is one process's share.
    """

    items: torch.Tensor
    history: torch.Tensor
    history_mask: torch.Tensor
    user: torch.Tensor
    history_of_row: torch.Tensor
    candidates: torch.Tensor
    shared: torch.Tensor
    candidate_mask: torch.Tensor
    labels: torch.Tensor
    log_q: torch.Tensor
    weight: torch.Tensor
    n_rows: int

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        moved: dict[str, Any] = {
            name: value.to(device) if isinstance(value, torch.Tensor) else value
            for name, value in vars(self).items()
        }
        return Batch(**moved)


def iterate_batches(
    examples: Examples,
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
        pool = examples.sampler.draw(rng)
        drawn = examples.draw(order[start : start + size], pool, rng)
        share = drawn.take(slice(rank, None, n_processes))
        batch = collate(share, pool, examples.history_codes, max_history, examples.sampler.log_q)
        yield replace(batch, n_rows=len(drawn.mask))


def collate(
    drawn: Drawn,
    pool: Pool,
    history_codes: np.ndarray,
    max_history: int,
    log_q: np.ndarray | None = None,
) -> Batch:
    """Find a batch's distinct items and histories, and pad.

    Parameters
    ----------
    drawn : Drawn
        The examples.
    pool : ndarray of int64, shape (S,)
        What `drawn.sampled` says of each row; items that no row uses are left out.
    history_codes : ndarray of int32
        What the ranges of `drawn` point into.
    max_history : int
        How many of the latest clicks are kept.
    log_q : ndarray of float32, shape (N,), default=None
        Log of each item's chance to be sampled; None where all are alike.

    Returns
    -------
    Batch
    """
    starts = np.maximum(drawn.starts, drawn.stops - max_history)
    n_users = int(drawn.user.max(initial=0)) + 1
    key = (starts * (max_history + 1) + (drawn.stops - starts)) * n_users + drawn.user
    key, history_of_row = np.unique(key, return_inverse=True)
    key, user = np.divmod(key, n_users)
    starts, lengths = np.divmod(key, max_history + 1)
    history, history_mask = pad_histories(history_codes, starts, starts + lengths)
    used = drawn.sampled.any(axis=0)
    pool, sampled = pool[used], drawn.sampled[:, used]
    named = [history[history_mask], drawn.candidates[drawn.mask], pool]
    items, index = _distinct(np.concatenate(named))
    clicks, own, shared = np.split(index, np.cumsum([len(part) for part in named[:-1]]))
    history[history_mask] = clicks
    candidates = np.zeros(drawn.candidates.shape, dtype=np.int64)
    candidates[drawn.mask] = own
    arrays = {
        "items": items,
        "history": history,
        "history_mask": history_mask,
        "user": user,
        "history_of_row": history_of_row,
        "candidates": candidates,
        "shared": shared,
        "candidate_mask": np.concatenate([drawn.mask, sampled], axis=1),
        "labels": np.pad(drawn.labels, [(0, 0), (0, len(pool))]),
        "log_q": _chances(drawn.candidates, pool, sampled, log_q),
        "weight": drawn.weight,
    }
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return Batch(**tensors, n_rows=len(drawn.mask))


def _chances(
    candidates: np.ndarray, pool: np.ndarray, sampled: np.ndarray, log_q: np.ndarray | None
) -> np.ndarray:
    """Return the log of the chance to be sampled (B, C + S), 0 in rows that sample nothing."""
    if log_q is None:
        return np.zeros((len(candidates), candidates.shape[1] + len(pool)), dtype=np.float32)
    shared = np.broadcast_to(log_q[pool], sampled.shape)
    chances = np.concatenate([log_q[candidates], shared], axis=1)
    return chances * sampled.any(axis=1, keepdims=True)


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
