"""Metrics of the lists that a recommender makes for some rows, beyond their accuracy.

::

    rows --one_row_per_list--> rows (n) --recommend, in blocks--> lists (b, k) --> values by list
                                                                       |
                                                                       +--> exposures of items

All metrics of a call read the same lists, which are cut after k items for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from scipy import sparse
from sklearn.exceptions import UndefinedMetricWarning

from skrec._common.messages import did_you_mean, preview, warn
from skrec._common.unit_vectors import normalized
from skrec._data.coded import CodedInteractions
from skrec._data.items import Items
from skrec._data.ragged import iterate_blocks
from skrec.metrics import Metric
from skrec.metrics import _lists as formulas

LIST_BLOCK = 1 << 14  # lists that are in memory at a time
COMPARED = ("category", "multi-category", "vector")  # roles of columns that ild compares


def evaluate_lists(
    metrics: Sequence[Metric],
    data: CodedInteractions,
    items: Items,
    recommend: Callable[[CodedInteractions, int], np.ndarray],
    n_clicks: np.ndarray | None,
    vectors: Callable[[], Any],
    removed: np.ndarray | None = None,
) -> dict[str, Any]:
    """Compute metrics of lists.

    There is one list per impression, of items of the whole catalogue that are not in the history.
    Rows of pairs with the same `impression_id` share a list; without this column, rows with the
    same history and user do. For bare histories, the last click is hidden.

    Parameters
    ----------
    metrics : sequence of Metric
        Metrics of the kinds "list" and "catalogue".
    data : CodedInteractions
        Rows with clicks, or bare histories.
    items : Items
        The N items that the codes refer to.
    recommend : callable
        Function of rows and k that returns lists of codes (n, k); -1 where there is no item.
    n_clicks : ndarray of float, shape (N,), or None
        Number of training clicks on each item. None if it is unknown.
    vectors : callable
        Returns the item vectors (N, D), a tensor or csr_array; None if there are none.
    removed : ndarray of int64, default=None
        Codes of items that are never listed and do not count as part of the catalogue.

    Returns
    -------
    dict of str to ndarray of shape (n,) or float
        By name, the values of the lists, or one value of all lists. The value of a list is NaN
        where the metric is undefined.

    Raises
    ------
    ValueError
        If clicks, vectors or columns that a metric needs are missing.
    """
    compared = _inputs(metrics, items, n_clicks, vectors)
    rows, list_of_click, clicked = one_row_per_list(data)
    relevant = np.unique(list_of_click * np.int64(items.n_items) + clicked)
    k = max(_length(metric) for metric in metrics)
    exposures = {m.name: np.zeros(items.n_items, np.int64) for m in metrics if _is_catalogue(m)}
    by_list = {m.name: np.empty(rows.n_rows) for m in metrics if not _is_catalogue(m)}
    for block in iterate_blocks(rows.n_rows, LIST_BLOCK):
        numbers = np.arange(block.start, block.stop)
        found = recommend(rows.take(numbers), min(k, items.n_items))
        hits = np.isin(numbers[:, None] * np.int64(items.n_items) + found, relevant)
        hits &= found >= 0
        for metric in metrics:
            lists = found[:, : _length(metric)]
            if metric.family == "novelty":
                values = formulas.novelty_by_list(lists, compared["n_clicks"])
            elif metric.family == "serendipity":
                cut = hits[:, : _length(metric)]
                values = formulas.serendipity_by_list(lists, cut, compared["n_clicks"])
            elif metric.family == "ild":
                values = formulas.diversity_by_list(lists, compared[metric.column])
            else:
                exposures[metric.name] += formulas.count_exposures(lists, items.n_items)
                continue
            by_list[metric.name][block] = values
    if removed is not None:
        exposures = {name: np.delete(counts, removed) for name, counts in exposures.items()}
    summaries = {"coverage": formulas.coverage, "gini": formulas.gini}
    return by_list | {
        m.name: summaries[m.family](exposures[m.name]) for m in metrics if _is_catalogue(m)
    }


def mean_of_lists(values: np.ndarray, name: str) -> float:
    """Return the mean over the lists in which a metric is defined; NaN, with a warning, if none."""
    if np.isnan(values).all():
        warn(f"{name} is undefined: no list has enough items", UndefinedMetricWarning)
        return float("nan")
    return float(np.nanmean(values))


def one_row_per_list(
    data: CodedInteractions,
) -> tuple[CodedInteractions, np.ndarray, np.ndarray]:
    """Return the rows that lists are made for, and what was clicked.

    Parameters
    ----------
    data : CodedInteractions
        Rows with clicks, or bare histories.

    Returns
    -------
    rows : CodedInteractions
        One row per list; see `evaluate_lists`.
    list_of_click : ndarray of int64, shape (P,)
        Position in `rows` of the list of each click.
    clicked : ndarray of int, shape (P,)
        Codes of the clicked items.
    """
    if data.kind == "histories":
        shorter, target = data.without_last_click()
        if not len(target):
            raise ValueError("all histories are empty, so there is no last click to hide")
        return shorter, np.arange(shorter.n_rows), target
    assert data.clicked is not None
    key = data.distinct_readers()[2] if data.group_of_row is None else data.group_of_row
    _, first, list_of_row = np.unique(key, return_index=True, return_inverse=True)
    at = np.flatnonzero(data.clicked)
    clicked = data.candidate_codes[at]
    return data.take(first), list_of_row[data.row_of_candidate(at)].astype(np.int64), clicked


def _is_catalogue(metric: Metric) -> bool:
    return metric.kind == "catalogue"


def _length(metric: Metric) -> int:
    """Return k, the number of items of a list that a metric reads."""
    assert isinstance(metric.number, int)
    return metric.number


def _inputs(
    metrics: Sequence[Metric],
    items: Items,
    n_clicks: np.ndarray | None,
    vectors: Callable[[], Any],
) -> dict[str | None, Any]:
    """Return the click counts, and what ild compares by the name of the column."""
    found: dict[str | None, Any] = {"n_clicks": n_clicks}
    for metric in metrics:
        if metric.family in ("novelty", "serendipity") and n_clicks is None:
            raise ValueError(
                f"metric {metric.name!r} needs the numbers of training clicks, which were not "
                "saved by the version of skrec that saved this recommender; fit it again"
            )
        if metric.family == "ild" and metric.column not in found:
            column = metric.column
            made = vectors() if column is None else _vectors_of_column(items, column, metric.name)
            if made is None:
                raise ValueError(
                    f"metric {metric.name!r} compares item vectors, which this recommender does "
                    "not have; compare a column of the catalogue, as in 'ild_topic@10'"
                )
            made = made.cpu().numpy() if isinstance(made, torch.Tensor) else made
            found[column] = normalized(made.astype(np.float64))
    return found


def _vectors_of_column(items: Items, name: str, metric: str) -> Any:
    """Return vectors (N, D) of a column: one entry per category, or the vectors themselves."""
    role = items.roles.get(name)
    if role not in COMPARED:
        fitting = [column for column, each in items.roles.items() if each in COMPARED]
        got = f"has the role {role!r}" if role else "does not exist" + did_you_mean(name, fitting)
        raise ValueError(
            f"metric {metric!r} needs a column of categories or vectors, and the column {name!r} "
            f"{got}; fitting columns of the catalogue: {preview(fitting, 20) or 'none'}"
        )
    column = items.column(name)
    if role == "vector":
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(float)
        return flat.reshape(items.n_items, -1)
    values, offsets = column, np.arange(items.n_items + 1)
    if role == "multi-category":
        values, offsets = column.flatten(), column.offsets.to_numpy().astype(np.int64)
    codes = pc.dictionary_encode(values, null_encoding="encode")  # items without one are alike
    codes = codes.indices.to_numpy(zero_copy_only=False)
    shape = (items.n_items, int(codes.max(initial=-1)) + 1)
    made = sparse.csr_array((np.ones(len(codes)), codes, offsets - offsets[0]), shape=shape)
    made.sum_duplicates()
    made.data[:] = 1.0
    return made
