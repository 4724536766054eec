"""Item vectors, user vectors and scores of a trained network.

::

    Packed --encode--> item rows (N, R) --gather--> user vectors (M, K, D)
                              |                             |
                              +-----------> scores <--------+

An item row contains the item vector, followed by the other numbers that the behavior operator
reads. There is one user vector per distinct reader: a history with its user and its context. All
functions run in evaluation mode and without autograd, in blocks of limited size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from skrec._data.coded import CodedInteractions
from skrec._data.packed import Packed
from skrec._data.ragged import (
    empty_array,
    gather_ranges,
    gather_segments,
    iterate_blocks,
    offsets_of,
    pad_histories,
)
from skrec._inference.row_blocks import row_blocks
from skrec._inference.user_vectors import UserVectorCache
from skrec._network import TOKEN_BUDGET, Network, device_of
from skrec.nn import stack_rows

HISTORY_BLOCK = 2048  # histories whose clicks are gathered at a time
PAIR_BLOCK = 1 << 16  # candidates that are scored at a time
ITEM_BLOCK = 1 << 16  # items that are encoded at a time
ON_DISK = {torch.float32: np.float32, torch.float64: np.float64}  # types that files may hold


def _inference(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function of a network in evaluation mode, to run it without autograd.

    The mode is not changed here, because other threads may use the network at the same time.
    """

    @wraps(function)
    def run(network: Network, *args: Any, **kwargs: Any) -> Any:
        if network.training:
            raise RuntimeError(
                "the network is in training mode, in which answers are random; call "
                "rec.network_.eval() first"
            )
        with torch.inference_mode():
            return function(network, *args, **kwargs)

    return run


def weights_version(network: Network) -> tuple[Any, ...]:
    """Return a value that changes when any weight or buffer of the network changes."""
    state = [*network.parameters(), *network.buffers()]
    return network.n_steps, *((tensor.data_ptr(), tensor._version) for tensor in state)


@_inference
def item_rows(network: Network, packed: Packed, codes: np.ndarray | None = None) -> torch.Tensor:
    """Compute item rows: item vectors and the other numbers that the behavior operator reads.

    Parameters
    ----------
    network : Network
    packed : Packed
        N prepared items.
    codes : ndarray of int, shape (U,), default=None
        Positions of the items to encode. None means all items.

    Returns
    -------
    tensor of shape (U, R), on the network's device. On the CPU, many rows are in a temporary file
    that is mapped into memory; see `empty_array`.
    """
    wanted = torch.arange(len(packed)) if codes is None else torch.from_numpy(codes)
    if len(wanted) <= ITEM_BLOCK:
        return network.encode(packed, wanted, TOKEN_BUDGET)
    blocks = list(iterate_blocks(len(wanted), ITEM_BLOCK))
    parts = (network.encode(packed, wanted[block], TOKEN_BUDGET) for block in blocks)
    # numpy lacks bfloat16, and rows of tokens differ in length
    if network.reads_tokens or device_of(network).type != "cpu" or _dtype(network) not in ON_DISK:
        return stack_rows(list(parts))
    rows: np.ndarray | None = None
    for block, part in zip(blocks, parts, strict=True):
        if rows is None:
            rows = empty_array((len(wanted), part.shape[1]), ON_DISK[part.dtype])
        rows[block] = part.numpy()
    return torch.from_numpy(rows)


def _dtype(network: Network) -> torch.dtype:
    """Return the type of item vectors."""
    return network.empty_history.dtype


@_inference
def user_vectors(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    max_history: int,
    cache: UserVectorCache | None = None,
) -> tuple[torch.Tensor, np.ndarray]:
    """Compute one user vector per distinct history, user and context.

    Parameters
    ----------
    network : Network
    items : tensor of shape (N, R)
        Item rows.
    data : CodedInteractions
    max_history : int
        Number of latest clicks that are read from a history.
    cache : UserVectorCache, default=None
        Cache of vectors that were computed with the same weights and item rows.

    Returns
    -------
    vectors : tensor of shape (M, K, D)
        Vectors of the M distinct readers. If the context is a field of its own, they do not contain
        it.
    reader_of_row : ndarray of int64, shape (n,)
        Position of each row's reader in `vectors`.
    """
    history, user_context, reader_of_row = data.distinct_readers()
    parts = [
        _users(network, items, data, history[block], user_context[block], max_history, cache)
        for block in iterate_blocks(len(history), _histories_per_block(network, items))
    ]
    return torch.cat(parts)[..., : network.width], reader_of_row


