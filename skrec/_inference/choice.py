"""The items that may be listed: candidates, without excluded ones, under conditions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skrec._data.coded import CodedInteractions
from skrec._data.id_lists import CodeLists, read_id_lists
from skrec._data.items import Items
from skrec._data.ragged import iterate_blocks
from skrec._inference.conditions import Conditions, read_where
from skrec._inference.top_k import CodedBlocks, Exclude, clicks_of

CELL_BLOCK = 1 << 22  # scores of own candidates that are ranked at a time


@dataclass(frozen=True, eq=False)
class Choice:
    """The items that may be listed in each row.

    Attributes
    ----------
    n_items : int
        N, the number of items.
    among : ndarray of int64, shape (C,), or None
        Ascending codes of the items that may be listed in some row. None means all items.
    own : CodeLists or None
        Candidates of each row, all of which are in `among`. None means the same for all rows.
    excluded : CodeLists or None
        Items to leave out of each row.
    conditions : Conditions or None
        Conditions of the rows, if these have different ones.
    """

    n_items: int
    among: np.ndarray | None = None
    own: CodeLists | None = None
    excluded: CodeLists | None = None
    conditions: Conditions | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no item may be listed in any row."""
        return self.among is not None and not len(self.among)

    def exclude(self, data: CodedInteractions | None) -> Exclude | None:
        """Return the function of a slice of rows that gives the items to leave out.

        Parameters
        ----------
        data : CodedInteractions or None
            Rows whose clicks are left out, too.

        Returns
        -------
        callable or None
            See `top_k`. None if nothing is left out.
        """
        if data is None:
            return None if self.excluded is None else self.excluded.cells
        if self.excluded is None:
            return lambda rows: clicks_of(data, rows)
        excluded = self.excluded

        def both(rows: slice) -> tuple[np.ndarray, np.ndarray]:
            pairs = zip(clicks_of(data, rows), excluded.cells(rows), strict=True)
            row, code = (np.concatenate(pair) for pair in pairs)
            return row, code

        return both

    @property
    def holds(self) -> Any:
        """Function of a slice of rows that gives the items that may be listed; None for all."""
        return None if self.conditions is None else self.conditions.hold

    def own_candidates(self, data: CodedInteractions, exclude_seen: bool) -> CodedInteractions:
        """Return the rows as impressions of the candidates that may be listed in them.

        Parameters
        ----------
        data : CodedInteractions
            The rows.
        exclude_seen : bool
            Whether to leave out the items of a row's history.

        Returns
        -------
        CodedInteractions
        """
        assert self.own is not None
        row, codes = self.own.rows(), self.own.codes
        kept = np.ones(len(codes), dtype=bool)
        exclude = self.exclude(data if exclude_seen else None)
        if exclude is not None:
            out_row, out_code = exclude(slice(0, data.n_rows))
            kept &= ~np.isin(row * self.n_items + codes, out_row * self.n_items + out_code)
        if self.conditions is not None:
            kept &= self.conditions.hold_for(row, codes)
        left = self.own.keep(kept)
        return replace(
            data,
            kind="impressions",
            candidate_offsets=left.offsets,
            candidate_codes=left.codes.astype(np.int32),
            clicked=None,
        )


