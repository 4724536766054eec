"""Remove items from histories and candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._data.arrow import as_ids, flat_lists, lists, to_arrow
from skrec._data.clicks import match_clicks, read_click_weights, read_clicks
from skrec._data.ids import look_up
from skrec._data.ragged import offsets_of, segment_ids
from skrec._data.rows import as_table, kind_of
from skrec.model_selection._impressions import count_impressions, read_impression_of_row


def without_items(X: Any, ids: Any) -> pa.Table:
    """Remove items from histories and candidates.

    Use it to train without cold items. :func:`split_cold_items` finds few rows in which no cold
    item appears. This function keeps the remaining items of the other rows. The `test` and `valid`
    rows of that split are always dropped, because they lose all their clicks.

    Parameters
    ----------
    X : table or list of n_samples rows
        Impressions, pairs or bare histories.
    ids : array-like
        Ids of the items to remove. Ids that do not appear in X are ignored.

    Returns
    -------
    pyarrow.Table
        Remaining rows in their original order, with the columns of X. Impressions that lose all
        their candidates are dropped, as are impressions that had clicks and lose all of them. A
        history may become empty, but if X contains only histories, empty ones are dropped.

    Raises
    ------
    TypeError
        If `ids` are strings and the ids in X are ints, or vice versa.

    See Also
    --------
    split_cold_items : Choose cold items, and the rows that test them.

    Examples
    --------
    >>> from skrec.model_selection import without_items
    >>> X = {
    ...     "history": [[1, 4], [2]],
    ...     "candidates": [[2, 3, 4], [4, 3]],
    ...     "clicked": [[1, 0, 0], [1, 0]],
    ... }
    >>> without_items(X, [4]).to_pylist()
    [{'history': [1], 'candidates': [2, 3], 'clicked': [1, 0]}]
    """
    table = as_table(X)
    kind = kind_of(table)
    names = list(dict.fromkeys(table.names))
    columns = {name: table.column(name) for name in names}
    removed = as_ids(to_arrow(ids, "ids").combine_chunks(), "ids")
    history_lengths, history = flat_lists(table.column("history"), "column 'history'")
    history, _, history_lengths = _filter_lists(history, history_lengths, removed)
    columns["history"] = lists(history, history_lengths)
    if kind == "histories":
        return pa.table(columns).filter(pa.array(history_lengths > 0))
    n_rows = len(history_lengths)
    clicks = read_clicks(table, None, kind, n_rows)
    if kind == "pairs":
        is_kept = _is_kept(table.column("candidate").combine_chunks(), removed)
        row = np.arange(n_rows)
    else:
        lengths, candidates = flat_lists(table.column("candidates"), "column 'candidates'")
        row = segment_ids(offsets_of(lengths))
        offsets = offsets_of(lengths)
        clicks = None if clicks is None else match_clicks(clicks, offsets)
        weights = read_click_weights(table, kind, clicks, offsets)
        candidates, is_kept, lengths = _filter_lists(candidates, lengths, removed)
        columns["candidates"] = lists(candidates, lengths)
        if clicks is not None:
            columns["clicked"] = lists((clicks if weights is None else weights)[is_kept], lengths)
            columns.pop("weights", None)
    row_is_kept = _rows_of_kept_impressions(read_impression_of_row(table), row, is_kept, clicks)
    if kind == "pairs":
        # The row of a pair has one candidate and is dropped with it.
        row_is_kept &= is_kept
    return pa.table(columns).filter(pa.array(row_is_kept))


def _is_kept(values: pa.Array, removed: pa.Array) -> np.ndarray:
    """Return a mask of the values that are not among the removed ids."""
    if not len(values) or not len(removed):
        return np.ones(len(values), dtype=bool)
    return look_up(values, removed, "ids in X") < 0


def _filter_lists(
    values: pa.Array, lengths: np.ndarray, removed: pa.Array
) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Remove ids from lists, given as flat values and lengths.

    Returns
    -------
    values : pyarrow.Array
        Remaining values.
    is_kept : ndarray of bool, shape (n_values,)
        Mask of the values that remain.
    lengths : ndarray of int64, shape (n_lists,)
        New length of each list.
    """
    is_kept = _is_kept(values, removed)
    row = segment_ids(offsets_of(lengths))
    return (
        pc.filter(values, pa.array(is_kept)),
        is_kept,
        np.bincount(row[is_kept], minlength=len(lengths)),
    )


def _rows_of_kept_impressions(
    impression_of_row: np.ndarray,
    row: np.ndarray,
    is_kept: np.ndarray,
    clicks: np.ndarray | None,
) -> np.ndarray:
    """Return a mask of the rows whose impression keeps a candidate, and a click if it had one.

    `row`, `is_kept` and `clicks` have one entry per candidate.
    """
    impression = impression_of_row[row]
    n_impressions = count_impressions(impression_of_row)

    def with_any(mask: np.ndarray) -> np.ndarray:
        return np.bincount(impression[mask], minlength=n_impressions) > 0

    kept = with_any(is_kept)
    if clicks is not None:
        kept &= ~with_any(clicks == 1) | with_any(is_kept & (clicks == 1))
    return kept[impression_of_row]
