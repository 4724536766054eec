"""Item vectors, user vectors and scores of a trained network.

::

    Packed --encode--> item rows (N, R) --gather--> user vectors (H, K, D), each history once
                              |                             |
                              +-> scores of rows' candidates <+-> scores of all items

Everything runs without autograd and in evaluation mode, in blocks of bounded size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import (
    gather_ranges,
    gather_segments,
    iterate_blocks,
    offsets_of,
    pad_histories,
)
from skrec._inference.user_vectors import UserStore
from skrec._network import TOKEN_BUDGET, Network, device_of
from skrec.content import Packed

HISTORY_BLOCK = 2048  # histories whose clicks are gathered at a time
PAIR_BLOCK = 1 << 16  # candidates scored at a time
CELL_BLOCK = 1 << 22  # scores of users against the whole catalogue at a time


def _inference(function: Callable) -> Callable:
    """Run `function` of a network in evaluation mode and without autograd."""

    @wraps(function)
    def run(network: Network, *args: Any, **kwargs: Any) -> Any:
        training = network.training
        network.eval()
        try:
            with torch.inference_mode():
                return function(network, *args, **kwargs)
        finally:
            network.train(training)

    return run


def weights_version(network: Network) -> tuple:
    """Return a value that changes whenever a weight does."""
    state = [*network.parameters(), *network.buffers()]
    return network.n_steps, *((tensor.data_ptr(), tensor._version) for tensor in state)


@_inference
def item_rows(network: Network, packed: Packed, codes: np.ndarray | None = None) -> torch.Tensor:
    """Encode items: their vectors, and behind them what else the behavior operator reads.

    Parameters
    ----------
    network : Network
    packed : Packed
        N prepared items.
    codes : ndarray of int, shape (U,), default=None
        Which of them; None for all.

    Returns
    -------
    tensor of shape (U, R), on the network's device
    """
    wanted = torch.arange(len(packed)) if codes is None else torch.from_numpy(codes)
    return network.encode(packed, wanted.to(device_of(network)), TOKEN_BUDGET)


@_inference
def user_vectors(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    max_history: int,
    store: UserStore | None = None,
) -> tuple[torch.Tensor, np.ndarray]:
    """Compute the vectors of the distinct histories that rows of `data` name.

    Parameters
    ----------
    network : Network
    items : tensor of shape (N, R)
        Item rows.
    data : CodedInteractions
    max_history : int
        How many of the latest clicks are read.
    store : UserStore, default=None
        Of vectors that these weights and item rows gave before.

    Returns
    -------
    users : tensor of shape (H, K, D)
    user_of_row : ndarray of int64, shape (n,)
    """
    used, user, user_of_row = data.readers()
    parts = [
        _users(network, items, data, used[block], user[block], max_history, store)
        for block in iterate_blocks(len(used), _block_of_histories(network, items))
    ]
    return torch.cat(parts), user_of_row


def _users(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    histories: np.ndarray,
    user: np.ndarray,
    max_history: int,
    store: UserStore | None,
) -> torch.Tensor:
    """Compute the vectors (H, K, D) of some histories, or find them in the store."""

    def compute(some: np.ndarray) -> torch.Tensor:
        clicks, mask = _clicks(network, items, data, histories[some], max_history)
        return network.users(clicks, mask, _index(user[some], items))

    if store is None:
        return compute(np.arange(len(histories)))
    starts, stops = _latest(data, histories, max_history)
    offsets = offsets_of(stops - starts + 1)  # the user comes before the clicks
    values = np.empty(offsets[-1], dtype=np.int64)
    is_user = np.zeros(len(values), dtype=bool)
    is_user[offsets[:-1]] = True
    values[is_user] = user
    values[~is_user] = data.history_codes[gather_ranges(starts, stops)[0]]
    return store.get(offsets, values, compute)


def _latest(
    data: CodedInteractions, histories: np.ndarray, max_history: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return where in `history_codes` the latest clicks of some histories start and stop."""
    stops = data.history_offsets[histories + 1]
    return np.maximum(data.history_offsets[histories], stops - max_history), stops


