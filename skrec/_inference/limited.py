"""Lists in the order of the scores, under quotas.

A single column in which items have one category is limited by the best items of each category. This
is fastest if items of a category are in neighboring columns; see `Quotas.arranged`. Otherwise,
lists are completed in rounds. A round looks at the best items of each row that are left.
Rows that are still too short afterwards get another round, without the items of values that are
full. Each round adds an item to each of its rows, so there are at most k of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from skrec._data.ragged import iterate_blocks
from skrec._inference.contenders import contenders, fitted_to, highest
from skrec._inference.quotas import Counts, Quotas

CELL_BLOCK = 1 << 22  # numbers in the largest temporary array of a round


@dataclass(frozen=True, eq=False)
class LimitedTop:
    """Function that lists the items with the highest scores under quotas; see `lists_of`.

    An object serves one call of `recommend`, in one thread.

    Attributes
    ----------
    quotas : Quotas or None
        Limits on the items of each category.
    """

    quotas: Quotas | None
    _groups: dict[int, tuple[Any, ...]] = field(default_factory=dict)

    def __call__(
        self, scores: torch.Tensor, codes: torch.Tensor, k: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the positions (b, k) of the listed items, and their scores.

        Parameters
        ----------
        scores : tensor of shape (b, C)
            Scores of items; -inf for items that may not be listed.
        codes : int64 tensor of shape (C,) or (b, C)
            Codes of the items; ascending unless they are `Quotas.arranged`.
        k : int
            Length of the lists, at most C.

        Returns
        -------
        at : int64 tensor of shape (b, k)
            Positions in the order of the list.
        found : tensor of shape (b, k)
            Scores in descending order; -inf where there is no item.
        """
        if self.quotas is None:
            return highest(scores, k)
        if codes.ndim == 1 and self.quotas.has_groups:
            return self._best_of_groups(scores, codes, k)
        at = scores.new_zeros((len(scores), k), dtype=torch.int64)
        found = scores.new_full((len(scores), k), -torch.inf)
        size = max(1, len(self.quotas.values))
        for rows in iterate_blocks(len(scores), max(1, CELL_BLOCK // size)):
            own = codes if codes.ndim == 1 else codes[rows]
            _fill(self.quotas, at[rows], found[rows], scores[rows].clone(), own)
        return at, found

    def _best_of_groups(
        self, scores: torch.Tensor, codes: torch.Tensor, k: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the lists under limits on one column in which items have one value or none."""
        assert self.quotas is not None
        if len(codes) not in self._groups:  # the same codes for all blocks
            value = torch.from_numpy(self.quotas.single).to(codes.device)[codes]
            order = torch.argsort(value, stable=True)
            sizes = torch.bincount(value, minlength=self.quotas.n_values + 1)
            is_arranged = bool((value.diff() >= 0).all())
            self._groups[len(codes)] = order, value[order], sizes.tolist(), is_arranged
        order, value, sizes, is_arranged = self._groups[len(codes)]
        grouped = scores if is_arranged else scores.index_select(1, order)
        values, columns = contenders(grouped, k, sizes, self.quotas.limits.tolist())
        at = columns if is_arranged else order[columns]
        # ties are in the order of the catalogue, in which the contenders are not yet
        by_code = codes[at].argsort(dim=1)
        found, by_score = values.gather(1, by_code).sort(dim=1, descending=True, stable=True)
        rank = by_code.gather(1, by_score)
        at, value = at.gather(1, rank), value[columns.gather(1, rank)]
        limit = torch.from_numpy(self.quotas.limits).to(value.device)
        kept = (_earlier_equals(value) < limit[value]) & (found > -torch.inf)
        row, column = kept.nonzero(as_tuple=True)
        place = (kept.cumsum(dim=1) - 1)[row, column]
        lists = torch.zeros_like(at), torch.full_like(found, -torch.inf)
        for made, given in zip(lists, (at, found), strict=True):
            made[row, place] = given[row, column]
        return fitted_to(k, *lists)


def _earlier_equals(values: torch.Tensor) -> torch.Tensor:
    """Return how many earlier entries of its row each entry of an int64 tensor (b, n) equals."""
    ascending, order = values.sort(dim=1, stable=True)
    at = torch.arange(values.shape[1], device=values.device).expand_as(values)
    is_new = torch.ones_like(ascending, dtype=torch.bool)
    is_new[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    start = torch.where(is_new, at, 0).cummax(dim=1)[0]
    return torch.empty_like(values).scatter_(1, order, at - start)


def leave_out_full(
    counts: Counts, scores: torch.Tensor, codes: torch.Tensor, rows: torch.Tensor
) -> None:
    """Give the score -inf to the items of values that have become full in some rows.

    Parameters
    ----------
    counts : Counts
        Counts of the lists.
    scores : tensor of shape (r, C)
        Scores of all rows, which are changed in place.
    codes : int64 tensor of shape (C,) or (r, C)
        Codes of the items; those of each row are ascending.
    rows : int64 tensor of shape (m,)
        The rows.
    """
    row, code = (torch.from_numpy(each).to(scores.device) for each in counts.newly_full(rows))
    row = rows[row]
    if codes.ndim == 1:
        place = torch.full((counts.quotas.n_items,), -1, device=codes.device)
        place[codes] = torch.arange(len(codes), device=codes.device)
        column = place[code]
        is_there = column >= 0
    else:
        width, size = codes.shape[1], counts.quotas.n_items
        start = torch.arange(len(codes), device=codes.device).unsqueeze(1) * size
        column = torch.searchsorted((codes + start).flatten(), row * size + code) - row * width
        column = column.clamp(min=0, max=width - 1)
        is_there = codes[row, column] == code
    scores[row[is_there], column[is_there]] = -torch.inf


def _fill(
    quotas: Quotas,
    at: torch.Tensor,
    found: torch.Tensor,
    scores: torch.Tensor,
    codes: torch.Tensor,
) -> None:
    """Fill the lists of some rows; `at` and `found` (r, k) and `scores` are changed in place."""
    k, pool = at.shape[1], min(scores.shape[1], 2 * at.shape[1] + 8)
    counts = Counts(quotas, len(scores), scores.device)
    rows = torch.arange(len(scores), device=scores.device)
    n_listed = torch.zeros_like(rows)
    while len(rows):
        own = scores if len(rows) == len(scores) else scores[rows]
        top, values = highest(own, pool)  # (m, pool)
        listed = codes.expand(len(scores), -1)[rows.unsqueeze(1), top]
        taken = _walk(values, listed, k - n_listed[rows], rows, counts)
        row, column = taken.nonzero(as_tuple=True)
        place = (n_listed[rows].unsqueeze(1) + taken.cumsum(dim=1) - 1)[row, column]
        at[rows[row], place] = top[row, column]
        found[rows[row], place] = values[row, column]
        n_listed[rows] += taken.sum(dim=1)
        is_short = (n_listed[rows] < k) & (values[:, -1] > -torch.inf)
        rows, top = rows[is_short], top[is_short]
        scores[rows.unsqueeze(1), top] = -torch.inf
        leave_out_full(counts, scores, codes, rows)


def _walk(
    scores: torch.Tensor,
    codes: torch.Tensor,
    n_wanted: torch.Tensor,
    rows: torch.Tensor,
    counts: Counts,
) -> torch.Tensor:
    """Take items in the order of their scores, without those of which a value is full.

    Parameters
    ----------
    scores : tensor of shape (m, n)
        Scores in descending order; -inf where there is no item.
    codes : int64 tensor of shape (m, n)
        Codes of the items.
    n_wanted : int64 tensor of shape (m,)
        Greatest number of items to take.
    rows : int64 tensor of shape (m,)
        The rows in `counts`.
    counts : Counts
        Counts of the lists, which are updated.

    Returns
    -------
    bool tensor of shape (m, n)
    """
    values = counts.quotas.values_of(codes)
    left = n_wanted.clone()
    taken = torch.zeros_like(scores, dtype=torch.bool)
    for at in range(scores.shape[1]):
        is_full = counts.are_full(rows, values[:, at : at + 1]).squeeze(1)
        taken[:, at] = ~is_full & (left > 0) & (scores[:, at] > -torch.inf)
        counts.add(rows, values[:, at], taken[:, at])
        left -= taken[:, at].to(left.dtype)
        if not left.any():
            break
    return taken
