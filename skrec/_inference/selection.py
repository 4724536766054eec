"""Lists with diversity: items of a pool, chosen one by one by their maximal marginal relevance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from skrec._data.ragged import iterate_blocks
from skrec._inference.diversity import cosines_of, marginal
from skrec._inference.limited import LimitedTop, leave_out_full
from skrec._inference.quotas import Counts, Quotas

POOL = 200  # best items of a row from which the list is chosen
POOL_QUOTA = 10  # items of a category in the pool, per item that the list may contain
CELL_BLOCK = 1 << 23  # numbers in the largest temporary array; more than a block of scores has


@dataclass(frozen=True, eq=False)
class Selection:
    """Function that chooses diverse lists; see `lists_of`.

    A list is chosen from a pool of the best items of a row. If quotas leave too few of them, the
    list continues with a pool of the items that are left.

    Attributes
    ----------
    quotas : Quotas or None
        Limits on the items of each category.
    diversity : float
        Weight of the cosine in the maximal marginal relevance.
    vectors : tensor or csr_array of shape (N, D)
        Item vectors of length 1, or 0.
    """

    quotas: Quotas | None
    diversity: float
    vectors: Any
    _best: LimitedTop = field(init=False)

    def __post_init__(self) -> None:
        limits = None if self.quotas is None else self.quotas.times(POOL_QUOTA)
        object.__setattr__(self, "_best", LimitedTop(limits))  # of which the pools consist

    def __call__(
        self, scores: torch.Tensor, codes: torch.Tensor, k: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the positions (b, k) of the chosen items, and their scores.

        Parameters
        ----------
        scores : tensor of shape (b, C)
            Scores of items, which are changed in place; -inf for items that may not be listed.
        codes : int64 tensor of shape (C,) or (b, C)
            Codes of the items; ascending unless they are `Quotas.arranged`.
        k : int
            Length of the lists, at most C.

        Returns
        -------
        at : int64 tensor of shape (b, k)
            Positions in the order of the list.
        found : tensor of shape (b, k)
            Scores; -inf where there is no item.
        """
        at = scores.new_zeros((len(scores), k), dtype=torch.int64)
        found = scores.new_full((len(scores), k), -torch.inf)
        pool = min(scores.shape[1], max(POOL, 2 * k))
        size = pool * (self.vectors.shape[1] if torch.is_tensor(self.vectors) else 1)
        if self.quotas is not None:
            size = max(size, len(self.quotas.values))
        for rows in iterate_blocks(len(scores), max(1, CELL_BLOCK // size)):
            own = codes if codes.ndim == 1 else codes[rows]
            self._fill(at[rows], found[rows], scores[rows], own, pool)
        return at, found

    def _fill(
        self,
        at: torch.Tensor,
        found: torch.Tensor,
        scores: torch.Tensor,
        codes: torch.Tensor,
        pool: int,
    ) -> None:
        """Fill the lists of some rows; `at` and `found` (r, k) and `scores` change in place."""
        counts = None if self.quotas is None else Counts(self.quotas, len(scores), scores.device)
        rows = torch.arange(len(scores), device=scores.device)
        n_listed = torch.zeros_like(rows)
        while len(rows):
            whole = len(rows) == len(scores)
            own = codes if whole or codes.ndim == 1 else codes[rows]
            top, values = self._best(scores if whole else scores[rows], own, pool)  # (m, pool)
            known = codes.expand(len(scores), -1)
            in_pool = known[rows.unsqueeze(1), top]
            n_wanted = at.shape[1] - n_listed[rows]
            listed = known[rows.unsqueeze(1), at[rows]].masked_fill(found[rows] == -torch.inf, -1)
            earlier = listed[:, : int(n_listed[rows].max())]
            cosines = cosines_of(self.vectors, in_pool)
            picked = marginal(
                values, in_pool, earlier, n_wanted, self.diversity, cosines, rows, counts
            )
            row, step = (picked >= 0).nonzero(as_tuple=True)
            column, place = picked[row, step], n_listed[rows][row] + step
            at[rows[row], place] = top[row, column]
            found[rows[row], place] = values[row, column]
            n_listed[rows] += (picked >= 0).sum(dim=1)
            is_there = values > -torch.inf
            is_short = (n_listed[rows] < at.shape[1]) & is_there[:, 0]
            if counts is None or not is_short.any():
                return
            row, column = (is_there & is_short.unsqueeze(1)).nonzero(as_tuple=True)
            scores[rows[row], top[row, column]] = -torch.inf
            rows = rows[is_short]
            leave_out_full(counts, scores, codes, rows)
