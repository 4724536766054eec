"""Rows without some items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._data.arrow import as_ids, flat_lists, lists, to_arrow
from skrec._data.ids import codes_of
from skrec._data.ragged import offsets_of, segment_ids
from skrec._data.rows import as_table, kind_of, match_clicks, read_clicks
from skrec.model_selection._impressions import read_units


def without_items(X: Any, ids: Any) -> pa.Table:
    """Take items out of histories and candidates, as if they had never been there.

    For training without cold items: :func:`split_cold_items` finds few rows that name none of them,
    and this keeps what is left of the others. Rows that its `test` and `valid` have always go, for
    they lose all their clicks.

    Parameters
    ----------
    X : table or list of n_samples rows
        Impressions, pairs or bare histories.
    ids : array-like
        Ids of the items to take out. Those that X does not have do no harm.

    Returns
    -------
    pyarrow.Table
        The rows that are left, in their order, with the columns of X. Impressions that had clicks
        and lose all of them are left out, and those that lose all their candidates. A history may
        become empty, except where X has nothing but histories: then empty ones are left out too.

    Raises
    ------
    TypeError
        Where `ids` are strings and those of X ints, or the other way round.

    See Also
    --------
    split_cold_items : Chooses the items, and the rows that test.

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
    out = as_ids(to_arrow(ids, "ids").combine_chunks(), "ids")
    history_lengths, history = flat_lists(table.column("history"), "column 'history'")
    history, _, history_lengths = _filtered(history, history_lengths, out)
    columns["history"] = lists(history, history_lengths)
    if kind == "histories":
        return pa.table(columns).filter(pa.array(history_lengths > 0))
    n_rows = len(history_lengths)
    clicks = read_clicks(table, None, kind, n_rows)
    if kind == "pairs":
        stays = _is_free(table.column("candidate").combine_chunks(), out)
        row = np.arange(n_rows)
    else:
        lengths, candidates = flat_lists(table.column("candidates"), "column 'candidates'")
        row = segment_ids(offsets_of(lengths))
        clicks = None if clicks is None else match_clicks(clicks, offsets_of(lengths))
        candidates, stays, lengths = _filtered(candidates, lengths, out)
        columns["candidates"] = lists(candidates, lengths)
        if clicks is not None:
            columns["clicked"] = lists(clicks[stays], lengths)
    kept = _keeps_clicks(read_units(table), row, stays, clicks)
    if kind == "pairs":
        # a row is one candidate, and goes with it
        kept &= stays
    return pa.table(columns).filter(pa.array(kept))


def _is_free(values: pa.Array, out: pa.Array) -> np.ndarray:
    """Whether each value is none of those to take out."""
    if not len(values) or not len(out):
        return np.ones(len(values), dtype=bool)
    return codes_of(values, out, "ids in X") < 0


def _filtered(
    values: pa.Array, lengths: np.ndarray, out: pa.Array
) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Return the values that stay, which those are, and how many each list keeps."""
    stays = _is_free(values, out)
    row = segment_ids(offsets_of(lengths))
    return (
        pc.filter(values, pa.array(stays)),
        stays,
        np.bincount(row[stays], minlength=len(lengths)),
    )


def _keeps_clicks(
    unit_of_row: np.ndarray, row: np.ndarray, stays: np.ndarray, clicks: np.ndarray | None
) -> np.ndarray:
    """Whether each row's impression keeps a candidate, and a click if it had one."""
    unit = unit_of_row[row]
    n_units = int(unit_of_row.max(initial=-1)) + 1

    def any_of(mask: np.ndarray) -> np.ndarray:
        return np.bincount(unit[mask], minlength=n_units) > 0

    kept = any_of(stays)
    if clicks is not None:
        kept &= ~any_of(clicks == 1) | any_of(stays & (clicks == 1))
    return kept[unit_of_row]
