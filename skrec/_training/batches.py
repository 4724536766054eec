"""Batches of training examples as tensors, in which each distinct item occurs once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from skrec._batch import Batch, Targets
from skrec._data.keys import distinct_codes, distinct_rows
from skrec._data.ragged import pad_histories
from skrec._training.example_batch import ExampleBatch
from skrec._training.examples import Examples
from skrec._training.hard_negatives import columns_of
from skrec._training.negatives import Pool
from skrec._training.position import Position
from skrec._training.windows import WindowBatch


def iterate_batches(
    examples: Examples,
    batch_size: int,
    max_history: int,
    rng: np.random.Generator,
    rank: int = 0,
    n_processes: int = 1,
    position: Position | None = None,
) -> Iterator[Batch]:
    """Yield the batches of one epoch, in random order.

    Parameters
    ----------
    examples : Examples
        The training set.
    batch_size : int
        Number of examples per step and process.
    max_history : int
        Number of latest clicks that are read from a history.
    rng : numpy.random.Generator
        Generator of the order and the negatives, in the same state in all processes.
    rank : int, default=0
        Number of this process.
    n_processes : int, default=1
        Number of processes that share a step.
    position : Position, default=None
        Place in an epoch, whose remaining batches are yielded. None means its start.

    Yields
    ------
    Batch
    """
    at = position or Position({})
    order = at.rows(len(examples), rng)
    size = batch_size * n_processes
    for start in range(0, len(order), size):
        drawn, pool = _draw(examples, order[start : start + size], rng)
        share = drawn.take(slice(rank, None, n_processes))
        sampler = examples.sampler
        log_q = sampler.log_q, sampler.hard_log_q
        batch = collate(
            share, pool, examples.history_codes, max_history, *log_q, contexts=examples.contexts
        )
        yield replace(batch, n_rows=len(drawn), n_items=sampler.n_items)


def _draw(
    examples: Examples, rows: np.ndarray, rng: np.random.Generator
) -> tuple[ExampleBatch, Pool]:
    """Draw the examples of some rows, and a pool in which each finds its negatives."""
    sampler = examples.sampler
    pool = sampler.draw(rng)
    before = rng.bit_generator.state
    sampler.n_missing = 0
    if sampler.in_batch:
        clicks = examples.draw(rows, pool[:0], rng).clicks(examples.history_codes)
        pool = sampler.put_clicks_first(pool, clicks, rng)
        drawn = _draw_again(examples, rows, pool, rng, before)
    else:
        drawn = examples.draw(rows, pool, rng)
    while sampler.n_missing:
        larger = sampler.extend(pool, rng)
        if len(larger) == len(pool):
            break
        pool = larger
        drawn = _draw_again(examples, rows, pool, rng, before)
    return drawn, pool


def _draw_again(
    examples: Examples, rows: np.ndarray, pool: Pool, rng: np.random.Generator, before: Any
) -> ExampleBatch:
    """Draw the examples with the same targets as from the state `before`, with another pool."""
    after = rng.bit_generator.state
    rng.bit_generator.state = before
    examples.sampler.n_missing = 0
    drawn = examples.draw(rows, pool, rng)
    rng.bit_generator.state = after
    return drawn


def collate(
    drawn: ExampleBatch,
    pool: Pool,
    history_codes: np.ndarray,
    max_history: int,
    log_q: np.ndarray | None = None,
    hard_log_q: np.ndarray | None = None,
    contexts: np.ndarray | None = None,
) -> Batch:
    """Convert examples to a batch with distinct items and distinct, padded histories.

    Parameters
    ----------
    drawn : ExampleBatch
        The examples.
    pool : ndarray of int64, shape (S,)
        Sampled items, one per column of `drawn.sampled`. Items that no example uses are left out.
    history_codes : ndarray of int32
        Item codes of all histories, which `drawn.starts` and `drawn.stops` refer to.
    max_history : int
        Number of latest clicks that are read from a history.
    log_q : ndarray of float32, shape (N,), default=None
        Log-probability with which each item is sampled; see `NegativeSampler`. None means that all
        items are equally likely.
    hard_log_q : ndarray of float32, shape (N,), default=None
        What is subtracted from the scores of hard negatives; see `NegativeSampler`.
    contexts : ndarray of float32, shape (n_contexts, F), default=None
        Distinct contexts, which `drawn.user_context` refers to.

    Returns
    -------
    Batch
    """
    if log_q is None and hard_log_q is not None:
        log_q = np.zeros_like(hard_log_q)
    starts, stops = drawn.starts, drawn.stops
    users, context = drawn.user_context.T
    window, target = np.empty((2, 0), dtype=np.int64)
    windows = drawn.windows
    if windows is not None:
        window, before, target = windows.targets()
        # a window is read once, up to the last click but one; the first click has no history
        read = np.minimum(windows.starts + max_history, windows.stops)[window]
        starts = np.concatenate([starts, np.where(target > before, before, 0)])
        stops = np.concatenate([stops, np.where(target > before, read, 0)])
        of_targets = windows.user_context[window].T
        users, context = np.concatenate([drawn.user_context.T, of_targets], axis=1)
    starts = np.maximum(starts, stops - max_history)
    # one history per range of clicks and user
    (starts, lengths, user), history_of_row = distinct_rows(starts, stops - starts, users)
    history, history_mask = pad_histories(history_codes, starts, starts + lengths)
    history_of_row, history_of_target = np.split(history_of_row, [len(drawn.mask)])
    used = drawn.sampled.any(axis=0)
    if windows is not None:
        used |= windows.allowed.any(axis=0)
    pool, sampled = pool[used], drawn.sampled[:, used]
    hard = np.empty(0, dtype=np.int64)
    if windows is not None and windows.hard is not None:
        hard = windows.hard[windows.hard >= 0]
    codes = [history[history_mask], drawn.candidates[drawn.mask], pool, history_codes[target], hard]
    items, index = distinct_codes(np.concatenate(codes))
    edges = np.cumsum([len(part) for part in codes[:-1]])
    clicks, own, shared, learned, hard = np.split(index, edges)
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
        "log_q": _log_q_of_candidates(drawn, pool, sampled, log_q, hard_log_q),
        "weight": drawn.weight,
    }
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    batch = Batch(**tensors, n_rows=len(drawn))  # type: ignore[arg-type]
    if contexts is not None:
        used_contexts, context = np.unique(context, return_inverse=True)
        batch = replace(
            batch,
            contexts=torch.from_numpy(contexts[used_contexts]),
            context_of_row=torch.from_numpy(context[: len(drawn.mask)]),
        )
    if windows is None:
        return batch
    arrays = {
        "history": history_of_target,
        "position": np.maximum(target - before - 1, 0),
        "item": learned,
        "window": window,
        "allowed": windows.allowed[:, used],
        "log_q": np.zeros(len(target), np.float32) if log_q is None else log_q[codes[3]],
        "shared_log_q": np.zeros(len(pool), np.float32) if log_q is None else log_q[pool],
        "weight": windows.weight[window],
        "context": context[len(drawn.mask) :],
    } | _hard_negatives_of_targets(windows, pool, hard, hard_log_q)
    targets = Targets(**{name: torch.from_numpy(array) for name, array in arrays.items()})
    return replace(batch, targets=targets)


def _hard_negatives_of_targets(
    windows: WindowBatch, pool: np.ndarray, hard: np.ndarray, hard_log_q: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return the arrays of `Targets` for hard negatives, at places `hard` of the items."""
    if windows.hard is None or hard_log_q is None:
        return {}
    mask = windows.hard >= 0
    places = np.zeros(windows.hard.shape, dtype=np.int64)
    places[mask] = hard
    return {
        "hard": places,
        "hard_mask": mask,
        "hard_log_q": hard_log_q[windows.hard] * mask,
        "not_allowed": np.stack(columns_of(pool, windows.hard)),
    }


def _log_q_of_candidates(
    drawn: ExampleBatch,
    pool: np.ndarray,
    sampled: np.ndarray,
    log_q: np.ndarray | None,
    hard_log_q: np.ndarray | None,
) -> np.ndarray:
    """Return the log-probabilities (B, C + S) of sampled items; 0 for items that were shown.

    If no negative of a row was shown, its click has one too, because the loss then asks which of
    the items was clicked and which were sampled. The hard negatives of such a row have one as well.
    """
    candidates = drawn.candidates
    if log_q is None:
        return np.zeros((len(candidates), candidates.shape[1] + len(pool)), dtype=np.float32)
    is_hard = np.zeros(candidates.shape, dtype=bool)
    is_hard[:, 1 : 1 + drawn.n_hard] = drawn.mask[:, 1 : 1 + drawn.n_hard]
    only_sampled = sampled.any(axis=1) & ((drawn.mask & ~is_hard).sum(axis=1) == 1)
    clicked = (drawn.labels == 1) & only_sampled[:, None]
    own = log_q[candidates] * clicked
    if hard_log_q is not None:
        own = own + hard_log_q[candidates] * (is_hard & only_sampled[:, None])
    return np.concatenate([own, log_q[pool] * sampled], axis=1)
