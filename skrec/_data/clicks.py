"""Clicks: the labels of candidates, and how much a click counts.

::

    clicked, y -----> labels 0/1 (P,)
    clicked, weights -> weights (P,): 0 for candidates that were not clicked
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skrec._common.messages import preview
from skrec._data.arrow import SLICE, is_list, list_chunks, to_arrow
from skrec._data.hints import hint_for_candidates, hint_for_text
from skrec._data.ragged import GrowingArray
from skrec._data.table import Table


def read_clicks(table: Table, y: Any, kind: str, n_rows: int) -> Any:
    """Return the labels of the candidates, from y or the column `clicked`.

    A positive number in the column `clicked` is a click; see `read_click_weights`.

    Parameters
    ----------
    table : Table
        X as a table.
    y : array-like of shape (n_rows,) or None
        Labels of pairs.
    kind : {"impressions", "pairs", "histories"}
        Kind of the rows.
    n_rows : int
        Number of rows.

    Returns
    -------
    ndarray of int8, (ndarray of int64, ndarray of int8), or None
        Labels of pairs, of shape (n_rows,). For impressions, the number of labels of each row, and
        the flat labels. None if there are no labels.

    Raises
    ------
    ValueError
        If y is given for impressions or bare histories, if its length is not that of X, if it
        differs from the column `clicked`, or if labels are not 0 or 1, or weights of clicks.
    TypeError
        If the column `clicked` of impressions does not contain lists.
    """
    if y is not None and kind == "impressions":
        raise ValueError(
            "y goes with pairs; impressions carry their clicks in a 'clicked' column of lists"
        )
    if y is not None and kind == "histories":
        raise ValueError(
            "y goes with pairs, which have a 'candidate' column; bare histories are trained on "
            "their own next clicks. If y is a catalogue, give items=Items(...)"
            + hint_for_candidates(table.names).replace("them", "the candidates")
        )
    labels = None if y is None else _binary(_flat_labels(y), "y")
    if labels is not None and len(labels) != n_rows:
        raise ValueError(f"X has {n_rows} rows but y has {len(labels)} labels")
    if "clicked" not in table or kind == "histories":
        return labels
    if kind == "impressions":
        return _read_click_lists(table)
    clicked = (_weights(table.column("clicked"), "clicked") > 0).astype(np.int8)
    if labels is not None and not np.array_equal(labels, clicked):
        raise ValueError("y differs from the 'clicked' column of X; give one of them")
    return clicked


def _read_click_lists(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of labels of each row (n,), and the flat labels."""
    kind = table.type("clicked")
    if not is_list(kind):
        raise TypeError(
            f"column 'clicked' must hold a list of 0/1 for each row's candidates, got "
            f"{kind}{hint_for_text(table, 'clicked')}"
        )
    return _read_lists(table, "clicked", np.int8)


