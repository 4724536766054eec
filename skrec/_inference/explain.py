"""Why an item has its score: shares of clicks by leaving one out, and of words by gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skrec._common.messages import warn
from skrec._data.coded import CodedInteractions
from skrec._data.explanation import Explanation
from skrec._data.items import Items, ids_of
from skrec._data.ragged import iterate_blocks, offsets_of
from skrec._data.rows import as_table
from skrec._data.table import is_table
from skrec._inference.frames import chosen_columns
from skrec._inference.ranker import Ranker

CLICK_BLOCK = 1 << 22  # clicks of histories that are scored at a time
# the shares of words may miss the score by a part of the sum of their absolute values, and by a
# part of the score, because prefix states are stored in bfloat16
TOLERANCE, TOLERANCE_OF_SCORE = 0.02, 0.005


def one_row(history: Any) -> Any:
    """Return one history as an X of one row.

    Parameters
    ----------
    history : flat sequence of ids, or table of one row

    Returns
    -------
    table or list of one list of ids

    Raises
    ------
    ValueError
        If a table has another number of rows.
    TypeError
        If a sequence is not flat.
    """
    if is_table(history):
        table = as_table(history)
        n_rows = len(table.column("history")) if "history" in table else 1
        if n_rows != 1:
            raise ValueError(
                f"explain takes one history, got a table of {n_rows} rows; pass X.iloc[[0]] or a "
                "list of ids"
            )
        return history
    if isinstance(history, str | bytes) or not hasattr(history, "__iter__"):
        raise TypeError(f"history must be a list of item ids, got {history!r}")
    ids = list(history)
    if any(isinstance(each, list | tuple | np.ndarray) for each in ids):
        raise TypeError("explain takes one history, a flat list of item ids, got a list of lists")
    return [ids]


def read_positions(X: Any, known: Items) -> np.ndarray:
    """Return the positions of the clicks, in an X of one row, of items in the catalogue."""
    [ids] = as_table(X).column("history").to_pylist()
    if not ids:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(known.codes(ids, "history") >= 0)


def explain(
    ranker: Ranker, data: CodedInteractions, positions: np.ndarray, code: int, columns: Any
) -> Explanation:
    """Explain the score of an item for one history.

    Parameters
    ----------
    ranker : Ranker
    data : CodedInteractions
        One row, whose history is read.
    positions : ndarray of int, shape (L,)
        Position of each click in the history that the user passed.
    code : int
        Code of the item.
    columns : list of str or None
        Columns of the catalogue for the frame of clicks.

    Returns
    -------
    Explanation
    """
    items = ranker.items
    names = chosen_columns(columns, items, ["position", items.id, "share"])
    codes, scores = scores_without_clicks(ranker, data, code)
    shares = scores[-1] - scores[:-1]
    clicks = {"position": positions, items.id: ids_of(items, codes), "share": shares}
    for name in names:
        clicks[name] = items.column(name).take(pa.array(codes)).to_pandas()
    [item] = ids_of(items, np.array([code])).tolist()
    score = float(scores[-1])
    found = ranker.word_shares(data, code)
    if found is None:
        return Explanation(item, score, pd.DataFrame(clicks))
    gap = found.base + found.shares.sum() - found.score
    total = np.abs(found.shares).sum()
    if abs(gap) > TOLERANCE * total + TOLERANCE_OF_SCORE * abs(found.score):
        warn(
            f"the shares of the words miss the score by {gap:.3g}, and their absolute values sum "
            f"to {total:.3g}: the score is not a smooth function of the words, so the shares are "
            "approximate"
        )
    words = pd.DataFrame({"column": found.columns, "word": found.words, "share": found.shares})
    return Explanation(item, score, pd.DataFrame(clicks), words, score - found.score + found.base)


def scores_without_clicks(
    ranker: Ranker, data: CodedInteractions, code: int
) -> tuple[np.ndarray, np.ndarray]:
    """Score an item for a history of which one click is left out, and for the whole history.

    Parameters
    ----------
    ranker : Ranker
    data : CodedInteractions
        One row, whose history is read.
    code : int
        Code of the item.

    Returns
    -------
    codes : ndarray of int64, shape (L,)
        The clicks.
    scores : ndarray of float64, shape (L + 1,)
        Scores without each click; the last one is that of the whole history.
    """
    codes = data.history_codes[data.history_positions()[0]]
    scores = np.empty(len(codes) + 1)
    for block in iterate_blocks(len(scores), max(1, CLICK_BLOCK // len(scores))):
        left_out = np.arange(block.start, block.stop)
        kept = np.arange(len(codes)) != left_out[:, None]  # (n, L)
        n_rows = len(left_out)
        rows = replace(
            data.take(np.zeros(n_rows, dtype=np.int64)),
            kind="pairs",
            history_offsets=offsets_of(kept.sum(axis=1)),
            history_codes=np.broadcast_to(codes, kept.shape)[kept],
            history_of_row=np.arange(n_rows),
            candidate_offsets=np.arange(n_rows + 1),
            candidate_codes=np.full(n_rows, code, dtype=np.int32),
            clicked=None,
            group_of_row=None,
        )
        scores[block] = ranker.score_candidates(rows)
    return codes.astype(np.int64), scores