def _users(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    histories: np.ndarray,
    user_context: np.ndarray,
    max_history: int,
    cache: UserVectorCache | None,
) -> torch.Tensor:
    """Return the vectors (M, K, D) of readers in their contexts; see `Network.in_context`.

    A history with a user is read once for all of its contexts.
    """
    user = user_context[:, 0]
    is_first = np.ones(len(histories), dtype=bool)  # readers with the same history are neighbors
    is_first[1:] = (histories[1:] != histories[:-1]) | (user[1:] != user[:-1])
    users = _users_of_pairs(
        network, items, data, histories[is_first], user[is_first], max_history, cache
    )
    if not is_first.all():
        users = users.index_select(0, _index(is_first.cumsum() - 1, items))
    return network.in_context(users, _contexts(data, user_context, items))


def _contexts(
    data: CodedInteractions, user_context: np.ndarray, like: torch.Tensor
) -> torch.Tensor | None:
    """Return the features (M, F) of readers' contexts; None if all contexts are unknown."""
    if data.contexts is None:
        return None
    return torch.from_numpy(data.contexts[user_context[:, 1]]).to(like.device)


def _users_of_pairs(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    histories: np.ndarray,
    user: np.ndarray,
    max_history: int,
    cache: UserVectorCache | None,
) -> torch.Tensor:
    """Return the vectors (M, K, D) of histories with a user, from the cache if there."""

    def compute(some: np.ndarray) -> torch.Tensor:
        clicks, mask = _clicks(network, items, data, histories[some], max_history)
        return network.users(clicks, mask, _index(user[some], items))

    if cache is None:
        return compute(np.arange(len(histories)))
    starts, stops = _latest(data, histories, max_history)
    offsets = offsets_of(stops - starts + 1)  # a key is the user, followed by the clicks
    values = np.empty(offsets[-1], dtype=np.int64)
    is_user = np.zeros(len(values), dtype=bool)
    is_user[offsets[:-1]] = True
    values[is_user] = user
    values[~is_user] = data.history_codes[gather_ranges(starts, stops)[0]]
    return cache.get(offsets, values, compute)


