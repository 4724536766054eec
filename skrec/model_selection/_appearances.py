"""Items that appear in each impression, and items whose clicks it tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._data.arrow import as_ids, flat_lists
from skrec._data.clicks import match_clicks, read_clicks
from skrec._data.ids import look_up
from skrec._data.ragged import offsets_of, segment_ids
from skrec._data.rows import as_table, kind_of
from skrec._data.table import Table
from skrec.model_selection._impressions import (
    count_impressions,
    read_impression_of_row,
    read_impression_times,
)

NO_CLICKS = "X has no column 'clicked', so there is no telling which items were clicked"


@dataclass(frozen=True)
class ItemAppearances:
    """Items in the histories and candidates of impressions, as integer codes.

    Parameters
    ----------
    ids : pyarrow.Array of int64 or large_string, shape (n_items,)
        Item ids in ascending order. The code of an item is its position.
    impression_of_row : ndarray of int64, shape (n_samples,)
        Impression of each row.
    impression, item : ndarray of int64, shape (n_appearances,)
        Impression and item of each appearance in a history or among the candidates.
    target_impression, target : ndarray of int64, shape (n_targets,)
        Impression and item of each target. The targets are the clicked candidates, the candidate
        of a pair without `impression_id`, and the last click of a bare history.
    clicked : ndarray of int64, shape (n_clicked,)
        Items with at least one click, in ascending order.
    time : ndarray of float64, shape (n_impressions,), or None
        Time of each impression.
    """

    ids: pa.Array
    impression_of_row: np.ndarray
    impression: np.ndarray
    item: np.ndarray
    target_impression: np.ndarray
    target: np.ndarray
    clicked: np.ndarray
    time: np.ndarray | None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.impression_of_row)

    @property
    def n_impressions(self) -> int:
        """Number of impressions."""
        return count_impressions(self.impression_of_row)

    def with_any(self, items: np.ndarray) -> np.ndarray:
        """Return a mask of the impressions in which at least one of the items appears."""
        found = np.zeros(self.n_impressions, dtype=bool)
        found[self.impression[self._mask(items)[self.item]]] = True
        return found

    def with_targets_only_in(self, items: np.ndarray) -> np.ndarray:
        """Return a mask of the impressions that have targets, all of them among the items."""
        wanted = self._mask(items)[self.target]
        found = np.zeros(self.n_impressions, dtype=bool)
        found[self.target_impression[wanted]] = True
        found[self.target_impression[~wanted]] = False
        return found

    def rows_of(self, impressions: np.ndarray) -> np.ndarray:
        """Return the row numbers of the impressions in a mask."""
        return np.flatnonzero(impressions[self.impression_of_row])

    def ids_of(self, items: np.ndarray) -> np.ndarray:
        """Return the ids of the items in ascending order."""
        return self.ids.take(pa.array(np.sort(items))).to_numpy(zero_copy_only=False)

    def clicked_by_first_time(self) -> np.ndarray:
        """Return the clicked items, sorted by the time of their first appearance, then by id."""
        if self.time is None:
            raise ValueError("X has no column 'time', so there is no telling which items are late")
        first = np.full(len(self.ids), np.inf)
        np.minimum.at(first, self.item, self.time[self.impression])
        return self.clicked[np.argsort(first[self.clicked], kind="stable")]

    def _mask(self, items: np.ndarray) -> np.ndarray:
        mask = np.zeros(len(self.ids), dtype=bool)
        mask[items] = True
        return mask


def read_item_appearances(X: Any, y: Any = None) -> ItemAppearances:
    """Read the items of histories and candidates, and the clicks."""
    table = as_table(X)
    kind = kind_of(table)
    impression_of_row = read_impression_of_row(table)
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
        candidate_row, candidates, label = _candidates(table, kind, y, len(impression_of_row))
        ids = _distinct_ids(history, candidates)
        codes = _codes(candidates, ids, "candidates")
        row = np.concatenate([history_row, candidate_row])
        item = np.concatenate([_codes(history, ids, "history"), codes])
        is_single_pair = kind == "pairs" and "impression_id" not in table
        if label is None and not is_single_pair:
            raise ValueError(f"{NO_CLICKS}; its columns are {', '.join(table.names)}")
        was_clicked = np.ones(len(codes), dtype=bool) if label is None else label == 1
        # Single pairs are evaluated with AUC, which needs candidates without a click too.
        is_target = np.ones(len(codes), dtype=bool) if is_single_pair else was_clicked
        target_row, target = candidate_row[is_target], codes[is_target]
        clicked = codes[was_clicked]
    return ItemAppearances(
        ids=ids,
        impression_of_row=impression_of_row,
        impression=impression_of_row[row],
        item=item,
        target_impression=impression_of_row[target_row],
        target=target,
        clicked=np.unique(clicked),
        time=read_impression_times(table, impression_of_row),
    )


def _candidates(
    table: Table, kind: str, y: Any, n_rows: int
) -> tuple[np.ndarray, pa.Array, np.ndarray | None]:
    """Return the row of each candidate, its id, and its label. The labels are None if not given."""
    clicks = read_clicks(table, y, kind, n_rows)
    if kind == "pairs":
        return np.arange(n_rows), table.column("candidate").combine_chunks(), clicks
    lengths, candidates = flat_lists(table.column("candidates"), "column 'candidates'")
    offsets = offsets_of(lengths)
    labels = None if clicks is None else match_clicks(clicks, offsets)
    return segment_ids(offsets), candidates, labels


def _distinct_ids(*columns: pa.Array) -> pa.Array:
    """Return the distinct ids of all columns in ascending order."""
    parts = [as_ids(column.unique(), "ids in X") for column in columns if len(column)]
    if not parts:
        return pa.array([], pa.int64())
    if len({part.type for part in parts}) > 1:
        raise TypeError("column 'history' and the candidates hold ints and strings; convert one")
    ids = pa.concat_arrays(parts).unique()
    return ids.take(pc.sort_indices(ids))


def _codes(values: pa.Array, ids: pa.Array, column: str) -> np.ndarray:
    return look_up(values, ids, f"ids in {column}").astype(np.int64)
