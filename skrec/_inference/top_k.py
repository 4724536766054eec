"""Lists of the items with the highest scores, and ranks of single items, from blocks of scores.

`skrec._inference.scores.score_catalogue` yields the blocks. The functions of this module change the
scores of blocks in place. `listed` adds to each block the codes of the items in its columns, and
gives the score -inf to items that may not be listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import segment_ids
from skrec._inference.contenders import fitted_to, highest
from skrec._inference.row_blocks import row_blocks
from skrec.metrics import Ranking
from skrec.nn import unit

Blocks = Iterator[tuple[slice, torch.Tensor]]
CodedBlocks = Iterator[tuple[slice, torch.Tensor, torch.Tensor]]
Exclude = Callable[[slice], tuple[np.ndarray, np.ndarray]]
Choose = Callable[[torch.Tensor, torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]


def top_k(
    blocks: Blocks,
    n_rows: int,
    k: int,
    exclude: Exclude | None = None,
    among: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k items with the highest scores of each row.

    Parameters
    ----------
    blocks : iterator of (slice, tensor of shape (b, C))
        Blocks of rows with their scores, which are changed in place.
    n_rows : int
        Number of rows in all blocks.
    k : int
        Length of the lists.
    exclude : callable, default=None
        Function of a slice of rows that returns the pairs to leave out: row numbers, counted from
        the start of the slice, and item codes.
    among : ndarray of int64, shape (C,), default=None
        Codes of the items that were scored. None means all items.

    Returns
    -------
    codes : ndarray of int64, shape (n_rows, k)
        Codes of the items. Lists with fewer than k items end with -1.
    scores : ndarray of float32, shape (n_rows, k)
        Their scores; -inf where the code is -1.
    """
    return lists_of(listed(blocks, among, exclude), n_rows, k)


def listed(
    blocks: Blocks,
    among: np.ndarray | None = None,
    exclude: Exclude | None = None,
    holds: Callable[[slice], np.ndarray] | None = None,
) -> CodedBlocks:
    """Yield blocks with the codes of their columns, and -inf for items that may not be listed.

    Parameters
    ----------
    blocks, among, exclude
        As in `top_k`.
    holds : callable, default=None
        Function of a slice of rows that returns which of all N items may be listed, (b, N).

    Yields
    ------
    rows : slice
        The rows of the block.
    scores : tensor of shape (b, C)
        Scores of items. The caller may change them.
    codes : int64 tensor of shape (C,)
        Codes of these items.
    """
    codes, column_of = None, Columns(among)
    for rows, scores in blocks:
        if codes is None:
            all_codes = np.arange(scores.shape[1]) if among is None else among
            codes = torch.from_numpy(all_codes).to(scores.device)
        if exclude is not None:
            scores[column_of.cells(*exclude(rows), scores)] = -torch.inf
        if holds is not None:
            mask = holds(rows) if among is None else holds(rows)[:, among]
            scores.masked_fill_(~torch.from_numpy(mask).to(scores.device), -torch.inf)
        yield rows, scores, codes


