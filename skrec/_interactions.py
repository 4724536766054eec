"""Turn X and y into item codes and offsets.

::

    table or lists --> list columns --> codes of the catalogue (int32) --> CodedInteractions
                                         distinct histories kept once

Everything here is vectorised over Arrow buffers; no row is touched from Python.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skrec._arrow import SLICE, Table, did_you_mean, is_list, is_table, list_chunks, preview
from skrec._arrow import to_arrow as _to_arrow
from skrec._coded import CodedInteractions
from skrec._items import Items
from skrec._segments import distinct_segments, gather_segments, offsets_of, segment_ids

COLUMNS = (
    "history",
    "candidates",
    "candidate",
    "clicked",
    "user_id",
    "impression_id",
    "time",
)
LISTS_HINT = "histories are lists of item ids, one for each row: write [[3, 8, 1]] for one history"
NO_ROWS = "X has no rows; at least one is needed"


def encode(
    X: Any,
    y: Any = None,
    *,
    items: Items,
    labels: str = "optional",
    drop_unknown: str = "nothing",
    sample_weight: Any = None,
) -> CodedInteractions:
    """Read X and y against a catalogue.

    Parameters
    ----------
    X : table, or list of id lists
        Impressions, pairs or bare histories.
    y : array-like of 0/1, default=None
        Labels of pairs.
    items : Items
        The catalogue.
    labels : {"required", "optional", "ignored"}, default="optional"
        Whether clicks must be there (to train), may be there (to score), or are not looked
        at (to predict).
    drop_unknown : {"nothing", "histories", "all"}, default="nothing"
        Where ids that the catalogue lacks are dropped; elsewhere they raise.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows: finite, none negative, not all zero.

    Returns
    -------
    CodedInteractions

    Raises
    ------
    ValueError, TypeError
        For data that break the contract; the message says what was got and what to do.
    """
    table = _as_table(X)
    kind = _kind(table)
    _warn_of_misspelt(table)
    unknown = _Unknown()
    keep = drop_unknown == "nothing"
    lengths, codes = _encode_lists(
        table.column("history"), items, "history", unknown if keep else None
    )
    offsets = offsets_of(lengths)
    n_rows = len(lengths)
    clicked = None if labels == "ignored" else _read_clicks(table, y, kind, n_rows)
    candidate_offsets, candidate_codes = _encode_candidates(
        table, kind, items, n_rows, None if drop_unknown == "all" else unknown
    )
    unknown.raise_if_any(items, keep)
    if kind == "impressions" and clicked is not None:
        clicked = _match_clicks(clicked, candidate_offsets)
    if labels == "required" and clicked is None and kind != "histories":
        raise ValueError(
            "training needs clicks: give a 'clicked' column"
            + (" or y with 0/1 for each pair" if kind == "pairs" else "")
        )
    if not keep:
        offsets, codes, _ = _drop_missing(offsets, codes)
    first, history_of_row = distinct_segments(offsets, codes)
    if len(first) < n_rows:
        at, offsets = gather_segments(offsets, first)
        codes = codes[at]
    data = CodedInteractions(
        kind=kind,
        history_offsets=offsets,
        history_codes=codes,
        history_of_row=history_of_row,
        candidate_offsets=candidate_offsets,
        candidate_codes=candidate_codes,
        clicked=clicked,
        group_of_row=_read_groups(table, kind, n_rows),
        time=_read_time(table, n_rows),
        weight=_read_weight(sample_weight, n_rows),
    )
    return _without_unknown_candidates(data) if drop_unknown == "all" else data


def explode(X: Any) -> tuple[Any, np.ndarray | None]:
    """Convert impressions to pairs, one row a candidate.

    Parameters
    ----------
    X : table with `history`, `candidates` and optionally `clicked` lists
        Impressions. Other columns are repeated for each candidate.

    Returns
    -------
    pairs : DataFrame, or pyarrow.Table where X is none
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
    table = _as_table(X)
    kind = _kind(table)
    if kind != "impressions":
        raise ValueError(f"explode takes impressions, with a 'candidates' column; got {kind}")
    chunks = list(list_chunks(table.column("candidates"), "column 'candidates'"))
    offsets = offsets_of(np.concatenate([lengths for lengths, _ in chunks]))
    row = segment_ids(offsets)
    y = _read_clicks(table, None, kind, len(offsets) - 1)
    if y is not None:
        y = _match_clicks(y, offsets)
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


