"""What `fit` prints: the data it trains on, and how good the model became."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skrec._data.co_clicks import count_clicks
from skrec._data.coded import CodedInteractions
from skrec._inference.history_ranker import HistoryRanker
from skrec._training.fit import Validation
from skrec._training.streamed_rows import StreamedRows


def describe_data(
    data: CodedInteractions | StreamedRows,
    valid: CodedInteractions | None,
    n_items: int,
    chosen: dict[str, Any],
) -> str:
    """Return one line about the rows, the catalogue and the chosen parameters.

    Parameters
    ----------
    data : CodedInteractions or StreamedRows
        Training rows.
    valid : CodedInteractions or None
        Held-out rows.
    n_items : int
        Number of items of the catalogue.
    chosen : dict of str to object
        Parameters that were "auto", with the values that were chosen.

    Returns
    -------
    str
    """
    if isinstance(data, StreamedRows):
        held = "" if valid is None else f" ({valid.n_rows} held out)"
        return _with_chosen(f"{data.n_rows} {data.kind}{held} in shards", n_items, chosen)
    held = ""
    if valid is not None:
        what = "last clicks held out" if data.kind == "histories" else "held out"
        held = f" ({valid.n_rows} {what})"
    clicks = int(np.diff(data.history_offsets)[data.history_of_row].sum())
    if data.kind == "histories":
        rows = f"{data.n_rows} histories with {clicks} clicks{held}"
    else:
        assert data.clicked is not None
        n_histories = len(np.unique(data.history_of_row))
        rows = (
            f"{data.n_rows} {data.kind}{held} with {int((data.clicked > 0).sum())} clicks, "
            f"{n_histories} distinct histories"
        )
    return _with_chosen(rows, n_items, chosen)


def _with_chosen(rows: str, n_items: int, chosen: dict[str, Any]) -> str:
    """Return the line for a text on the rows."""
    text = f"training on {rows} and {n_items} items"
    if not chosen:
        return text
    # the repr of an operator may have several lines
    values = (f"{name}={' '.join(repr(value).split())}" for name, value in chosen.items())
    return f"{text}; chosen: {', '.join(values)}"


def compare_with_popularity(
    validation: Validation, training: CodedInteractions | StreamedRows
) -> str:
    """Return one line with the held-out scores of a model and of the popularity of items.

    Parameters
    ----------
    validation : Validation
        Validation of the trained model.
    training : CodedInteractions or StreamedRows
        Training rows, whose clicks are counted.

    Returns
    -------
    str
    """
    items = validation.scorer.items
    if isinstance(training, StreamedRows):
        counts = training.totals.clicks
    else:
        counts = count_clicks(training, items.n_items)
    popularity = (counts / (counts.max() or 1.0)).astype(np.float32)
    popular = replace(validation, scorer=HistoryRanker(items, (1.0, 0.0), popularity))
    ours, others = validation.describe(validation()), popular.describe(popular())
    return f"on the held-out part: {ours}; popularity alone: {others}"