def _read_lists(table: Table, name: str, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of values of each row (n,), and the flat weights or, as int8, labels."""
    lengths, weights = GrowingArray(np.int64), GrowingArray(dtype)
    n_before = 0
    for part_lengths, values in list_chunks(table.chunks(name), f"column {name!r}"):
        lengths.append(part_lengths)
        ends = np.cumsum(part_lengths)
        for start in range(0, len(values), SLICE):
            row_of = partial(_row_of, ends, n_before, start)
            part = _weights(values.slice(start, SLICE), name, row_of)
            weights.append(part > 0 if dtype == np.int8 else part)
        n_before += len(part_lengths)
    return lengths.array(), weights.array()


def _row_of(ends: np.ndarray, first_row: int, start: int, at: int) -> int:
    """Return the row of a value of a slice that begins at `start`, from the ends of the rows."""
    return first_row + int(np.searchsorted(ends, start + at, side="right"))


def _flat_labels(y: Any) -> pa.ChunkedArray:
    """Return y as one Arrow column."""
    if isinstance(y, pd.DataFrame):
        if y.shape[1] != 1:
            raise ValueError(
                f"y must be one column of 0/1, got a table with columns {preview(y.columns, 20)}; "
                "a catalogue in its place needs the id column 'item_id', or give items="
            )
        y = y.iloc[:, 0]
    array = np.asanyarray(y) if not isinstance(y, (pa.Array, pa.ChunkedArray, pd.Series)) else y
    if isinstance(array, np.ndarray):
        array = array.ravel() if array.ndim == 2 and array.shape[1] == 1 else array
        if array.ndim != 1:
            raise ValueError(f"y must be 1-dimensional 0/1 labels, got shape {array.shape}")
    return to_arrow(array, "y")


def _weights(
    values: pa.Array | pa.ChunkedArray, name: str, row_of: Callable[[int], int] = int
) -> np.ndarray:
    """Return a column of labels or weights, or raise a ValueError if one is not allowed.

    Parameters
    ----------
    values : pyarrow.Array or pyarrow.ChunkedArray of shape (n,)
        The values.
    name : str
        Name of the column.
    row_of : callable, default=int
        Function of the position of a value that returns its row, for error messages. By default,
        there is one value per row.

    Returns
    -------
    ndarray of shape (n,)
        Numbers, finite and not negative.
    """
    hint = (
        "column 'clicked' must be 0/1 labels, or weights of clicks: positive numbers"
        if name == "clicked"
        else "column 'weights' must be the weights of clicks: numbers that are not negative"
    )
    if values.null_count:
        first = row_of(int(np.flatnonzero(np.asarray(values.is_null()))[0]))
        raise ValueError(f"{hint}, got {values.null_count} nulls, the first one in row {first}")
    array = _numbers(values, hint)
    wrong = ~np.isfinite(array) | (array < 0) if array.dtype.kind != "b" else np.zeros(0, bool)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{hint}, got {array[at]} in row {row_of(at)}")
    return array


def _numbers(values: pa.Array | pa.ChunkedArray, hint: str) -> np.ndarray:
    """Return a column without nulls as an array of numbers or bools."""
    array = (
        values.to_numpy(zero_copy_only=False)
        if isinstance(values, pa.Array)
        else (values.to_numpy())
    )
    if array.dtype.kind not in "biuf":
        if len(array) == 0:
            return array.astype(np.int8)
        raise ValueError(f"{hint}, got {values.type} such as {preview(array[:3])}")
    return array


def _binary(values: pa.Array | pa.ChunkedArray, what: str) -> np.ndarray:
    """Return labels as int8, or raise a ValueError if one is not 0 or 1."""
    hint = f"{what} must be 0/1 labels"
    if values.null_count:
        raise ValueError(f"{hint}, got {values.null_count} nulls")
    array = _numbers(values, hint)
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"{hint}, got the values {preview(np.unique(array).tolist())}")
    return array.astype(np.int8)


def match_clicks(clicks: tuple[np.ndarray, np.ndarray], offsets: np.ndarray) -> np.ndarray:
    """Return the flat labels of impressions, after a check of their number.

    Parameters
    ----------
    clicks : tuple of (ndarray of shape (n_rows,), ndarray of shape (n_labels,))
        Number of labels of each row, and the flat labels, as returned by `read_clicks`.
    offsets : ndarray of int64, shape (n_rows + 1,)
        Offsets of the candidates.

    Returns
    -------
    ndarray of shape (n_labels,)

    Raises
    ------
    ValueError
        If a row has more or fewer labels than candidates.
    """
    lengths, labels = clicks
    _check_lengths(lengths, offsets, "labels in 'clicked'")
    return labels


def read_click_weights(
    table: Table, kind: str, clicked: np.ndarray | None, offsets: np.ndarray
) -> np.ndarray | None:
    """Return how much each click counts, from the column `weights` or the values of `clicked`.

    Parameters
    ----------
    table : Table
        X as a table.
    kind : {"impressions", "pairs", "histories"}
        Kind of the rows.
    clicked : ndarray of int8, shape (P,), or None
        Labels of all candidates, as returned by `read_clicks` and `match_clicks`.
    offsets : ndarray of int64, shape (n_rows + 1,)
        Offsets of the candidates.

    Returns
    -------
    ndarray of float64, shape (P,), or None
        Weights of the clicks, positive; 0 for other candidates. None if all weights are 1.

    Raises
    ------
    ValueError
        If weights are not allowed, if a click has the weight 0, if a row has more or fewer weights
        than candidates, or if both columns contain weights.
    TypeError
        If the column `weights` has lists where it should have numbers, or the other way around.
    """
    if kind == "histories":
        if "weights" in table:
            raise ValueError(
                "column 'weights' goes with the candidates of impressions or pairs; rows of bare "
                "histories are weighted by sample_weight"
            )
        return None
    if clicked is None:
        return None
    graded = None
    if "clicked" in table and _is_graded(table, kind):
        graded = _flat_weights(table, "clicked", kind)[1]
    if "weights" in table:
        if graded is not None:
            raise ValueError(
                "X has weights of clicks twice, in the columns 'clicked' and 'weights'; give 0/1 "
                "labels in 'clicked', or drop 'weights'"
            )
        lengths, graded = _flat_weights(table, "weights", kind)
        _check_lengths(lengths, offsets, "weights in 'weights'")
        if (graded[clicked == 1] == 0).any():
            at = int(np.flatnonzero((clicked == 1) & (graded == 0))[0])
            row = np.searchsorted(offsets, at, side="right") - 1
            raise ValueError(
                f"column 'weights' has 0 for a click in row {row}; the weight of a click must be "
                "positive. If it should not count, write 0 in 'clicked'"
            )
    if graded is None or (graded[clicked == 1] == 1).all():
        return None
    return np.where(clicked == 1, graded, 0.0)


def _is_graded(table: Table, kind: str) -> bool:
    """Whether the column `clicked` contains other numbers than 0 and 1."""
    if kind == "impressions":
        chunks = list_chunks(table.chunks("clicked"), "column 'clicked'")
        parts = [values for _, values in chunks]
    else:
        parts = [table.column("clicked")]
    for values in parts:
        for start in range(0, len(values), SLICE):
            labels = _numbers(values.slice(start, SLICE), "column 'clicked' must be numbers")
            if ((labels != 0) & (labels != 1)).any():
                return True
    return False


def _flat_weights(table: Table, name: str, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of values of each row (n,), and the flat values of a column as float64."""
    has_lists = is_list(table.type(name))
    if has_lists != (kind == "impressions"):
        wanted = "a list of numbers" if kind == "impressions" else "one number"
        raise TypeError(f"column {name!r} must hold {wanted} in each row, got {table.type(name)}")
    if has_lists:
        return _read_lists(table, name, np.float64)
    values = _weights(table.column(name), name).astype(np.float64)
    return np.ones(len(values), dtype=np.int64), values


def _check_lengths(lengths: np.ndarray, offsets: np.ndarray, what: str) -> None:
    """Raise a ValueError if a row has more or fewer values than candidates."""
    wanted = np.diff(offsets)
    if (lengths != wanted).any():
        row = int(np.argmax(lengths != wanted))
        raise ValueError(
            f"row {row} has {wanted[row]} candidates but {lengths[row]} {what}; their "
            "lengths must be equal"
        )


def click_weights(weights: np.ndarray | None, clicked: np.ndarray) -> np.ndarray:
    """Return the weight of each candidate in the loss (P,).

    The weights of clicks are scaled to a mean of 1, so that only their ratios matter. Candidates
    that were not clicked have the weight 1.

    Parameters
    ----------
    weights : ndarray of float64, shape (P,), or None
        As returned by `read_click_weights`.
    clicked : ndarray of int8, shape (P,)
        Labels.

    Returns
    -------
    ndarray of float64, shape (P,)
    """
    if weights is None or not clicked.any():
        return np.broadcast_to(1.0, len(clicked))  # takes no memory
    return np.where(clicked == 1, weights / weights[clicked == 1].mean(), 1.0)
