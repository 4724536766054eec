"""The best items of a catalogue, and the place of one of them, from blocks of scores.

Blocks are what `skrec._inference.scores.score_catalogue` yields; their scores are changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import iterate_blocks, segment_ids
from skrec.metrics import Ranking
from skrec.nn import unit

Blocks = Iterator[tuple[slice, torch.Tensor]]
Hidden = Callable[[slice], tuple[np.ndarray, np.ndarray]]
CELL_BLOCK = 1 << 22  # cosines of items with all others at a time
CHUNK = 64  # scores of which the greatest is found first
FEW_CHUNKS = 8  # for each item of a list: with fewer, that does not pay


@torch.inference_mode()
def top_k(
    blocks: Blocks,
    n_rows: int,
    k: int,
    hidden: Hidden | None = None,
    among: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Keep the k best items of each row; short lists end in -1 and -inf.

    Parameters
    ----------
    blocks : iterator of (slice, tensor of shape (b, M))
    n_rows : int
        Of all blocks together.
    k : int
        Length of the lists.
    hidden : callable, default=None
        Takes a slice of rows and returns what they leave out: numbers of rows, counted from the
        start of the slice, and codes of items.
    among : ndarray of int64, shape (M,), default=None
        Codes of the items that were scored, ascending; None for all.

    Returns
    -------
    codes : ndarray of int64, shape (n_rows, k)
    scores : ndarray of float32, shape (n_rows, k)
    """
    codes = np.full((n_rows, k), -1, dtype=np.int64)
    best = np.full((n_rows, k), -np.inf, dtype=np.float32)
    for rows, scores in blocks:
        if hidden is not None:
            scores[_cells(*hidden(rows), scores, among)] = -torch.inf
        at = stable_top(scores, min(k, scores.shape[1]))
        found = scores.gather(1, at).cpu().numpy()
        own = at.cpu().numpy() if among is None else among[at.cpu().numpy()]
        best[rows, : at.shape[1]] = found
        codes[rows, : at.shape[1]] = np.where(found == -np.inf, -1, own)
    return codes, best


def most_similar(
    vectors: torch.Tensor, codes: np.ndarray, k: int, among: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes and cosines (n, k) of the vectors (N, D) most like some of them (n,).

    An item is not like itself; `among` is as in `top_k`.
    """
    wanted = unit(vectors[torch.from_numpy(codes).to(vectors.device)])
    others = vectors if among is None else vectors[torch.from_numpy(among).to(vectors.device)]
    others = unit(others)
    blocks = iterate_blocks(len(codes), max(1, CELL_BLOCK // len(others)))
    return top_k(
        ((rows, wanted[rows] @ others.T) for rows in blocks),
        len(codes),
        k,
        lambda rows: (np.arange(rows.stop - rows.start), codes[rows]),
        among,
    )


def stable_top(scores: torch.Tensor, k: int) -> torch.Tensor:
    """Return where the k greatest of each row of (b, N) are; equal ones in catalogue order."""
    n_chunks = scores.shape[1] // CHUNK
    if n_chunks < FEW_CHUNKS * (k + 1):
        return _sorted_top(scores, k)
    # A maximum is found faster than the greatest k. These lie in the k chunks with the greatest
    # maxima, which are read again.
    n_cut = n_chunks * CHUNK
    maxima = scores[:, :n_cut].unflatten(1, (n_chunks, CHUNK)).amax(dim=2)  # (b, M)
    found, chunk = torch.topk(maxima, k + 1, dim=1)
    inside = torch.arange(CHUNK, device=scores.device)
    columns = (chunk.sort(dim=1)[0].unsqueeze(2) * CHUNK + inside).flatten(1)  # (b, (k + 1) CHUNK)
    rest = torch.arange(n_cut, scores.shape[1], device=scores.device)
    columns = torch.cat([columns, rest.expand(len(scores), -1)], dim=1)
    read = scores.gather(1, columns)
    at = _sorted_top(read, k)
    last = read.gather(1, at[:, -1:]).squeeze(1)  # (b,): the k-th greatest
    at = columns.gather(1, at)
    # a chunk that was not read may hold an equal one, which comes first in the catalogue
    return _settle_ties(at, scores, (found[:, k] == last) & (last > -torch.inf))


def _sorted_top(scores: torch.Tensor, k: int) -> torch.Tensor:
    """Do the same by `torch.topk`, which breaks ties at random."""
    found, at = torch.topk(scores, min(k + 1, scores.shape[1]), dim=1)
    tied = None
    if found.shape[1] > k:
        tied = (found[:, k - 1] == found[:, k]) & (found[:, k] > -torch.inf)
    at, order = torch.sort(at[:, :k], dim=1)
    again = torch.argsort(found.gather(1, order), dim=1, descending=True, stable=True)
    at = at.gather(1, again)
    return at if tied is None else _settle_ties(at, scores, tied)


def _settle_ties(at: torch.Tensor, scores: torch.Tensor, tied: torch.Tensor) -> torch.Tensor:
    """Sort rows in full where scores tie across the end of the list."""
    if tied.any():
        order = torch.argsort(scores[tied], dim=1, descending=True, stable=True)
        at[tied] = order[:, : at.shape[1]]
    return at


def clicks_of(data: CodedInteractions, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return the row (within the slice) and code of each click in some rows' histories."""
    at, offsets = data.take(np.arange(rows.start, rows.stop)).history_positions()
    return segment_ids(offsets), data.history_codes[at].astype(np.int64)


def _cells(
    row: np.ndarray, code: np.ndarray, scores: torch.Tensor, among: np.ndarray | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where in a block some items' scores are, leaving out items without one."""
    if among is not None:
        place = np.searchsorted(among, code).clip(max=len(among) - 1)
        scored = among[place] == code
        row, code = row[scored], place[scored]
    return torch.from_numpy(row).to(scores.device), torch.from_numpy(code).to(scores.device)


@torch.inference_mode()
def rank_last_click(blocks: Blocks, data: CodedInteractions, target: np.ndarray) -> Ranking:
    """Rank each row's target among the items that its history lacks.

    Parameters
    ----------
    blocks : iterator of (slice, tensor of shape (b, N))
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
        own = torch.from_numpy(target[rows].astype(np.int64)).to(scores.device).unsqueeze(1)
        wanted = scores.gather(1, own)  # (b, 1)
        scores[_cells(*clicks_of(data, rows), scores, None)] = -torch.inf
        scores.scatter_(1, own, wanted)  # a target that was clicked before counts all the same
        above[rows] = (scores > wanted).sum(dim=1).cpu().numpy()
        tied[rows] = (scores == wanted).sum(dim=1).cpu().numpy()
        size[rows] = (scores > -torch.inf).sum(dim=1).cpu().numpy()
    one, none = np.ones(n_rows, dtype=np.int64), np.zeros(n_rows, dtype=np.int64)
    return Ranking(size, one, np.arange(n_rows), above, tied, none, one)
