"""Rows with too few candidates, filled up with items that their users never met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from skrec._common.checks import check_choice, check_int
from skrec._common.random import as_generator
from skrec._data.arrow import as_ids, flat_lists, lists, to_arrow
from skrec._data.ids import codes_of
from skrec._data.ragged import gather_ranges, offsets_of, segment_ids
from skrec._data.rows import as_table, kind_of, match_clicks, read_clicks
from skrec._data.table import Table, is_table
from skrec.datasets._clicks.unseen_items import NegativeSampler, PopularitySampler, distinct_pairs


def sample_negatives(
    X: Any,
    items: Any,
    *,
    n: int = 4,
    sampling: str = "uniform",
    seen: Any = None,
    random_state: Any = 0,
) -> pa.Table:
    """Fill rows up with items that were not shown, so that each has n that were not clicked.

    For rows that say what was clicked but not, or too little of, what else was shown. What is
    drawn was met by the user in no row of X. For training there is no need of it: `n_negatives`
    draws others for each batch. Scores on drawn candidates tell which of two models is better, but
    are far higher than on what was shown, and the more so with "uniform", where popularity alone
    gives many clicks away.

    Parameters
    ----------
    X : table of n_samples rows
        Impressions with the column `clicked`, or pairs that are all clicks. The column `user_id`
        says which rows are of one user; without it each row stands for itself.
    items : Items or array-like of ids
        What is drawn from.
    n : int, default=4
        Number of candidates that were not clicked, which each row is to have. Rows that have more
        keep them.
    sampling : {"uniform", "popularity"}, default="uniform"
        "uniform" draws all items alike, "popularity" in proportion to one more than the number of
        users (rows, where there is no `user_id`) in X that clicked them. No item is drawn twice
        for a row.
    seen : table, default=None
        Columns `user_id` and `item_id`: what else users met, such as what they click in a test
        part, which X does not have.
    random_state : int, RandomState instance, Generator or None, default=0
        Seed of the negatives and of the order of candidates.

    Returns
    -------
    pyarrow.Table
        Impressions: the rows of X in their order, with the columns of X. `candidates` are in random
        order, as int64 or large_string; `clicked` follows them. Pairs become impressions of
        one click each, without `impression_id`.

    Raises
    ------
    ValueError
        For bare histories, for impressions without `clicked`, for pairs that were not clicked,
        where a user met so much that too few items are left, and for a parameter out of its range.
    TypeError
        Where ids are strings in one place and ints in another.

    See Also
    --------
    impressions_from_clicks : Makes rows of clicks that have no histories yet.

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
    ids = _distinct(items)
    rows = _read_rows(table)
    owner, n_owners, users = _owners(table, rows)
    met_by, met = _met(rows, owner, ids)
    if seen is not None:
        more_by, more = _read_seen(seen, users, ids)
        met_by, met = np.concatenate([met_by, more_by]), np.concatenate([met, more])
    sampler: Any
    if sampling == "uniform":
        sampler = NegativeSampler(met_by, met, pa.array(np.arange(n_owners)), ids)
    else:
        clicks_by, clicks = _met(rows, owner, ids, clicked=True)
        distinct = distinct_pairs(clicks_by, clicks, len(ids)) % len(ids)
        weight = np.bincount(distinct, minlength=len(ids)) + 1.0
        sampler = PopularitySampler(met_by, met, n_owners, weight)
    need = np.maximum(n - np.bincount(rows.row[rows.clicked == 0], minlength=rows.n), 0)
    n_met = np.bincount(distinct_pairs(met_by, met, len(ids)) // len(ids), minlength=n_owners)
    _check_enough(need, len(ids) - n_met[owner], len(ids), owner, users)
    drawn_row, drawn = _draw(sampler, owner, need, rng)
    return _filled(table, rows, drawn_row, ids.take(pa.array(drawn)), rng)


@dataclass(frozen=True)
class Rows:
    """Histories and candidates end to end; a pair has one candidate."""

    n: int
    history_row: np.ndarray
    history: pa.Array
    row: np.ndarray
    candidates: pa.Array
    clicked: np.ndarray


def _read_rows(table: Table) -> Rows:
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
                f"{np.sum(clicks == 0)} pairs of X were not clicked; give impressions, in which "
                "they stand beside the clicks, or clicks alone"
            )
        row, clicked = np.arange(n_rows), np.ones(n_rows, dtype=np.int8)
        candidates = table.column("candidate").combine_chunks()
    else:
        if clicks is None:
            raise ValueError("X has no column 'clicked', which says what was clicked")
        lengths, candidates = flat_lists(table.column("candidates"), "column 'candidates'")
        row, clicked = segment_ids(offsets_of(lengths)), match_clicks(clicks, offsets_of(lengths))
    return Rows(n_rows, history_row, history, row, as_ids(candidates, "candidates"), clicked)


