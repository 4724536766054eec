"""Encoding of X and y as item codes and offsets.

::

    table or lists --> list columns --> item codes (int32) --> CodedInteractions
                                                               distinct histories stored once

All steps are vectorized over Arrow buffers, without Python loops over rows. Columns of ids are read
in chunks, because X may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.messages import preview
from skrec._data.arrow import SLICE, list_chunks
from skrec._data.clicks import match_clicks, read_click_weights, read_clicks
from skrec._data.coded import CodedInteractions
from skrec._data.context import ContextFeatures
from skrec._data.hints import hint_for_clicks
from skrec._data.items import Items
from skrec._data.ragged import (
    GrowingArray,
    distinct_segments,
    keep_elements,
    offsets_of,
    take_segments,
)
from skrec._data.rows import (
    kind_of,
    read_groups,
    read_users,
    read_weight,
    warn_misspelled_columns,
)
from skrec._data.table import Table
from skrec._data.times import read_time


def encode(
    table: Table,
    y: Any = None,
    *,
    items: Items,
    labels: str = "optional",
    drop_unknown: str = "nothing",
    sample_weight: Any = None,
    users: pa.Array | None = None,
    context: ContextFeatures | None = None,
) -> CodedInteractions:
    """Encode X and y with the positions of items in a catalogue.

    Parameters
    ----------
    table : Table
        X as returned by `as_table`: impressions, pairs or bare histories.
    y : array-like of 0/1, default=None
        Labels of pairs.
    items : Items
        The catalogue.
    labels : {"required", "optional", "ignored"}, default="optional"
        Whether X must have clicks (for training), may have clicks (for scoring), or its clicks are
        not read (for prediction).
    drop_unknown : {"nothing", "histories", "all"}, default="nothing"
        Lists from which ids are dropped that are not in the catalogue. In other lists, such ids
        raise an error.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows: finite, not negative, and not all zero.
    users : pyarrow.Array of ids, default=None
        Known users, as returned by `read_user_ids`. None if the behavior operator has no user
        vectors.
    context : ContextFeatures, default=None
        Fitted transformer of the context columns. None if the recommender has no context.

    Returns
    -------
    CodedInteractions

    Raises
    ------
    ValueError
        If values or lengths are invalid, or ids are missing from the catalogue.
    TypeError
        If columns or ids have invalid types.
    """
    kind = kind_of(table)
    warn_misspelled_columns(table, () if context is None else context.columns)
    unknown = _UnknownIds()
    keep = drop_unknown == "nothing"
    offsets, codes = _encode_lists(table, "history", items, unknown if keep else None)
    n_rows = len(offsets) - 1
    clicked = None if labels == "ignored" else read_clicks(table, y, kind, n_rows)
    candidate_offsets, candidate_codes = _encode_candidates(
        table, kind, items, n_rows, None if drop_unknown == "all" else unknown
    )
    unknown.raise_if_any(items, keep, of_users=kind == "histories" and "user_id" in table)
    if kind == "impressions" and clicked is not None:
        clicked = match_clicks(clicked, candidate_offsets)
    if labels == "required" and clicked is None and kind != "histories":
        raise ValueError(
            "training needs clicks: give a 'clicked' column"
            + (" or y with 0/1 for each pair" if kind == "pairs" else "")
            + hint_for_clicks(table.names)
        )
    if not keep:
        offsets, codes = keep_elements(offsets, codes >= 0, codes)
    first, history_of_row = distinct_segments(offsets, codes)
    if len(first) < n_rows:
        offsets, codes = take_segments(offsets, first, codes)
    contexts, context_of_row = (None, None) if context is None else context.read(table, n_rows)
    data = CodedInteractions(
        kind=kind,
        history_offsets=offsets,
        history_codes=codes,
        history_of_row=history_of_row,
        candidate_offsets=candidate_offsets,
        candidate_codes=candidate_codes,
        clicked=clicked,
        group_of_row=read_groups(table, kind, n_rows),
        time=read_time(table, n_rows),
        weight=read_weight(sample_weight, n_rows),
        click_weight=None
        if labels == "ignored"
        else read_click_weights(table, kind, clicked, candidate_offsets),
        user_of_row=None if users is None else read_users(table, users, n_rows),
        contexts=contexts,
        context_of_row=context_of_row,
    )
    return _without_unknown_candidates(data) if drop_unknown == "all" else data


class _UnknownIds:
    """Ids that are missing from the catalogue, collected for one error message.

    Attributes
    ----------
    n : int
        Number of unknown ids.
    some : dict with ids as keys
        Some of the distinct unknown ids, in order of appearance.
    """

    def __init__(self) -> None:
        self.n = 0
        self.some: dict[Any, None] = {}

    def add(self, values: pa.ChunkedArray, codes: np.ndarray) -> None:
        """Add the ids whose code is -1."""
        missing = np.flatnonzero(codes < 0)
        self.n += len(missing)
        if len(missing) and len(self.some) < 10:
            found = values.take(pa.array(missing[:1000])).unique().to_pylist()
            self.some.update(dict.fromkeys(found))

    def raise_if_any(self, items: Items, droppable: bool, of_users: bool) -> None:
        """Raise a ValueError if there are unknown ids.

        Parameters
        ----------
        items : Items
            The catalogue.
        droppable : bool
            Whether `unknown_items="ignore"` would drop the unknown ids.
        of_users : bool
            Whether X has one history per user, as a log of clicks becomes.
        """
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
                + (
                    ". From a log of clicks, skrec.datasets.impressions_from_clicks(clicks, items) "
                    "and histories_from_clicks(clicks, items) leave such clicks out"
                    if of_users
                    else ""
                )
            )


def _encode_lists(
    table: Table, name: str, items: Items, unknown: _UnknownIds | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the offsets (n + 1,) and flat codes of a list column; see `_encode_values`."""
    lengths, codes = GrowingArray(np.int64), GrowingArray(np.int32)

    def flat() -> Iterator[pa.Array]:
        for part_lengths, values in list_chunks(table.chunks(name), f"column {name!r}"):
            lengths.append(part_lengths)
            yield values

    _encode_values(flat(), name, items, unknown, codes)
    return offsets_of(lengths.array()), codes.array()


