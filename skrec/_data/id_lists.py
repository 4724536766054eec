"""Ids that users pass to restrict lists: one flat list for all rows, or one list per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skrec._data.arrow import flat_lists, is_list, to_arrow
from skrec._data.items import Items, refuse_missing, refuse_scalar
from skrec._data.ragged import gather_ranges, keep_elements, offsets_of, segment_ids


@dataclass(frozen=True, eq=False)
class CodeLists:
    """One list of distinct item codes per row, in catalogue order.

    Attributes
    ----------
    offsets : ndarray of int64, shape (n + 1,)
        Offsets of the rows in `codes`.
    codes : ndarray of int64, shape (offsets[-1],)
        Codes of the items, ascending in each row.
    """

    offsets: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, offsets: np.ndarray, codes: np.ndarray, n_items: int) -> CodeLists:
        """Return the lists with these offsets, sorted and without repeated codes."""
        keys = np.unique(segment_ids(offsets) * n_items + codes)
        lengths = np.bincount(keys // n_items, minlength=len(offsets) - 1)
        return cls(offsets_of(lengths), keys % n_items)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    def rows(self) -> np.ndarray:
        """Return the row of each code, of shape (offsets[-1],)."""
        return segment_ids(self.offsets)

    def cells(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the row numbers, from the start of a slice of rows, and the codes of its lists."""
        at, offsets = gather_ranges(self.offsets[:-1][rows], self.offsets[1:][rows])
        return segment_ids(offsets), self.codes[at]

    def keep(self, kept: np.ndarray) -> CodeLists:
        """Return the lists with the codes that are true in a mask (offsets[-1],)."""
        lengths = np.bincount(self.rows()[kept], minlength=self.n_rows)
        return CodeLists(offsets_of(lengths), self.codes[kept])


def read_id_lists(
    known: Items, ids: Any, name: str, n_rows: int, *, drop_unknown: bool = False
) -> np.ndarray | CodeLists:
    """Return the codes of ids that a user passed, for all rows or per row.

    Parameters
    ----------
    known : Items
        The catalogue.
    ids : array-like of ids, or of n_rows lists of ids
        Ids to look up. Repeated ids count once.
    name : str
        Name of the parameter that received the ids, for error messages.
    n_rows : int
        Number of rows of X.
    drop_unknown : bool, default=False
        Whether to drop ids that are missing from the catalogue, instead of raising an error.

    Returns
    -------
    ndarray of int64, or CodeLists
        The distinct codes of a flat sequence, ascending; `CodeLists` of one list per row.

    Raises
    ------
    ValueError
        If ids are missing from the catalogue, a list is null, or there is not one list per row.
    TypeError
        If `ids` is a single id, or its ids have another type than those of the catalogue.
    """
    refuse_scalar(ids, name)
    column = to_arrow(ids, name)
    if not is_list(column.type):
        ids = column.combine_chunks()
        codes = known.codes(ids, name)
        if not drop_unknown:
            refuse_missing(known, ids, codes, name)
        return np.unique(codes[codes >= 0]).astype(np.int64)
    lengths, values = flat_lists(column, name)
    if len(lengths) != n_rows:
        raise ValueError(
            f"{name} has {len(lengths)} lists, but X has {n_rows} rows; give one list per row, or "
            "one flat list of ids for all rows"
        )
    if is_list(values.type):
        raise TypeError(f"{name} must hold ids, or one list of ids per row, got {column.type}")
    offsets, codes = offsets_of(lengths), known.codes(values, name)
    if drop_unknown:
        offsets, codes = keep_elements(offsets, codes >= 0, codes)
    else:
        refuse_missing(known, values, codes, name)
    return CodeLists.of(offsets, codes, known.n_items)