def _as_table(X: Any) -> Table:
    """Read X as a table; lists of histories become a table with only `history`."""
    if is_table(X):
        return Table(X)
    if isinstance(X, (str, bytes)) or not isinstance(X, Iterable):
        raise TypeError(f"{LISTS_HINT}, or give a table; got {X!r}")
    try:
        column = _to_arrow(X, "the histories")
    except ValueError as error:
        raise TypeError(f"{LISTS_HINT}; {error}") from error
    if len(column) and not is_list(column.type):
        raise TypeError(f"{LISTS_HINT}; got a flat sequence of {column.type}")
    return Table({"history": column})


def _kind(table: Table) -> str:
    if "history" not in table:
        raise ValueError(
            f"X has no column 'history'{_nearest('history', table.names)}; its columns are "
            f"{preview(table.names, 20)}"
        )
    if "candidates" in table and "candidate" in table:
        raise ValueError(
            "X has both 'candidate' and 'candidates'; keep 'candidates' (a list for each row) for "
            "impressions or 'candidate' (one id for each row) for pairs"
        )
    if not len(table.column("history")):
        raise ValueError(NO_ROWS)
    for name, lists in (("history", True), ("candidates", True), ("candidate", False)):
        if name not in table:
            continue
        kind = table.column(name).type
        if lists and not is_list(kind):
            hint = "; for one id a row call it 'candidate'" if name == "candidates" else ""
            raise TypeError(
                f"column {name!r} must hold a list of ids in each row, like [[3, 8, 1]], got "
                f"{kind}{hint}"
            )
        if not lists and is_list(kind):
            raise TypeError(
                "column 'candidate' must hold one id in each row, got lists; call it 'candidates'"
            )
    if "candidates" in table:
        return "impressions"
    return "pairs" if "candidate" in table else "histories"


def _nearest(name: str, names: list[str]) -> str:
    return did_you_mean(name, names, cutoff=0.7).replace("did you mean", "is it")


def _warn_of_misspelt(table: Table) -> None:
    for name in table.names:
        hint = "" if name in COLUMNS else did_you_mean(name, COLUMNS, cutoff=0.7)
        if hint and not any(known in table for known in COLUMNS if repr(known) in hint):
            warnings.warn(f"column {name!r} of X is not used{hint}", UserWarning, stacklevel=4)


class _Unknown:
    """Ids that the catalogue lacks, gathered so that one message counts them all."""

    def __init__(self) -> None:
        self.n = 0
        self.some: dict[Any, None] = {}

    def add(self, values: pa.Array, codes: np.ndarray) -> None:
        missing = np.flatnonzero(codes < 0)
        self.n += len(missing)
        if len(missing) and len(self.some) < 10:
            found = values.take(pa.array(missing[:1000])).unique().to_pylist()
            self.some.update(dict.fromkeys(found))

    def raise_if_any(self, items: Items, droppable: bool) -> None:
        if self.n:
            raise ValueError(
                f"{self.n} ids in X are missing from the catalogue of {items.n_items} items, among "
                f"them {preview(self.some)}; give a catalogue that holds them: items=Items(df). "
                "In a search or cross-validation a bare DataFrame as long as X is cut into folds "
                "like X; wrapped as items=Items(df) it is left whole. "
                + (
                    "Or drop unknown ids with unknown_items='ignore'"
                    if droppable
                    else "unknown_items='ignore' drops no candidates here: each gets an answer"
                )
            )


