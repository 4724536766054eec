"""Impressions as pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skrec._data.arrow import list_chunks
from skrec._data.ragged import offsets_of, segment_ids
from skrec._data.rows import as_table, kind_of, match_clicks, read_clicks


def explode(X: Any) -> tuple[Any, np.ndarray | None]:
    """Convert impressions to pairs, one row a candidate.

    Parameters
    ----------
    X : table with `history`, `candidates` and optionally `clicked` lists
        Impressions. Other columns are repeated for each candidate.

    Returns
    -------
    pairs : pandas.DataFrame where X is one, else pyarrow.Table
        With `history`, `candidate` and `impression_id`: that of X, else the row number.
    y : ndarray of int8, shape (n_pairs,), or None
        The labels, where X has a `clicked` column.

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
    candidate = pa.chunked_array([values for _, values in chunks])
    others = [name for name in table.names if name not in ("candidates", "clicked")]
    if isinstance(X, pd.DataFrame):
        pairs: Any = X[others].iloc[row].reset_index(drop=True)
        pairs.insert(1, "candidate", candidate.to_pandas())
        if "impression_id" not in others:
            pairs["impression_id"] = row
        return pairs, y
    columns = {name: table.column(name).take(pa.array(row)) for name in others}
    columns.setdefault("impression_id", pa.chunked_array([pa.array(row)]))
    return pa.table({"history": columns.pop("history"), "candidate": candidate, **columns}), y


def labelled_pairs(X: Any, y: Any, kind: str) -> tuple[Any, Any]:
    """Return X and y as scikit-learn's scorers take them: pairs, and a label for each.

    Parameters
    ----------
    X, y : object
        What `fit` was given.
    kind : {"impressions", "pairs", "histories"}
        What a row is.

    Returns
    -------
    X : table or list
        Impressions become pairs; everything else is as it was.
    y : array-like of shape (n_pairs,), or None
        None for bare histories.
    """
    if kind == "impressions":
        return explode(X)
    if kind == "pairs" and y is None:
        return X, as_table(X).column("clicked").to_numpy()
    return X, y