def read_choice(
    items: Items,
    n_rows: int,
    *,
    candidates: Any = None,
    exclude: Any = None,
    where: Any = None,
    removed: np.ndarray | None = None,
    drop_unknown: bool = False,
) -> Choice:
    """Return the items that may be listed.

    Parameters
    ----------
    items : Items
        The catalogue.
    n_rows : int
        Number of rows of X.
    candidates : array-like of ids, n_rows lists of ids, or CodeLists, default=None
        The items to choose from, for all rows or for each row. None means all items.
    exclude : array-like of ids, or n_rows lists of ids, default=None
        Items to leave out, of all rows or of each row.
    where : pyarrow expression, or list of n_rows expressions, default=None
        Condition on the columns of the catalogue; see `read_where`.
    removed : ndarray of int64, default=None
        Codes of items that are in no list.
    drop_unknown : bool, default=False
        Whether ids in `exclude` that are missing from the catalogue are dropped.

    Returns
    -------
    Choice

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, or `candidates` is an empty list for all rows.
    """
    allowed = np.ones(items.n_items, dtype=bool)
    own, excluded, conditions = None, None, None
    if isinstance(candidates, CodeLists):
        own = candidates
    elif candidates is not None:
        found = read_id_lists(items, candidates, "candidates", n_rows)
        if isinstance(found, CodeLists):
            own = found
        elif not len(found):
            raise ValueError(
                "candidates is empty; name the items to choose from, or pass None for all"
            )
        else:
            allowed[:] = False
            allowed[found] = True
    if exclude is not None:
        left_out = read_id_lists(items, exclude, "exclude", n_rows, drop_unknown=drop_unknown)
        if isinstance(left_out, CodeLists):
            excluded = left_out
        else:
            allowed[left_out] = False
    if where is not None:
        satisfied = read_where(where, items, n_rows)
        if isinstance(satisfied, Conditions):
            conditions = satisfied
        else:
            allowed &= satisfied
    if removed is not None:
        allowed[removed] = False
    if own is not None:
        own = own.keep(allowed[own.codes])
    among = None if allowed.all() else np.flatnonzero(allowed)
    return Choice(items.n_items, among, own, excluded, conditions)


def read_shared_choice(items: Items, n_rows: int, **rules: Any) -> Choice:
    """Return the items that may be listed, which have the same candidates in all rows.

    The arguments are those of `read_choice`.

    Raises
    ------
    TypeError
        If `candidates` has one list per row.
    """
    choice = read_choice(items, n_rows, **rules)
    if choice.own is not None:
        raise TypeError("candidates must be a flat sequence of item ids here, got one list per row")
    return choice


def candidates_of_rows(data: CodedInteractions, n_items: int) -> CodeLists:
    """Return the candidates of each row of X, or raise a ValueError if X has none."""
    if data.kind != "impressions":
        raise ValueError(
            "candidates='row' chooses from each row's own candidates, and X has no column "
            "'candidates'; give X this column, or pass the candidates themselves"
        )
    return CodeLists.of(data.candidate_offsets, data.candidate_codes.astype(np.int64), n_items)


def own_blocks(data: CodedInteractions, scores: np.ndarray, n_items: int) -> CodedBlocks:
    """Yield blocks of rows with the scores of their own candidates.

    Parameters
    ----------
    data : CodedInteractions
        Rows whose P candidates are distinct and in catalogue order in each row.
    scores : ndarray of shape (P,)
        Scores of the candidates.
    n_items : int
        Number of items.

    Yields
    ------
    rows : slice
        The rows of the block.
    scores : tensor of shape (b, C)
        Scores of the candidates, followed by -inf in rows with fewer than C of them.
    codes : int64 tensor of shape (b, C)
        Codes of the candidates, followed by the last code of the catalogue.
    """
    lengths = np.diff(data.candidate_offsets)
    for rows in _blocks_of(lengths):
        own = slice(data.candidate_offsets[rows.start], data.candidate_offsets[rows.stop])
        is_there = np.arange(max(1, lengths[rows].max(initial=0))) < lengths[rows][:, None]
        codes = np.full(is_there.shape, n_items - 1, dtype=np.int64)
        codes[is_there] = data.candidate_codes[own]
        values = np.full(is_there.shape, -np.inf, dtype=scores.dtype)
        values[is_there] = scores[own]
        yield rows, torch.from_numpy(values), torch.from_numpy(codes)


def _blocks_of(lengths: np.ndarray) -> Iterator[slice]:
    """Yield slices of rows whose padded candidates have about CELL_BLOCK cells."""
    return iterate_blocks(len(lengths), max(1, CELL_BLOCK // max(1, lengths.max(initial=0))))