def best(scores: torch.Tensor, codes: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the positions of the k highest scores of each row (b, k), and these scores."""
    return highest(scores, k)


@torch.inference_mode()
def lists_of(
    blocks: CodedBlocks, n_rows: int, k: int, choose: Choose = best
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lists of the rows in all blocks.

    Parameters
    ----------
    blocks : iterator of (slice, tensor of shape (b, C), int64 tensor of shape (C,) or (b, C))
        Blocks of rows with their scores, which are changed in place, and the codes of the items.
    n_rows : int
        Number of rows in all blocks.
    k : int
        Length of the lists.
    choose : callable, default=best
        Function of the scores, the codes and k that returns positions (b, k) and their scores,
        which are -inf where there is no item.

    Returns
    -------
    codes, scores : ndarray of shape (n_rows, k)
        See `top_k`.
    """
    codes = np.full((n_rows, k), -1, dtype=np.int64)
    scores = np.full((n_rows, k), -np.inf, dtype=np.float32)
    places, parts = [], []
    for rows, values, known in blocks:
        at, found = choose(values, known, min(k, values.shape[1]))
        own, found = fitted_to(k, known.expand(len(values), -1).gather(1, at), found)
        parts.append((own.masked_fill(found == -torch.inf, -1), found))
        places.append(np.arange(rows.start, rows.stop))
    if parts:  # read once, because the CPU waits for a GPU then
        lists, of_lists = (torch.cat(each).cpu().numpy() for each in zip(*parts, strict=True))
        row = np.concatenate(places)
        codes[row], scores[row] = lists, of_lists
    return codes, scores


def most_similar(
    vectors: torch.Tensor,
    codes: np.ndarray,
    k: int,
    among: np.ndarray | None = None,
    exclude: Exclude | None = None,
    holds: Callable[[slice], np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the items whose vectors have the highest cosine with those of given items.

    Parameters
    ----------
    vectors : tensor of shape (N, D)
        Item vectors.
    codes : ndarray of int64, shape (n,)
        Codes of the given items. An item is not in its own list.
    k : int
        Length of the lists.
    among : ndarray of int64, shape (C,), default=None
        Ascending codes of the items that may be listed. None means all items.
    exclude, holds : callable, default=None
        Functions of a slice of the given items; see `listed`.

    Returns
    -------
    codes : ndarray of int64, shape (n, k)
        Codes of the items. Lists with fewer than k items end with -1.
    cosines : ndarray of float32, shape (n, k)
        Their cosines; -inf where the code is -1.
    """
    wanted = unit(vectors[torch.from_numpy(codes).to(vectors.device)])
    others = vectors if among is None else vectors[torch.from_numpy(among).to(vectors.device)]
    others = unit(others)
    column_of = Columns(among)

    def cosines() -> Blocks:
        for rows in row_blocks(len(codes), len(others)):
            block = wanted[rows] @ others.T
            block[column_of.cells(np.arange(len(block)), codes[rows], block)] = -torch.inf
            yield rows, block

    return lists_of(listed(cosines(), among, exclude, holds), len(codes), k)


def clicks_of(data: CodedInteractions, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return the clicks of a slice of rows: row numbers, from the start of the slice, and codes."""
    at, offsets = data.take(np.arange(rows.start, rows.stop)).history_positions()
    return segment_ids(offsets), data.history_codes[at].astype(np.int64)


class Columns:
    """The columns of blocks of scores in which items are.

    Parameters
    ----------
    among : ndarray of int64, shape (C,), or None
        Codes of the items that were scored, in any order. None means all items.
    """

    def __init__(self, among: np.ndarray | None):
        self._column = None
        if among is not None:  # the last entry is that of codes which are too large
            self._column = np.full(among.max(initial=-1) + 2, -1)
            self._column[among] = np.arange(len(among))

    def cells(
        self, row: np.ndarray, code: np.ndarray, scores: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the index of the scores of rows and items in a block, if these were scored."""
        if self._column is not None:
            column = self._column[code.clip(max=len(self._column) - 1)]
            row, code = row[column >= 0], column[column >= 0]
        return torch.from_numpy(row).to(scores.device), torch.from_numpy(code).to(scores.device)


@torch.inference_mode()
def rank_last_click(blocks: Blocks, data: CodedInteractions, target: np.ndarray) -> Ranking:
    """Rank the target of each row among the items that are not in its history.

    Parameters
    ----------
    blocks : iterator of (slice, tensor of shape (b, N))
        Blocks of rows with their scores, which are changed in place.
    data : CodedInteractions
        Rows whose histories end before the target.
    target : ndarray of int, shape (n,)
        Codes of the last clicks.

    Returns
    -------
    Ranking
        Ranks of the targets. Each row is a group with one positive.
    """
    n_rows = data.n_rows
    above, tied, size = (np.empty(n_rows, dtype=np.int64) for _ in range(3))
    for rows, scores in blocks:
        own = torch.from_numpy(target[rows].astype(np.int64)).to(scores.device).unsqueeze(1)
        wanted = scores.gather(1, own)  # (b, 1)
        scores[Columns(None).cells(*clicks_of(data, rows), scores)] = -torch.inf
        scores.scatter_(1, own, wanted)  # a target counts even if it was clicked before
        above[rows] = (scores > wanted).sum(dim=1).cpu().numpy()
        tied[rows] = (scores == wanted).sum(dim=1).cpu().numpy()
        size[rows] = (scores > -torch.inf).sum(dim=1).cpu().numpy()
    one, none = np.ones(n_rows, dtype=np.int64), np.zeros(n_rows, dtype=np.int64)
    return Ranking(size, one, np.arange(n_rows), above, tied, none, one)
