"""Sampled negatives for rows of X: items that the user of a row has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.checks import check_choice, check_int
from skrec._common.random import as_generator
from skrec._data.arrow import as_ids, flat_lists, lists, to_arrow
from skrec._data.clicks import match_clicks, read_click_weights, read_clicks
from skrec._data.ids import look_up
from skrec._data.ragged import gather_ranges, offsets_of, segment_ids
from skrec._data.rows import as_table, kind_of
from skrec._data.table import Table, is_table
from skrec.datasets._clicks.unseen_items import (
    PopularUnseenItemSampler,
    UnseenItemSampler,
    distinct_pairs,
)


def sample_negatives(
    X: Any,
    items: Any,
    *,
    n: int = 4,
    sampling: str = "uniform",
    seen: Any = None,
    random_state: Any = 0,
) -> pa.Table:
    """Add sampled candidates to rows, so that each row has n candidates that were not clicked.

    Use it for evaluation data that contain clicks, but not the other items that were shown, or too
    few of them. Candidates are sampled from the items that the user has seen in no row of X.
    Training data don't need it, because `fit` samples `n_negatives` for each batch. Metrics on
    sampled candidates can rank models, but they are much higher than metrics on the items that were
    shown. The difference is largest with "uniform", because popularity alone then separates many
    clicked items from the others.

    Parameters
    ----------
    X : table of n_samples rows
        Impressions with the column `clicked`, or pairs that are all clicks. The column `user_id`
        says which rows belong to one user. Without it, each row is a user.
    items : Items or array-like of ids
        Items to sample from.
    n : int, default=4
        Number of candidates per row that were not clicked. Rows that have more keep them.
    sampling : {"uniform", "popularity"}, default="uniform"
        "uniform" samples all items with the same probability. "popularity" samples items in
        proportion to 1 plus the number of users in X that clicked the item (number of rows if X has
        no `user_id`). The sampled candidates of a row are distinct.
    seen : table, default=None
        Columns `user_id` and `item_id`: items that users have seen outside of X, for instance their
        clicks in a test part.
    random_state : int, RandomState instance, Generator or None, default=0
        Seed of the negatives and of the order of candidates.

    Returns
    -------
    pyarrow.Table
        Impressions: the rows of X in their order, with the columns of X. `candidates` are in random
        order, as int64 or large_string, and `clicked` is in the same order. Pairs become
        impressions with one click each and lose the column `impression_id`.

    Raises
    ------
    ValueError
        If X contains bare histories, impressions without `clicked`, or pairs that were not clicked;
        if a user has too few unseen items; if a parameter is out of its range.
    TypeError
        If ids are strings in one place and ints in another.

    See Also
    --------
    impressions_from_clicks : Build impressions with histories from a log of clicks.

    Examples
    --------
    >>> from skrec.datasets import sample_negatives
    >>> X = {"user_id": [7, 7], "history": [[1], [1, 2]], "candidate": [2, 3]}
    >>> rows = sample_negatives(X, range(1, 7), n=2)
    >>> [sorted(row) for row in rows["candidates"].to_pylist()]
    [[2, 4, 6], [3, 4, 6]]
    >>> [sum(row) for row in rows["clicked"].to_pylist()]
    [1, 1]
    """
    check_int("n", n)
    check_choice("sampling", sampling, ("uniform", "popularity"))
    rng = as_generator(random_state)
    table = as_table(X)
    ids = _distinct_ids(items)
    rows = _read_rows(table)
    user_of_row, n_users, user_ids = _read_users(table, rows.n)
    users, seen_items = _seen_pairs(rows, user_of_row, ids)
    if seen is not None:
        more_users, more_items = _read_seen(seen, user_ids, ids)
        users = np.concatenate([users, more_users])
        seen_items = np.concatenate([seen_items, more_items])
    n_missing = np.maximum(n - np.bincount(rows.row[rows.clicked == 0], minlength=rows.n), 0)
    pairs = distinct_pairs(users, seen_items, len(ids))
    n_seen = np.bincount(pairs // len(ids), minlength=n_users)
    _check_enough(n_missing, len(ids) - n_seen[user_of_row], len(ids), user_of_row, user_ids)
    sampler: UnseenItemSampler | PopularUnseenItemSampler
    if sampling == "uniform":
        sampler = UnseenItemSampler(users, seen_items, pa.array(np.arange(n_users)), ids)
    else:
        weight = _popularity(rows, user_of_row, ids)
        sampler = PopularUnseenItemSampler(users, seen_items, n_users, weight)
    drawn_row, drawn = _draw(sampler, user_of_row, n_missing, rng)
    return _add_candidates(table, rows, drawn_row, ids.take(pa.array(drawn)), rng)


@dataclass(frozen=True)
class _Rows:
    """Histories and candidates of all rows end to end. A pair has one candidate.

    Parameters
    ----------
    n : int
        Number of rows.
    history_row : ndarray of int, shape (n_history,)
        Row of each entry of `history`.
    history : pyarrow.Array of shape (n_history,)
    row : ndarray of int, shape (n_candidates,)
        Row of each candidate.
    candidates : pyarrow.Array of shape (n_candidates,)
    clicked : ndarray of int8 or float64, shape (n_candidates,)
        Labels; if clicks have weights, these, and 0 for other candidates.
    """

    n: int
    history_row: np.ndarray
    history: pa.Array
    row: np.ndarray
    candidates: pa.Array
    clicked: np.ndarray


def _read_rows(table: Table) -> _Rows:
    """Read impressions or clicked pairs. Raise a ValueError for all other rows."""
    kind = kind_of(table)
    if kind == "histories":
        raise ValueError(
            "X has no candidates to add to; give a column 'candidate' of what was clicked, or make "
            "rows of a log of clicks with impressions_from_clicks"
        )
    lengths, history = flat_lists(table.column("history"), "column 'history'")
    n_rows = len(lengths)
    history_row = segment_ids(offsets_of(lengths))
    clicks = read_clicks(table, None, kind, n_rows)
    if kind == "pairs":
        if clicks is not None and not clicks.all():
            raise ValueError(
                f"{np.sum(clicks == 0)} pairs of X were not clicked; give impressions, which "
                "contain them together with the clicks, or clicks only"
            )
        row, clicked = np.arange(n_rows), np.ones(n_rows, dtype=np.int8)
        offsets = np.arange(n_rows + 1)
        candidates = table.column("candidate").combine_chunks()
    else:
        if clicks is None:
            raise ValueError("X has no column 'clicked', which says what was clicked")
        lengths, candidates = flat_lists(table.column("candidates"), "column 'candidates'")
        offsets = offsets_of(lengths)
        row, clicked = segment_ids(offsets), match_clicks(clicks, offsets)
    weights = read_click_weights(table, kind, clicked, offsets)
    clicked = clicked if weights is None else weights
    return _Rows(n_rows, history_row, history, row, as_ids(candidates, "candidates"), clicked)


def _distinct_ids(items: Any) -> pa.Array:
    """Return the distinct ids of a catalogue, in its order."""
    if hasattr(items, "n_items"):
        items = items.ids
    elif is_table(items):
        raise TypeError("items must be an Items or ids, got a table; write items=Items(table)")
    ids = as_ids(to_arrow(items, "items").combine_chunks(), "ids in items").unique()
    if not len(ids):
        raise ValueError("items must contain at least one id, got none")
    return ids


def _read_users(table: Table, n_rows: int) -> tuple[np.ndarray, int, pa.Array | None]:
    """Return the position of each row's user, the number of users, and their ids if X has them."""
    if "user_id" not in table:
        return np.arange(n_rows), n_rows, None
    column = as_ids(table.column("user_id").combine_chunks(), "column 'user_id'")
    users = column.dictionary_encode()
    return users.indices.to_numpy().astype(np.int64), len(users.dictionary), users.dictionary


