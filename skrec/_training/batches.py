"""Batches: the drawn examples of one step as tensors, with each distinct item named once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from skrec._data.ragged import pad_histories
from skrec._network import Batch
from skrec._training.examples import ExampleBatch, Examples
from skrec._training.negatives import Pool


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
    drawn: ExampleBatch,
    pool: Pool,
    history_codes: np.ndarray,
    max_history: int,
    log_q: np.ndarray | None = None,
) -> Batch:
    """Find a batch's distinct items and histories, and pad.

    Parameters
    ----------
    drawn : ExampleBatch
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