def _encode_lists(
    column: pa.ChunkedArray, items: Items, name: str, unknown: _Unknown | None
) -> tuple[np.ndarray, np.ndarray]:
    """Encode a list column as lengths (n,) and flat codes."""
    lengths, codes = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
    for part_lengths, values in list_chunks(column, f"column {name!r}"):
        lengths.append(part_lengths)
        codes.append(_encode_values(values, items, name, unknown))
    # the common single chunk is not copied
    return _join(lengths), _join(codes)


def _join(parts: list[np.ndarray]) -> np.ndarray:
    return parts[1] if len(parts) == 2 else np.concatenate(parts)


def _encode_values(
    values: pa.Array, items: Items, name: str, unknown: _Unknown | None
) -> np.ndarray:
    codes = items.codes(values, f"the ids in column {name!r}")
    if unknown is not None:
        for start in range(0, len(codes), SLICE):
            unknown.add(values.slice(start, SLICE), codes[start : start + SLICE])
    return codes


def _encode_candidates(
    table: Table, kind: str, items: Items, n_rows: int, unknown: _Unknown | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return candidate offsets (n_rows + 1,) and codes."""
    if kind == "histories":
        return np.zeros(n_rows + 1, np.int64), np.empty(0, np.int32)
    column = table.column("candidates" if kind == "impressions" else "candidate")
    if kind == "impressions":
        lengths, codes = _encode_lists(column, items, "candidates", unknown)
        return offsets_of(lengths), codes
    parts = [_encode_values(chunk, items, "candidate", unknown) for chunk in column.chunks]
    return np.arange(n_rows + 1), np.concatenate(parts)


def _read_clicks(table: Table, y: Any, kind: str, n_rows: int) -> Any:
    """Return flat labels for pairs, (lengths, labels) for impressions, None where unlabelled."""
    if y is not None and kind == "impressions":
        raise ValueError(
            "y goes with pairs; impressions carry their clicks in a 'clicked' column of lists"
        )
    if y is not None and kind == "histories":
        raise ValueError(
            "y goes with pairs, which have a 'candidate' column; bare histories are trained on "
            "their own next clicks. If y is a catalogue, give items=Items(...)"
        )
    labels = None if y is None else _binary(_flat_labels(y), "y")
    if labels is not None and len(labels) != n_rows:
        raise ValueError(f"X has {n_rows} rows but y has {len(labels)} labels")
    if "clicked" not in table or kind == "histories":
        return labels
    column = table.column("clicked")
    if kind == "impressions":
        if not is_list(column.type):
            raise TypeError(
                f"column 'clicked' must hold a list of 0/1 for each row's candidates, got "
                f"{column.type}"
            )
        chunks = list(list_chunks(column, "column 'clicked'"))
        lengths = np.concatenate([np.empty(0, np.int64), *(part for part, _ in chunks)])
        values = [_binary(part, "column 'clicked'") for _, part in chunks]
        return lengths, np.concatenate([np.empty(0, np.int8), *values])
    clicked = _binary(column, "column 'clicked'")
    if labels is not None and not np.array_equal(labels, clicked):
        raise ValueError("y differs from the 'clicked' column of X; give one of them")
    return clicked


def _flat_labels(y: Any) -> pa.ChunkedArray:
    if isinstance(y, pd.DataFrame):
        if y.shape[1] != 1:
            raise ValueError(
                f"y must be one column of 0/1, got a table with columns {preview(y.columns, 20)}; "
                "a catalogue in its place needs the id column 'item_id', or give items="
            )
        y = y.iloc[:, 0]
    array = np.asarray(y) if not isinstance(y, (pa.Array, pa.ChunkedArray, pd.Series)) else y
    if isinstance(array, np.ndarray):
        array = array.ravel() if array.ndim == 2 and array.shape[1] == 1 else array
        if array.ndim != 1:
            raise ValueError(f"y must be 1-dimensional 0/1 labels, got shape {array.shape}")
    return _to_arrow(array, "y")


def _binary(values: pa.Array | pa.ChunkedArray, what: str) -> np.ndarray:
    """Return 0/1 labels as int8, or raise."""
    hint = f"{what} must be 0/1 labels"
    if values.null_count:
        raise ValueError(f"{hint}, got {values.null_count} nulls")
    array = (
        values.to_numpy(zero_copy_only=False)
        if isinstance(values, pa.Array)
        else (values.to_numpy())
    )
    if array.dtype.kind not in "biuf":
        if len(array) == 0:
            return array.astype(np.int8)
        raise ValueError(f"{hint}, got {values.type} such as {preview(array[:3])}")
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"{hint}, got the values {preview(np.unique(array).tolist())}")
    return array.astype(np.int8)


def _match_clicks(clicks: tuple[np.ndarray, np.ndarray], offsets: np.ndarray) -> np.ndarray:
    """Check that each row has a label for each candidate, and return the flat labels."""
    lengths, labels = clicks
    wanted = np.diff(offsets)
    if (lengths != wanted).any():
        row = int(np.argmax(lengths != wanted))
        raise ValueError(
            f"row {row} has {wanted[row]} candidates but {lengths[row]} labels in 'clicked'; their "
            "lengths must be equal"
        )
    return labels


def _read_groups(table: Table, kind: str, n_rows: int) -> np.ndarray | None:
    if kind == "histories":
        return None
    if "impression_id" not in table:
        return np.arange(n_rows) if kind == "impressions" else None
    column = table.column("impression_id")
    if column.null_count or is_list(column.type):
        raise ValueError("column 'impression_id' must hold one id in each row, no nulls")
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64)


def _read_time(table: Table, n_rows: int) -> np.ndarray | None:
    if "time" not in table:
        return None
    column = table.column("time")
    if column.null_count or is_list(column.type):
        raise ValueError("column 'time' must hold one number or timestamp in each row, no nulls")
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    try:
        time = column.cast(pa.float64(), safe=False).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"column 'time' must hold numbers or timestamps: {error}") from error
    if not np.isfinite(time).all():
        raise ValueError("column 'time' holds NaN or infinite values")
    return time


def _read_weight(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    if sample_weight is None:
        return None
    array = np.asarray(sample_weight)
    if array.ndim != 1:
        raise ValueError(
            f"sample_weight must hold one number for each row of X, got shape {array.shape}"
        )
    try:
        weight = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"sample_weight must hold numbers: {error}") from error
    if len(weight) != n_rows:
        raise ValueError(f"X has {n_rows} rows but sample_weight has {len(weight)} numbers")
    if not np.isfinite(weight).all():
        raise ValueError("sample_weight holds NaN or infinite numbers")
    if (weight < 0).any():
        raise ValueError(f"sample_weight must not be negative, got {weight.min()}")
    if not weight.any():
        raise ValueError("sample_weight is zero for all rows; at least one must count")
    return weight


def _drop_missing(
    offsets: np.ndarray, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Drop codes of -1; return new offsets, codes, and which were kept."""
    kept = codes >= 0
    return np.concatenate([[0], np.cumsum(kept)])[offsets], codes[kept], kept


def _without_unknown_candidates(data: CodedInteractions) -> CodedInteractions:
    """Drop candidates of -1, and rows that had nothing else."""
    offsets, codes, kept = _drop_missing(data.candidate_offsets, data.candidate_codes)
    clicked = None if data.clicked is None else data.clicked[kept]
    data = replace(data, candidate_offsets=offsets, candidate_codes=codes, clicked=clicked)
    if data.kind == "histories":
        return data
    rows = np.flatnonzero(np.diff(offsets))
    if not len(rows):
        raise ValueError("none of the candidates in X is in the catalogue")
    return data.take(rows)