def _latest(
    data: CodedInteractions, histories: np.ndarray, max_history: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts and stops of the latest clicks of some histories in `history_codes`."""
    stops = data.history_offsets[histories + 1]
    return np.maximum(data.history_offsets[histories], stops - max_history), stops


def _clicks(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    histories: np.ndarray,
    max_history: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gather the rows (H, L, R) of the items in some histories, and the mask (H, L)."""
    codes, mask = pad_histories(data.history_codes, *_latest(data, histories, max_history))
    clicks = F.embedding(_index(codes, items), items)
    return network.with_empty(clicks, torch.from_numpy(mask).to(items.device))


def _histories_per_block(network: Network, items: torch.Tensor) -> int:
    """Return the number of histories to gather at a time, which is smaller for wide item rows."""
    return max(1, HISTORY_BLOCK * network.width // items.shape[1])


@_inference
def score_candidates(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    max_history: int,
    cache: UserVectorCache | None = None,
) -> np.ndarray:
    """Score the candidates of each row.

    Parameters
    ----------
    network : Network
    items : tensor of shape (N, R)
        Item rows.
    data : CodedInteractions
        Rows with P candidates in total.
    max_history : int
        Number of latest clicks that are read from a history.
    cache : UserVectorCache, default=None
        Cache of vectors that were computed with the same weights and item rows.

    Returns
    -------
    ndarray of shape (P,)
    """
    places, parts = [], []  # of candidates, and their scores
    candidates = items[:, : network.item_width]
    history, user_context, reader_of_row = data.distinct_readers()
    # rows sorted by reader, so that each user vector is computed once
    sorted_rows = np.argsort(reader_of_row, kind="stable")
    row_offsets = offsets_of(np.bincount(reader_of_row, minlength=len(history)))
    n_histories = _histories_per_block(network, items)
    n_candidates = PAIR_BLOCK if network.has_user_vectors else n_histories
    for block in iterate_blocks(len(history), n_histories):
        rows = sorted_rows[row_offsets[block.start] : row_offsets[block.stop]]
        at, offsets = gather_segments(data.candidate_offsets, rows)
        if not len(at):
            continue
        reader = np.repeat(reader_of_row[rows] - block.start, np.diff(offsets))
        score = block_scorer(
            network, items, data, history[block], user_context[block], max_history, cache
        )
        for part in iterate_blocks(len(at), n_candidates):
            item = F.embedding(_index(data.candidate_codes[at[part]], items), candidates)
            places.append(at[part])
            parts.append(score(reader[part], item.unsqueeze(1)).squeeze(1))
    scores = np.empty(len(data.candidate_codes), dtype=_numpy_dtype(items))
    if parts:  # read once, because the CPU waits for a GPU then
        scores[np.concatenate(places)] = torch.cat(parts).cpu().numpy()
    return scores


def block_scorer(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    histories: np.ndarray,
    user_context: np.ndarray,
    max_history: int,
    cache: UserVectorCache | None,
) -> Callable[[np.ndarray, torch.Tensor], torch.Tensor]:
    """Return a function that scores candidates for readers.

    Parameters
    ----------
    network : Network
    items : tensor of shape (N, R)
        Item rows.
    data : CodedInteractions
    histories : ndarray of int64, shape (M,)
        Number of each reader's history.
    user_context : ndarray of int64, shape (M, 2)
        Codes of each reader's user and context.
    max_history : int
        Number of latest clicks that are read from a history.
    cache : UserVectorCache or None
        Cache of user vectors.

    Returns
    -------
    callable
        Function of positions (P,) in `histories`, and the rows (P, 1, W) of one candidate for each.
        It returns the scores (P, 1).
    """
    if network.has_user_vectors:
        users = _users(network, items, data, histories, user_context, max_history, cache)

        def match(reader: np.ndarray, item: torch.Tensor) -> torch.Tensor:
            return network.match(users.index_select(0, _index(reader, items)).unsqueeze(1), item)

        return match

    def score(reader: np.ndarray, item: torch.Tensor) -> torch.Tensor:
        used, own = np.unique(reader, return_inverse=True)
        clicks, mask = _clicks(network, items, data, histories[used], max_history)
        user = _index(user_context[used, 0], items)
        contexts = _contexts(data, user_context[used], items)
        return network.score(clicks, mask, _index(own, items), item, user, contexts)

    return score


def score_catalogue(
    network: Network,
    items: torch.Tensor,
    data: CodedInteractions,
    max_history: int,
    cache: UserVectorCache | None = None,
    among: np.ndarray | None = None,
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield blocks of rows with their scores of all items, or of some items.

    Parameters
    ----------
    network : Network
    items : tensor of shape (N, R)
        Item rows.
    data : CodedInteractions
    max_history : int
        Number of latest clicks that are read from a history.
    cache : UserVectorCache, default=None
        Cache of vectors that were computed with the same weights and item rows.
    among : ndarray of int64, shape (C,), default=None
        Codes of the items to score. None means all items.

    Yields
    ------
    rows : slice
        The rows of the block.
    scores : tensor of shape (b, N), or (b, C) with `among`
        Scores of the items for these rows.
    """
    candidates = items if among is None else items.index_select(0, _index(among, items))
    for rows in row_blocks(data.n_rows, len(candidates)):
        part = data.take(np.arange(rows.start, rows.stop))
        yield rows, _score_all(network, items, candidates, part, max_history, cache)


@_inference
def _score_all(
    network: Network,
    items: torch.Tensor,
    candidates: torch.Tensor,
    data: CodedInteractions,
    max_history: int,
    cache: UserVectorCache | None,
) -> torch.Tensor:
    """Return the scores (n, C) of candidates (C, R) for each of n rows."""
    history, user_context, reader_of_row = data.distinct_readers()
    parts = []
    for block in iterate_blocks(len(history), _histories_per_block(network, items)):
        if network.has_user_vectors:
            users = _users(
                network, items, data, history[block], user_context[block], max_history, cache
            )
            parts.append(network.match_all(users, candidates, PAIR_BLOCK))
            continue
        clicks, mask = _clicks(network, items, data, history[block], max_history)
        codes = _index(user_context[block, 0], items)
        contexts = _contexts(data, user_context[block], items)
        if network.candidate_aware:
            for row in range(len(clicks)):
                one = slice(row, row + 1)
                context = None if contexts is None else contexts[one]
                parts.append(
                    _score_one(network, candidates, clicks[one], mask[one], codes[one], context)
                )
        else:
            users = network.in_context(network.users(clicks, mask, codes), contexts)
            parts.append(network.match_all(users, candidates, PAIR_BLOCK, mask))
    scores = parts[0] if len(parts) == 1 else torch.cat(parts)
    if np.array_equal(reader_of_row, np.arange(len(scores))):
        return scores
    return scores.index_select(0, _index(reader_of_row, items))


def _score_one(
    network: Network,
    candidates: torch.Tensor,
    clicks: torch.Tensor,
    mask: torch.Tensor,
    user: torch.Tensor,
    context: torch.Tensor | None,
) -> torch.Tensor:
    """Return the scores (1, C) of candidates (C, R) for one history of clicks (1, L, R)."""
    only = torch.zeros(1, dtype=torch.long, device=candidates.device)
    parts = [
        network.score(clicks, mask, only, part[None], user, context)
        for part in candidates[:, : network.item_width].split(HISTORY_BLOCK)
    ]
    return torch.cat(parts, dim=1)


def _index(codes: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """Return codes as an int64 tensor on the device of another tensor."""
    return torch.from_numpy(np.asarray(codes, dtype=np.int64)).to(like.device)


def _numpy_dtype(tensor: torch.Tensor) -> Any:
    """Return the numpy type of the scores of item rows: float64 or float32."""
    return np.float64 if tensor.dtype == torch.float64 else np.float32
