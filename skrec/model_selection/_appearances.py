"""Which items each impression names, and which of them it would test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._data.arrow import as_ids, flat_lists
from skrec._data.ids import codes_of
from skrec._data.ragged import offsets_of, segment_ids
from skrec._data.rows import as_table, kind_of, match_clicks, read_clicks
from skrec._data.table import Table
from skrec.model_selection._impressions import read_unit_times, read_units

NO_CLICKS = "X has no column 'clicked', so there is no telling which items were clicked"


@dataclass(frozen=True)
class Appearances:
    """Items of impressions, as codes.

    Parameters
    ----------
    ids : pyarrow.Array of int64 or large_string, shape (n_items,)
        Ascending.
    unit_of_row : ndarray of int64, shape (n_samples,)
        The impression of each row.
    unit, item : ndarray of int64, shape (n_appearances,)
        Which impression names which item, in its history or as a candidate.
    target_unit, target : ndarray of int64, shape (n_targets,)
        Which impression tests which item: what was clicked; the one candidate of a pair that
        belongs to no impression; the last click of a bare history.
    clicked : ndarray of int64, shape (n_clicked,)
        The items that were clicked at least once, ascending.
    time : ndarray of float64, shape (n_units,), or None
        The time of each impression.
    """

    ids: pa.Array
    unit_of_row: np.ndarray
    unit: np.ndarray
    item: np.ndarray
    target_unit: np.ndarray
    target: np.ndarray
    clicked: np.ndarray
    time: np.ndarray | None

    @property
    def n_units(self) -> int:
        """Number of impressions."""
        return int(self.unit_of_row.max(initial=-1)) + 1

    def names_any(self, items: np.ndarray) -> np.ndarray:
        """Whether each impression names any of some items."""
        found = np.zeros(self.n_units, dtype=bool)
        found[self.unit[self._mask(items)[self.item]]] = True
        return found

    def tests_only(self, items: np.ndarray) -> np.ndarray:
        """Whether each impression tests something, and that nothing but some items."""
        wanted = self._mask(items)[self.target]
        found = np.zeros(self.n_units, dtype=bool)
        found[self.target_unit[wanted]] = True
        found[self.target_unit[~wanted]] = False
        return found

    def rows(self, units: np.ndarray) -> np.ndarray:
        """Return the rows of some impressions, given as a mask."""
        return np.flatnonzero(units[self.unit_of_row])

    def ids_of(self, items: np.ndarray) -> np.ndarray:
        """Return the ids of some items, ascending."""
        return self.ids.take(pa.array(np.sort(items))).to_numpy(zero_copy_only=False)

    def by_first_time(self) -> np.ndarray:
        """Return the clicked items in the order in which they appeared, then by id."""
        if self.time is None:
            raise ValueError("X has no column 'time', so there is no telling which items are late")
        first = np.full(len(self.ids), np.inf)
        np.minimum.at(first, self.item, self.time[self.unit])
        return self.clicked[np.argsort(first[self.clicked], kind="stable")]

    def _mask(self, items: np.ndarray) -> np.ndarray:
        mask = np.zeros(len(self.ids), dtype=bool)
        mask[items] = True
        return mask


def read_appearances(X: Any, y: Any = None) -> Appearances:
    """Read the items of histories and candidates, and which were clicked."""
    table = as_table(X)
    kind = kind_of(table)
    unit_of_row = read_units(table)
    lengths, history = flat_lists(table.column("history"), "column 'history'")
    history_row = segment_ids(offsets_of(lengths))
    if kind == "histories":
        ids = _distinct_ids(history)
        codes = _codes(history, ids, "history")
        last = (offsets_of(lengths)[1:] - 1)[lengths > 0]
        row, item = history_row, codes
        target_row, target = history_row[last], codes[last]
        clicked = target
    else:
        candidate_row, candidates, label = _candidates(table, kind, y, len(unit_of_row))
        ids = _distinct_ids(history, candidates)
        codes = _codes(candidates, ids, "candidates")
        row = np.concatenate([history_row, candidate_row])
        item = np.concatenate([_codes(history, ids, "history"), codes])
        alone = kind == "pairs" and "impression_id" not in table
        if label is None and not alone:
            raise ValueError(f"{NO_CLICKS}; its columns are {', '.join(table.names)}")
        was_clicked = np.ones(len(codes), dtype=bool) if label is None else label == 1
        # a pair alone tests its candidate, clicked or not: AUC compares those of both kinds
        tests = np.ones(len(codes), dtype=bool) if alone else was_clicked
        target_row, target, clicked = candidate_row[tests], codes[tests], codes[was_clicked]
    return Appearances(
        ids=ids,
        unit_of_row=unit_of_row,
        unit=unit_of_row[row],
        item=item,
        target_unit=unit_of_row[target_row],
        target=target,
        clicked=np.unique(clicked),
        time=read_unit_times(table, unit_of_row),
    )


def _candidates(
    table: Table, kind: str, y: Any, n_rows: int
) -> tuple[np.ndarray, pa.Array, np.ndarray | None]:
    """Return the row of each candidate, the candidates, and their labels if there are any."""
    clicks = read_clicks(table, y, kind, n_rows)
    if kind == "pairs":
        return np.arange(n_rows), table.column("candidate").combine_chunks(), clicks
    lengths, candidates = flat_lists(table.column("candidates"), "column 'candidates'")
    offsets = offsets_of(lengths)
    labels = None if clicks is None else match_clicks(clicks, offsets)
    return segment_ids(offsets), candidates, labels


def _distinct_ids(*columns: pa.Array) -> pa.Array:
    """Return the distinct ids of some columns, ascending."""
    parts = [as_ids(column.unique(), "ids in X") for column in columns if len(column)]
    if not parts:
        return pa.array([], pa.int64())
    if len({part.type for part in parts}) > 1:
        raise TypeError("column 'history' and the candidates hold ints and strings; convert one")
    ids = pa.concat_arrays(parts).unique()
    return ids.take(pc.sort_indices(ids))


def _codes(values: pa.Array, ids: pa.Array, what: str) -> np.ndarray:
    return codes_of(values, ids, f"ids in {what}").astype(np.int64)
