"""Conversion of impressions to pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skrec._data.arrow import list_chunks
from skrec._data.clicks import match_clicks, read_click_weights, read_clicks
from skrec._data.ragged import offsets_of, segment_ids
from skrec._data.rows import as_table, kind_of


def explode(X: Any) -> tuple[Any, np.ndarray | None]:
    """Convert impressions to pairs, with one row per candidate.

    Use it to pass impressions to functions of scikit-learn that need one label per row.

    Parameters
    ----------
    X : table with the list columns `history`, `candidates` and optionally `clicked`
        Impressions: a data frame of pandas or polars, an Arrow table, a mapping of columns, a
        ``datasets.Dataset``, or the path of a parquet file or folder.

    Returns
    -------
    pairs : pandas.DataFrame or pyarrow.Table
        Pairs with the columns `history`, `candidate` and `impression_id`, and the other columns of
        X, repeated for each candidate. If X has no `impression_id`, it is the row number. The type
        is pandas.DataFrame if X is one, and pyarrow.Table otherwise.
    y : ndarray of int8, shape (n_pairs,), or None
        Labels 0/1 of the pairs. None if X has no column `clicked`. If clicks have weights, the
        pairs have a column `weights` with numbers.

    Raises
    ------
    ValueError
        If X contains pairs or bare histories, or if a row has more or fewer labels than candidates.

    See Also
    --------
    skrec.Interactions : Wrap X of any form for searches and cross-validation.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrec import explode
    >>> X = pd.DataFrame({"history": [[3, 8]], "candidates": [[5, 9]], "clicked": [[0, 1]]})
    >>> pairs, y = explode(X)
    >>> pairs
      history  candidate  impression_id
    0  [3, 8]          5              0
    1  [3, 8]          9              0
    >>> y
    array([0, 1], dtype=int8)
    """
    table = as_table(X)
    kind = kind_of(table)
    if kind != "impressions":
        raise ValueError(f"explode takes impressions, with a 'candidates' column; got {kind}")
    chunks = list(list_chunks(table.chunks("candidates"), "column 'candidates'"))
    offsets = offsets_of(np.concatenate([lengths for lengths, _ in chunks]))
    row = segment_ids(offsets)
    y = read_clicks(table, None, kind, len(offsets) - 1)
    if y is not None:
        y = match_clicks(y, offsets)
    weights = read_click_weights(table, kind, y, offsets)
    candidate = pa.chunked_array([values for _, values in chunks])
    replaced = "candidates", "clicked", "weights"
    others = [name for name in table.names if name not in replaced]
    if isinstance(X, pd.DataFrame):
        pairs: Any = X[others].iloc[row].reset_index(drop=True)
        pairs.insert(1, "candidate", candidate.to_pandas())
        if "impression_id" not in others:
            pairs["impression_id"] = row
        if weights is not None:
            pairs["weights"] = weights
        return pairs, y
    columns = {name: table.column(name).take(pa.array(row)) for name in others}
    columns.setdefault("impression_id", pa.chunked_array([pa.array(row)]))
    if weights is not None:
        columns["weights"] = pa.chunked_array([pa.array(weights)])
    return pa.table({"history": columns.pop("history"), "candidate": candidate, **columns}), y


def labeled_pairs(X: Any, y: Any, kind: str) -> tuple[Any, Any]:
    """Return X and y in the form that scorers of scikit-learn need: pairs with labels.

    Parameters
    ----------
    X, y : object
        Arguments of `fit`.
    kind : {"impressions", "pairs", "histories"}
        Kind of the rows of X.

    Returns
    -------
    X : table or list
        Pairs, if X contains impressions; otherwise X, unchanged.
    y : array-like of shape (n_pairs,), or None
        Labels of the pairs. None for bare histories.
    """
    if kind == "impressions":
        return explode(X)
    if kind == "pairs" and y is None:
        table = as_table(X)
        return X, read_clicks(table, None, kind, table.length("history"))
    return X, y