def _encode_values(
    chunks: Iterable[pa.Array],
    name: str,
    items: Items,
    unknown: _UnknownIds | None,
    codes: GrowingArray,
) -> None:
    """Append the codes of ids to `codes`.

    Parameters
    ----------
    chunks : iterable of pyarrow.Array
        The ids.
    name : str
        Name of the column, for error messages.
    items : Items
        The catalogue.
    unknown : _UnknownIds or None
        Collects the ids that are missing from the catalogue.
    codes : GrowingArray of int32
        Receives one code per id; -1 for missing ones.
    """
    for values in _rechunk(chunks):
        found = items.codes(values, f"the ids in column {name!r}")
        if unknown is not None:
            unknown.add(values, found)
        codes.append(found)


def _rechunk(chunks: Iterable[pa.Array]) -> Iterator[pa.ChunkedArray]:
    """Join small chunks and split large ones, to about SLICE values.

    Each look-up of ids may take time proportional to the catalogue, so few large look-ups are
    faster than many small ones.
    """
    waiting, n_waiting = [], 0
    for chunk in chunks:
        for start in range(0, max(len(chunk), 1), SLICE):
            waiting.append(chunk.slice(start, SLICE))
            n_waiting += len(waiting[-1])
            if n_waiting >= SLICE:
                yield pa.chunked_array(waiting)
                waiting, n_waiting = [], 0
    if waiting:
        yield pa.chunked_array(waiting)


def _encode_candidates(
    table: Table, kind: str, items: Items, n_rows: int, unknown: _UnknownIds | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the offsets (n_rows + 1,) and flat codes of the candidates."""
    if kind == "histories":
        return np.zeros(n_rows + 1, np.int64), np.empty(0, np.int32)
    if kind == "impressions":
        return _encode_lists(table, "candidates", items, unknown)
    codes = GrowingArray(np.int32)
    _encode_values(table.chunks("candidate"), "candidate", items, unknown, codes)
    return np.arange(n_rows + 1), codes.array()


def _without_unknown_candidates(data: CodedInteractions) -> CodedInteractions:
    """Drop candidates with code -1, and rows that are left without candidates."""
    data = data.keep_candidates(data.candidate_codes >= 0)
    if data.kind == "histories":
        return data
    rows = np.flatnonzero(np.diff(data.candidate_offsets))
    if not len(rows):
        raise ValueError("none of the candidates in X is in the catalogue")
    return data.take(rows)
