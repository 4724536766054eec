"""Item vectors, user vectors, scores and top-k lists of a trained network.

::

    Packed --encode--> item rows (N, R) --gather--> user vectors (H, K, D), each history once
                              |                             |
                              +-> scores of rows' candidates <+-> scores of all items, top k

Everything runs without autograd and in evaluation mode, in blocks of bounded size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np
import torch

from skrec._batches import pad_histories
from skrec._coded import CodedInteractions
from skrec._network import TOKEN_BUDGET, Network
from skrec._segments import iterate_blocks, segment_ids
from skrec.content import Packed
from skrec.metrics import Ranking

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
    network: Network, items: torch.Tensor, data: CodedInteractions, max_history: int
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

    Returns
    -------
    users : tensor of shape (H, K, D)
    user_of_row : ndarray of int64, shape (n,)
    """
    used, user, user_of_row = data.readers()
    parts = [
        network.users(
            *_clicks(network, items, data, used[block], max_history), _index(user[block], items)
        )
        for block in iterate_blocks(len(used), _block_of_histories(network, items))
    ]
    return torch.cat(parts), user_of_row


def _clicks(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    histories: np.ndarray,
    max_history: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gather the clicked items' rows (H, L, R) and mask (H, L) of some histories."""
    stops = data.history_offsets[histories + 1]
    starts = np.maximum(data.history_offsets[histories], stops - max_history)
    codes, mask = pad_histories(data.history_codes, starts, stops)
    device = items.device
    clicks = items[torch.from_numpy(codes).to(device)]
    return network.with_empty(clicks, torch.from_numpy(mask).to(device))


def _block_of_histories(network: Network, items: torch.Tensor) -> int:
    """Return how many histories to gather at a time: fewer where items have tokens."""
    return max(1, HISTORY_BLOCK * network.width // items.shape[1])


@_inference
def score_candidates(
    network: Network, items: torch.Tensor, data: CodedInteractions, max_history: int
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

    Returns
    -------
    ndarray of shape (P,)
    """
    row = data.row_of_candidate()
    scores = np.empty(len(row), dtype=_numpy_dtype(items))
    candidates = items[:, : network.item_width]
    if not network.has_user_vectors:
        for block in iterate_blocks(len(row), _block_of_histories(network, items)):
            used, user, own = data.readers(row[block])
            clicks, mask = _clicks(network, items, data, used, max_history)
            item = candidates[_index(data.candidate_codes[block], items)].unsqueeze(1)
            rows = _index(own, items)
            part = network.score(clicks, mask, rows, item, _index(user, items))
            scores[block] = part.squeeze(1).cpu().numpy()
        return scores
    users, user_of_row = user_vectors(network, items, data, max_history)
    for block in iterate_blocks(len(row), PAIR_BLOCK):
        user = users[_index(user_of_row[row[block]], items)].unsqueeze(1)  # (P, 1, K, D)
        item = candidates[_index(data.candidate_codes[block], items)].unsqueeze(1)  # (P, 1, W)
        scores[block] = network.match(user, item).squeeze(1).cpu().numpy()
    return scores


def score_catalogue(
    network: Network, items: torch.Tensor, data: CodedInteractions, max_history: int
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield blocks of rows with their scores (b, N) of all items.

    Parameters
    ----------
    network : Network
    items : tensor of shape (N, R)
        Item rows.
    data : CodedInteractions
    max_history : int
        How many of the latest clicks are read.

    Yields
    ------
    rows : slice
    scores : tensor of shape (b, N)
    """
    size = max(1, CELL_BLOCK // len(items))
    for rows in iterate_blocks(data.n_rows, size):
        part = data.take(np.arange(rows.start, rows.stop))
        yield rows, _score_all(network, items, part, max_history)


@_inference
def _score_all(
    network: Network, items: torch.Tensor, data: CodedInteractions, max_history: int
) -> torch.Tensor:
    used, user, user_of_row = data.readers()
    parts = []
    for block in iterate_blocks(len(used), _block_of_histories(network, items)):
        clicks, mask = _clicks(network, items, data, used[block], max_history)
        who = _index(user[block], items)
        if network.candidate_aware:
            everyone = zip(clicks, mask, who, strict=True)
            parts += [_score_one(network, items, *one) for one in everyone]
        else:
            users = network.users(clicks, mask, who)
            real = mask if network.late_fusion else None
            parts.append(network.match_all(users, items, PAIR_BLOCK, real))
    return torch.cat(parts)[_index(user_of_row, items)]


def _score_one(
    network: Network,
    items: torch.Tensor,
    clicks: torch.Tensor,
    mask: torch.Tensor,
    user: torch.Tensor,
) -> torch.Tensor:
    """Score all items for one history of clicks (L, R), to (1, N)."""
    only = torch.zeros(1, dtype=torch.long, device=items.device)
    parts = [
        network.score(clicks[None], mask[None], only, part[None], user[None])
        for part in items[:, : network.item_width].split(HISTORY_BLOCK)
    ]
    return torch.cat(parts, dim=1)


def top_k(
    blocks: Iterator[tuple[slice, torch.Tensor]],
    data: CodedInteractions,
    k: int,
    exclude_seen: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Keep the k best items of each row; short lists end in -1 and -inf.

    Parameters
    ----------
    blocks : iterator
        What `score_catalogue` yields.
    data : CodedInteractions
        The rows, of n histories.
    k : int
        Length of the lists.
    exclude_seen : bool
        Whether the items of a row's history are left out.

    Returns
    -------
    codes : ndarray of int64, shape (n, k)
    scores : ndarray of shape (n, k)
    """
    codes = np.full((data.n_rows, k), -1, dtype=np.int64)
    best = np.full((data.n_rows, k), -np.inf, dtype=np.float32)
    for rows, scores in blocks:
        scores = scores.clone()  # those of the inference mode can't be changed in place
        if exclude_seen:
            scores[seen_cells(data, rows, scores.device)] = -torch.inf
        at = _stable_top(scores, min(k, scores.shape[1]))
        found = scores.gather(1, at)
        at = at.masked_fill(found == -torch.inf, -1)
        codes[rows, : at.shape[1]] = at.cpu().numpy()
        best[rows, : at.shape[1]] = found.cpu().numpy()
    return codes, best


def _stable_top(scores: torch.Tensor, k: int) -> torch.Tensor:
    """Return where the k greatest of each row of (b, N) are; equal ones in catalogue order."""
    found, at = torch.topk(scores, min(k + 1, scores.shape[1]), dim=1)
    at, order = torch.sort(at[:, :k], dim=1)
    again = torch.argsort(found.gather(1, order), dim=1, descending=True, stable=True)
    at = at.gather(1, again)
    if found.shape[1] > k:
        # of scores that tie across the end of the list, topk keeps any
        tied = (found[:, k - 1] == found[:, k]) & (found[:, k] > -torch.inf)
        at[tied] = torch.argsort(scores[tied], dim=1, descending=True, stable=True)[:, :k]
    return at


def seen_cells(
    data: CodedInteractions, rows: slice, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the row (within the slice) and code of each click in some rows' histories."""
    part = data.take(np.arange(rows.start, rows.stop))
    at, offsets = part.history_positions()
    codes = data.history_codes[at].astype(np.int64)
    return (
        torch.from_numpy(segment_ids(offsets)).to(device),
        torch.from_numpy(codes).to(device),
    )


def rank_last_click(
    blocks: Iterator[tuple[slice, torch.Tensor]], data: CodedInteractions, target: np.ndarray
) -> Ranking:
    """Rank each row's target among the items that its history lacks.

    Parameters
    ----------
    blocks : iterator
        What `score_catalogue` yields.
    data : CodedInteractions
        The rows, whose histories end before the target.
    target : ndarray of int, shape (n,)
        The hidden clicks.

    Returns
    -------
    Ranking
        One group a row, with one positive.
    """
    n_rows = data.n_rows
    above, tied, size = (np.empty(n_rows, dtype=np.int64) for _ in range(3))
    for rows, scores in blocks:
        scores = scores.clone()  # those of the inference mode can't be changed in place
        own = _index(target[rows], scores).unsqueeze(1)
        wanted = scores.gather(1, own)  # (b, 1)
        scores[seen_cells(data, rows, scores.device)] = -torch.inf
        scores.scatter_(1, own, wanted)  # a target that was clicked before counts all the same
        above[rows] = (scores > wanted).sum(dim=1).cpu().numpy()
        tied[rows] = (scores == wanted).sum(dim=1).cpu().numpy()
        size[rows] = (scores > -torch.inf).sum(dim=1).cpu().numpy()
    one, none = np.ones(n_rows, dtype=np.int64), np.zeros(n_rows, dtype=np.int64)
    return Ranking(size, one, np.arange(n_rows), above, tied, none, one)


def device_of(network: Network) -> torch.device:
    """Return the device that holds the network's weights."""
    return network.empty_history.device


def _index(codes: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.asarray(codes, dtype=np.int64)).to(like.device)


def _numpy_dtype(tensor: torch.Tensor) -> Any:
    return np.float64 if tensor.dtype == torch.float64 else np.float32
