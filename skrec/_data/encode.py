"""Turn X and y into item codes and offsets.

::

    table or lists --> list columns --> codes of the catalogue (int32) --> CodedInteractions
                                         distinct histories kept once

Everything here is vectorised over Arrow buffers; no row is touched from Python. Lists of ids are
read chunk by chunk, so that X may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.messages import preview
from skrec._data.arrow import SLICE, list_chunks
from skrec._data.coded import CodedInteractions
from skrec._data.items import Items
from skrec._data.ragged import Growing, distinct_segments, keep_elements, offsets_of, take_segments
from skrec._data.rows import (
    kind_of,
    match_clicks,
    read_clicks,
    read_groups,
    read_time,
    read_users,
    read_weight,
    warn_of_misspelt,
)
from skrec._data.table import Table


def encode(
    table: Table,
    y: Any = None,
    *,
    items: Items,
    labels: str = "optional",
    drop_unknown: str = "nothing",
    sample_weight: Any = None,
    users: pa.Array | None = None,
) -> CodedInteractions:
    """Encode X and y as positions in a catalogue.

    Parameters
    ----------
    table : Table
        X as `as_table` reads it: impressions, pairs or bare histories.
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
    users : Array of ids, default=None
        The users to know, as `read_user_ids` gives them; None where nothing reads users.

    Returns
    -------
    CodedInteractions

    Raises
    ------
    ValueError, TypeError
        For data that break the contract; the message says what was got and what to do.
    """
    kind = kind_of(table)
    warn_of_misspelt(table, stacklevel=3)
    unknown = _Unknown()
    keep = drop_unknown == "nothing"
    offsets, codes = _encode_lists(table, "history", items, unknown if keep else None)
    n_rows = len(offsets) - 1
    clicked = None if labels == "ignored" else read_clicks(table, y, kind, n_rows)
    candidate_offsets, candidate_codes = _encode_candidates(
        table, kind, items, n_rows, None if drop_unknown == "all" else unknown
    )
    unknown.raise_if_any(items, keep)
    if kind == "impressions" and clicked is not None:
        clicked = match_clicks(clicked, candidate_offsets)
    if labels == "required" and clicked is None and kind != "histories":
        raise ValueError(
            "training needs clicks: give a 'clicked' column"
            + (" or y with 0/1 for each pair" if kind == "pairs" else "")
        )
    if not keep:
        offsets, codes = keep_elements(offsets, codes >= 0, codes)
    first, history_of_row = distinct_segments(offsets, codes)
    if len(first) < n_rows:
        offsets, codes = take_segments(offsets, first, codes)
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
        user_of_row=None if users is None else read_users(table, users, n_rows),
    )
    return _without_unknown_candidates(data) if drop_unknown == "all" else data


class _Unknown:
    """Ids that the catalogue lacks, gathered so that one message counts them all."""

    def __init__(self) -> None:
        self.n = 0
        self.some: dict[Any, None] = {}

    def add(self, values: pa.ChunkedArray, codes: np.ndarray) -> None:
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
    table: Table, name: str, items: Items, unknown: _Unknown | None
) -> tuple[np.ndarray, np.ndarray]:
    """Encode a list column as offsets (n + 1,) and flat codes."""
    lengths, codes = Growing(np.int64), Growing(np.int32)

    def flat() -> Iterator[pa.Array]:
        for part_lengths, values in list_chunks(table.chunks(name), f"column {name!r}"):
            lengths.append(part_lengths)
            yield values

    _encode_values(flat(), name, items, unknown, codes)
    return offsets_of(lengths.array()), codes.array()


def _encode_values(
    chunks: Iterable[pa.Array], name: str, items: Items, unknown: _Unknown | None, codes: Growing
) -> None:
    for values in _of_like_size(chunks):
        found = items.codes(values, f"the ids in column {name!r}")
        if unknown is not None:
            unknown.add(values, found)
        codes.append(found)


def _of_like_size(chunks: Iterable[pa.Array]) -> Iterator[pa.ChunkedArray]:
    """Join small chunks and cut large ones: looking some ids up costs a walk over all items."""
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
    table: Table, kind: str, items: Items, n_rows: int, unknown: _Unknown | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return candidate offsets (n_rows + 1,) and codes."""
    if kind == "histories":
        return np.zeros(n_rows + 1, np.int64), np.empty(0, np.int32)
    if kind == "impressions":
        return _encode_lists(table, "candidates", items, unknown)
    codes = Growing(np.int32)
    _encode_values(table.chunks("candidate"), "candidate", items, unknown, codes)
    return np.arange(n_rows + 1), codes.array()


def _without_unknown_candidates(data: CodedInteractions) -> CodedInteractions:
    """Drop candidates of -1, and rows that had nothing else."""
    data = data.keep_candidates(data.candidate_codes >= 0)
    if data.kind == "histories":
        return data
    rows = np.flatnonzero(np.diff(data.candidate_offsets))
    if not len(rows):
        raise ValueError("none of the candidates in X is in the catalogue")
    return data.take(rows)