def _clicks(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    histories: np.ndarray,
    max_history: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gather the clicked items' rows (H, L, R) and mask (H, L) of some histories."""
    codes, mask = pad_histories(data.history_codes, *_latest(data, histories, max_history))
    clicks = F.embedding(_index(codes, items), items)
    return network.with_empty(clicks, torch.from_numpy(mask).to(items.device))


def _block_of_histories(network: Network, items: torch.Tensor) -> int:
    """Return how many histories to gather at a time: fewer where items have tokens."""
    return max(1, HISTORY_BLOCK * network.width // items.shape[1])


@_inference
def score_candidates(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    max_history: int,
    store: UserStore | None = None,
) -> np.ndarray:
    """Score the candidates of each row.

    Parameters
    ----------
    network : Network
    items : tensor of shape (N, R)
        Item rows.
    data : CodedInteractions
        With P candidates in all.
    max_history : int
        How many of the latest clicks are read.
    store : UserStore, default=None
        Of vectors that these weights and item rows gave before.

    Returns
    -------
    ndarray of shape (P,)
    """
    scores = np.empty(len(data.candidate_codes), dtype=_numpy_dtype(items))
    candidates = items[:, : network.item_width]
    used, user, user_of_row = data.readers()
    by_user = np.argsort(user_of_row, kind="stable")  # rows, so that each user is made once
    row_offsets = offsets_of(np.bincount(user_of_row, minlength=len(used)))
    block_of_pairs = PAIR_BLOCK if network.has_user_vectors else _block_of_histories(network, items)
    for block in iterate_blocks(len(used), _block_of_histories(network, items)):
        rows = by_user[row_offsets[block.start] : row_offsets[block.stop]]
        at, offsets = gather_segments(data.candidate_offsets, rows)
        if not len(at):
            continue
        own = np.repeat(user_of_row[rows] - block.start, np.diff(offsets))
        of_block = _pair_scorer(network, items, data, used[block], user[block], max_history, store)
        for pairs in iterate_blocks(len(at), block_of_pairs):
            item = F.embedding(_index(data.candidate_codes[at[pairs]], items), candidates)
            scores[at[pairs]] = of_block(own[pairs], item.unsqueeze(1)).squeeze(1).cpu().numpy()
    return scores


def _pair_scorer(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    histories: np.ndarray,
    user: np.ndarray,
    max_history: int,
    store: UserStore | None,
) -> Callable[[np.ndarray, torch.Tensor], torch.Tensor]:
    """Return what scores candidates (P, 1, W), each against the history with a number (P,)."""
    if network.has_user_vectors:
        users = _users(network, items, data, histories, user, max_history, store)

        def match(own: np.ndarray, item: torch.Tensor) -> torch.Tensor:
            return network.match(users.index_select(0, _index(own, items)).unsqueeze(1), item)

        return match

    def score(own: np.ndarray, item: torch.Tensor) -> torch.Tensor:
        used, own = np.unique(own, return_inverse=True)
        clicks, mask = _clicks(network, items, data, histories[used], max_history)
        return network.score(clicks, mask, _index(own, items), item, _index(user[used], items))

    return score


def score_catalogue(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    max_history: int,
    store: UserStore | None = None,
    among: np.ndarray | None = None,
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield blocks of rows with their scores (b, N) of all items, or (b, M) of some.

    Parameters
    ----------
    network : Network
    items : tensor of shape (N, R)
        Item rows.
    data : CodedInteractions
    max_history : int
        How many of the latest clicks are read.
    store : UserStore, default=None
        Of vectors that these weights and item rows gave before.
    among : ndarray of int64, shape (M,), default=None
        Codes of the items to score; None for all.

    Yields
    ------
    rows : slice
    scores : tensor of shape (b, N), or (b, M)
    """
    candidates = items if among is None else items[_index(among, items)]
    size = max(1, CELL_BLOCK // max(1, len(candidates)))
    for rows in iterate_blocks(data.n_rows, size):
        part = data.take(np.arange(rows.start, rows.stop))
        yield rows, _score_all(network, items, candidates, part, max_history, store)


@_inference
def _score_all(
    network: Network,
    items: torch.Tensor,
    candidates: torch.Tensor,
    data: CodedInteractions,
    max_history: int,
    store: UserStore | None,
) -> torch.Tensor:
    used, user, user_of_row = data.readers()
    parts = []
    for block in iterate_blocks(len(used), _block_of_histories(network, items)):
        if network.has_user_vectors:
            users = _users(network, items, data, used[block], user[block], max_history, store)
            parts.append(network.match_all(users, candidates, PAIR_BLOCK))
            continue
        clicks, mask = _clicks(network, items, data, used[block], max_history)
        who = _index(user[block], items)
        if network.candidate_aware:
            everyone = zip(clicks, mask, who, strict=True)
            parts += [_score_one(network, candidates, *one) for one in everyone]
        else:
            users = network.users(clicks, mask, who)
            parts.append(network.match_all(users, candidates, PAIR_BLOCK, mask))
    scores = parts[0] if len(parts) == 1 else torch.cat(parts)
    if np.array_equal(user_of_row, np.arange(len(scores))):
        return scores
    return scores.index_select(0, _index(user_of_row, items))


def _score_one(
    network: Network,
    candidates: torch.Tensor,
    clicks: torch.Tensor,
    mask: torch.Tensor,
    user: torch.Tensor,
) -> torch.Tensor:
    """Score all candidates (M, R) for one history of clicks (L, R), to (1, M)."""
    only = torch.zeros(1, dtype=torch.long, device=candidates.device)
    parts = [
        network.score(clicks[None], mask[None], only, part[None], user[None])
        for part in candidates[:, : network.item_width].split(HISTORY_BLOCK)
    ]
    return torch.cat(parts, dim=1)


def _index(codes: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.asarray(codes, dtype=np.int64)).to(like.device)


def _numpy_dtype(tensor: torch.Tensor) -> Any:
    return np.float64 if tensor.dtype == torch.float64 else np.float32