def _distinct(items: Any) -> pa.Array:
    """Return the distinct ids of a catalogue, in its order."""
    if hasattr(items, "n_items"):
        items = items.ids
    elif is_table(items):
        raise TypeError("items must be an Items or ids, got a table; write items=Items(table)")
    ids = as_ids(to_arrow(items, "items").combine_chunks(), "ids in items").unique()
    if not len(ids):
        raise ValueError("items must hold at least one id to draw, got none")
    return ids


def _owners(table: Table, rows: Rows) -> tuple[np.ndarray, int, pa.Array | None]:
    """Return the user of each row, numbered, how many there are, and their ids if they have any."""
    if "user_id" not in table:
        return np.arange(rows.n), rows.n, None
    users = as_ids(table.column("user_id").combine_chunks(), "column 'user_id'").dictionary_encode()
    return users.indices.to_numpy().astype(np.int64), len(users.dictionary), users.dictionary


def _met(
    rows: Rows, owner: np.ndarray, ids: pa.Array, clicked: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return who met, or clicked, what; items that are not drawn from are left out."""
    shown = codes_of(rows.candidates, ids, "candidates").astype(np.int64)
    item = np.concatenate([codes_of(rows.history, ids, "ids in history").astype(np.int64), shown])
    row = np.concatenate([rows.history_row, rows.row])
    known = item >= 0
    if clicked:
        known[len(rows.history) :] &= rows.clicked == 1
    return owner[row[known]], item[known]


def _read_seen(seen: Any, users: pa.Array | None, ids: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return who met what besides; users and items that X and the catalogue lack are left out."""
    if users is None:
        raise ValueError("seen says what users met, and X has no column 'user_id'; give one")
    table = Table(seen)
    for name in ("user_id", "item_id"):
        if name not in table:
            raise ValueError(f"seen has no column {name!r}, only {', '.join(table.names)}")
    user_ids = as_ids(table.column("user_id").combine_chunks(), "column 'user_id' of seen")
    if len(user_ids) and user_ids.type != users.type:
        raise TypeError(f"user_id is {user_ids.type} in seen and {users.type} in X; convert one")
    user = codes_of(user_ids, users, "user_id").astype(np.int64)
    item = codes_of(table.column("item_id").combine_chunks(), ids, "item_id of seen")
    known = (user >= 0) & (item >= 0)
    return user[known], item[known].astype(np.int64)


def _check_enough(
    need: np.ndarray, n_unmet: np.ndarray, n_items: int, owner: np.ndarray, users: pa.Array | None
) -> None:
    short = np.flatnonzero(n_unmet < need)
    if len(short):
        row = int(short[0])
        who = f"row {row}" if users is None else f"user {users[int(owner[row])].as_py()!r}"
        raise ValueError(
            f"{who} needs {need[row]} negatives but met all but {n_unmet[row]} of {n_items} items; "
            "lower n"
        )


def _draw(
    sampler: Any, owner: np.ndarray, need: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw as many as each row needs; rows that need as many are drawn together."""
    offsets = offsets_of(need)
    drawn = np.empty(offsets[-1], dtype=np.int64)
    for n in np.unique(need[need > 0]).tolist():
        rows = np.flatnonzero(need == n)
        places, _ = gather_ranges(offsets[rows], offsets[rows + 1])
        drawn[places] = sampler.draw(owner[rows], n, rng).ravel()
    return segment_ids(offsets), drawn


def _filled(
    table: Table, rows: Rows, drawn_row: np.ndarray, drawn: pa.Array, rng: np.random.Generator
) -> pa.Table:
    """Put candidates and negatives of each row in random order."""
    row = np.concatenate([rows.row, drawn_row])
    order = np.lexsort((rng.random(len(row)), row))
    candidates = pa.concat_arrays([rows.candidates.cast(drawn.type), drawn])
    clicked = np.concatenate([rows.clicked, np.zeros(len(drawn_row), dtype=np.int8)])
    lengths = np.bincount(row, minlength=rows.n)
    gone = {"candidates", "candidate", "clicked"}
    if "candidate" in table:
        gone.add("impression_id")
    return pa.table(
        {name: table.column(name) for name in dict.fromkeys(table.names) if name not in gone}
        | {
            "candidates": lists(candidates.take(pa.array(order)), lengths),
            "clicked": lists(clicked[order], lengths),
        }
    )