def _seen_pairs(
    rows: _Rows, user_of_row: np.ndarray, ids: pa.Array, only_clicked: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of a user and an item in the user's histories or candidates.

    Parameters
    ----------
    rows : _Rows
    user_of_row : ndarray of int, shape (n_rows,)
    ids : pyarrow.Array
        Items to sample from. Others are left out.
    only_clicked : bool, default=False
        Whether to leave out candidates that were not clicked.

    Returns
    -------
    users, items : ndarray of int64, shape (n_pairs,)
    """
    shown = look_up(rows.candidates, ids, "candidates").astype(np.int64)
    item = np.concatenate([look_up(rows.history, ids, "ids in history").astype(np.int64), shown])
    row = np.concatenate([rows.history_row, rows.row])
    kept = item >= 0
    if only_clicked:
        kept[len(rows.history) :] &= rows.clicked > 0
    return user_of_row[row[kept]], item[kept]


def _popularity(rows: _Rows, user_of_row: np.ndarray, ids: pa.Array) -> np.ndarray:
    """Return 1 plus the number of users that clicked each item."""
    users, items = _seen_pairs(rows, user_of_row, ids, only_clicked=True)
    distinct_items = distinct_pairs(users, items, len(ids)) % len(ids)
    return np.bincount(distinct_items, minlength=len(ids)) + 1.0


def _read_seen(
    seen: Any, user_ids: pa.Array | None, ids: pa.Array
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of user and item in `seen`, without unknown users and items."""
    if user_ids is None:
        raise ValueError("seen lists items of users, but X has no column 'user_id'; give one")
    table = Table(seen)
    for name in ("user_id", "item_id"):
        if name not in table:
            raise ValueError(f"seen has no column {name!r}, only {', '.join(table.names)}")
    column = as_ids(table.column("user_id").combine_chunks(), "column 'user_id' of seen")
    if len(column) and column.type != user_ids.type:
        raise TypeError(f"user_id is {column.type} in seen and {user_ids.type} in X; convert one")
    user = look_up(column, user_ids, "user_id").astype(np.int64)
    item = look_up(table.column("item_id").combine_chunks(), ids, "item_id of seen")
    is_known = (user >= 0) & (item >= 0)
    return user[is_known], item[is_known].astype(np.int64)


def _check_enough(
    n_missing: np.ndarray,
    n_unseen: np.ndarray,
    n_items: int,
    user_of_row: np.ndarray,
    user_ids: pa.Array | None,
) -> None:
    """Raise a ValueError if a row misses more negatives than its user has unseen items."""
    short = np.flatnonzero(n_unseen < n_missing)
    if len(short):
        row = int(short[0])
        if user_ids is None:
            name = f"row {row}"
        else:
            name = f"user {user_ids[int(user_of_row[row])].as_py()!r}"
        raise ValueError(
            f"{name} needs {n_missing[row]} negatives but met all but {n_unseen[row]} of {n_items} "
            "items; lower n"
        )


def _draw(
    sampler: UnseenItemSampler | PopularUnseenItemSampler,
    user_of_row: np.ndarray,
    n_missing: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the missing negatives. Rows that miss the same number are drawn together.

    Returns
    -------
    rows : ndarray of int, shape (n_drawn,)
        Row of each negative, ascending.
    items : ndarray of int64, shape (n_drawn,)
        Positions of the negatives among the items.
    """
    offsets = offsets_of(n_missing)
    drawn = np.empty(offsets[-1], dtype=np.int64)
    for n in np.unique(n_missing[n_missing > 0]).tolist():
        rows = np.flatnonzero(n_missing == n)
        places, _ = gather_ranges(offsets[rows], offsets[rows + 1])
        drawn[places] = sampler.draw(user_of_row[rows], n, rng).ravel()
    return segment_ids(offsets), drawn


def _add_candidates(
    table: Table, rows: _Rows, drawn_row: np.ndarray, drawn: pa.Array, rng: np.random.Generator
) -> pa.Table:
    """Return X as impressions with the drawn negatives, in random order within each row."""
    row = np.concatenate([rows.row, drawn_row])
    order = np.lexsort((rng.random(len(row)), row))
    candidates = pa.concat_arrays([rows.candidates.cast(drawn.type), drawn])
    clicked = np.concatenate([rows.clicked, np.zeros(len(drawn_row), dtype=rows.clicked.dtype)])
    lengths = np.bincount(row, minlength=rows.n)
    replaced = {"candidates", "candidate", "clicked", "weights"}
    if "candidate" in table:
        replaced.add("impression_id")
    return pa.table(
        {name: table.column(name) for name in dict.fromkeys(table.names) if name not in replaced}
        | {
            "candidates": lists(candidates.take(pa.array(order)), lengths),
            "clicked": lists(clicked[order], lengths),
        }
    )
