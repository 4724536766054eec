"""Training examples: the clicks to learn, with their histories and negatives.

::

    CodedInteractions --> Examples --draw(rows)--> ExampleBatch (numpy)
                                                   clicks, histories, negatives

An example is a term of the loss: a click and its negatives, or with ``loss="bce"`` one candidate.
"""

from __future__ import annotations

import numpy as np

from skrec._data.clicks import click_weights
from skrec._data.coded import CodedInteractions
from skrec._data.ragged import gather_ranges, gather_segments, offsets_of, segment_ids
from skrec._training.all_clicks import AllClicks, RowExamples
from skrec._training.example_batch import (
    EMPTY_HISTORIES,
    ExampleBatch,
    Examples,
    RowCodes,
    weights_of,
    with_negatives,
    without_context,
)
from skrec._training.negatives import NegativeSampler, Pool

NO_CLICKS = "none of the {} candidates was clicked; training needs at least one 1 in 'clicked' or y"


def make_examples(
    data: CodedInteractions,
    loss: str,
    sampler: NegativeSampler,
    history_targets: int | str = 0,
    max_history: int = 50,
    one_pass: bool = False,
    is_part: bool = False,
) -> Examples:
    """Return the training set for a loss.

    Parameters
    ----------
    data : CodedInteractions
        The training rows.
    loss : str
        Name of the loss.
    sampler : NegativeSampler
        Sampler of the pool of negatives.
    history_targets : int or "all", default=0
        Number of additional targets per example, which are drawn from inside its history. "all"
        makes each click of a history a target.
    max_history : int, default=50
        Number of latest clicks that are read from a history.
    one_pass : bool, default=False
        Whether the network predicts all clicks of a window in one pass, if `history_targets` is
        "all". Otherwise each click is an example of its own.

    Returns
    -------
    ImpressionExamples, PairExamples, NextClickExamples, WithHistoryTargets or AllClicks
    """
    if data.kind == "histories":
        if history_targets == "all":
            return AllClicks(data, sampler, max_history, one_pass)
        return NextClickExamples(data, sampler, 1 + int(history_targets))
    if loss != "bce":
        examples: RowExamples = ImpressionExamples(data, sampler)
    else:
        examples = PairExamples(data, sampler, is_part)
    if history_targets == "all":
        return AllClicks(data, sampler, max_history, one_pass, examples)
    return WithHistoryTargets(examples, int(history_targets)) if history_targets else examples


def resolve_loss(loss: str | None, data: CodedInteractions) -> str:
    """Return the loss to train with.

    Parameters
    ----------
    loss : str or None
        The recommender's `loss`. None means softmax if candidates have groups, and bce otherwise.
    data : CodedInteractions
        The training rows.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the loss compares the candidates of a group, but pairs have no groups.
    """
    grouped = data.kind != "pairs" or data.group_of_row is not None
    if loss in ("softmax", "bpr", "gbce") and not grouped:
        raise ValueError(
            f"loss={loss!r} compares the candidates of one impression; give pairs an "
            "'impression_id' column, or take loss='bce'"
        )
    return loss or ("softmax" if grouped else "bce")


class ImpressionExamples:
    """Clicks with `n_negatives` items of the same impression that were not clicked.

    Negatives are drawn in each epoch, without replacement. If an impression has too few of them,
    the others are sampled from the catalogue, except the clicks of the impression and the items in
    the history. Impressions without a click are skipped and counted in `n_skipped`.

    Parameters
    ----------
    data : CodedInteractions
        The training rows, with clicks and groups.
    sampler : NegativeSampler
        Sampler of the pool of negatives.

    Raises
    ------
    ValueError
        If there are no clicks.
    """

    def __init__(self, data: CodedInteractions, sampler: NegativeSampler):
        assert data.clicked is not None and data.group_of_row is not None
        self._at = np.flatnonzero(data.clicked)
        if not len(self._at):
            raise ValueError(NO_CLICKS.format(len(data.clicked)))
        groups, self._group_of_row = np.unique(data.group_of_row, return_inverse=True)
        row_order = np.argsort(self._group_of_row, kind="stable")
        n_rows = np.bincount(self._group_of_row)
        self._rows_of_group = offsets_of(n_rows), row_order
        self._data, self._weight = data, weights_of(data)
        self._user_context, self.contexts = data.user_context(), data.contexts
        self._click_weight = click_weights(data.click_weight, data.clicked)[self._at]
        self.history_codes, self.sampler = data.history_codes, sampler
        has_click = np.zeros(len(groups), dtype=bool)
        has_click[self._group_of_row[data.row_of_candidate(self._at)]] = True
        self.n_skipped = int((~has_click).sum())

    def __len__(self) -> int:
        return len(self._at)

    def row_of_example(self) -> np.ndarray:
        """Return the row of X of each example."""
        return self._data.row_of_candidate(self._at)

    def row_weight(self, rows: np.ndarray) -> np.ndarray:
        """Return the weights of the rows of X that some examples belong to."""
        return self._weight[self._data.row_of_candidate(self._at[rows])]

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> ExampleBatch:
        """Draw the examples of some rows, whose first candidate is the click."""
        data, at = self._data, self._at[rows]
        row = data.row_of_candidate(at)
        history = data.history_of_row[row]
        clicks, not_clicked = self._shown_with(row)
        n_shown = np.bincount(not_clicked[0], minlength=len(rows))
        n = self.sampler.n_negatives
        n_chosen = min(n, int(n_shown.max(initial=0)))
        shown, shown_mask = _choose(*not_clicked, len(rows), n_chosen, rng)
        need = n - shown_mask.sum(axis=1)
        if self.sampler.takes_all:  # items that were shown are better negatives than all others
            need[n_shown > 0] = 0
        forbidden = self._forbidden(history, clicks, shown, shown_mask)
        click = data.candidate_codes[at]
        hard, sampled = self.sampler.choose(pool, need, click, forbidden)
        used = shown_mask.any(axis=0)  # drops columns of padding, which are on the right
        return with_negatives(
            click,
            shown[:, used],
            shown_mask[:, used],
            sampled,
            (data.history_offsets[history], data.history_offsets[history + 1]),
            self._weight[row] * self._click_weight[rows],
            self._user_context[row],
            hard,
        )

    def _shown_with(self, row: np.ndarray) -> tuple[RowCodes, RowCodes]:
        """Return the clicked and the other items in the group of each row.

        Parameters
        ----------
        row : ndarray of int64, shape (B,)
            Rows of X.

        Returns
        -------
        clicked : tuple of (ndarray, ndarray)
            Positions in `row`, and codes of the clicked items.
        not_clicked : tuple of (ndarray, ndarray)
            Positions in `row`, ascending, and distinct codes of the other items.
        """
        assert self._data.clicked is not None
        offsets, rows = self._rows_of_group
        at, row_offsets = gather_segments(offsets, self._group_of_row[row])
        same_group = rows[at]
        at, candidate_offsets = gather_segments(self._data.candidate_offsets, same_group)
        owner = segment_ids(row_offsets)[segment_ids(candidate_offsets)]
        codes = self._data.candidate_codes[at].astype(np.int64)
        clicked = self._data.clicked[at].astype(bool)
        # the difference of sets, because an item may be shown twice and clicked once
        key = owner * self.sampler.n_items + codes
        not_clicked = np.setdiff1d(key[~clicked], key[clicked])
        return (owner[clicked], codes[clicked]), np.divmod(not_clicked, self.sampler.n_items)

    def _forbidden(
        self, history: np.ndarray, clicks: RowCodes, shown: np.ndarray, mask: np.ndarray
    ) -> RowCodes:
        """Return pairs of a row and an item that must not be sampled for it.

        Parameters
        ----------
        history : ndarray of int64, shape (B,)
            Number of each row's history.
        clicks : tuple of (ndarray, ndarray)
            Rows and codes of the clicks in their groups.
        shown : ndarray of int64, shape (B, n)
            Negatives that were already chosen.
        mask : ndarray of bool, shape (B, n)
            False for padding of `shown`.

        Returns
        -------
        rows, codes : ndarray of int64
        """
        past, past_offsets = gather_segments(self._data.history_offsets, history)
        rows = [clicks[0], segment_ids(past_offsets), np.nonzero(mask)[0]]
        codes = [clicks[1], self.history_codes[past], shown[mask]]
        return np.concatenate(rows), np.concatenate(codes)


class PairExamples:
    """Single candidates with their labels.

    Parameters
    ----------
    data : CodedInteractions
        The training rows, with clicks.
    sampler : NegativeSampler
        Sampler of the pool of negatives.
    is_part : bool, default=False
        Whether the rows are a part of all rows, so that their labels may be equal.

    Raises
    ------
    ValueError
        If all labels are equal.
    """

    n_skipped = 0

    def __init__(self, data: CodedInteractions, sampler: NegativeSampler, is_part: bool = False):
        assert data.clicked is not None
        if not is_part:
            refuse_equal_labels(len(data.clicked), int((data.clicked > 0).sum()))
        self._data, self._weight = data, weights_of(data)
        self._user_context, self.contexts = data.user_context(), data.contexts
        self._click_weight = click_weights(data.click_weight, data.clicked)
        self.history_codes, self.sampler = data.history_codes, sampler

    def __len__(self) -> int:
        return len(self._data.candidate_codes)

    def row_of_example(self) -> np.ndarray:
        """Return the row of X of each example."""
        return self._data.row_of_candidate()

    def row_weight(self, rows: np.ndarray) -> np.ndarray:
        """Return the weights of the rows of X that some examples belong to."""
        return self._weight[self._data.row_of_candidate(rows)]

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> ExampleBatch:
        """Return the examples of some rows, which have one candidate each."""
        data, row = self._data, self._data.row_of_candidate(rows)
        assert data.clicked is not None
        history = data.history_of_row[row]
        candidates = data.candidate_codes[rows].astype(np.int64)[:, None]
        return ExampleBatch(
            data.history_offsets[history],
            data.history_offsets[history + 1],
            candidates,
            np.ones_like(candidates, dtype=bool),
            data.clicked[rows].astype(np.float32)[:, None],
            np.zeros((len(rows), len(pool)), dtype=bool),
            self._weight[row] * self._click_weight[rows],
            self._user_context[row],
        )


def refuse_equal_labels(n_candidates: int, n_clicked: int) -> None:
    """Raise a ValueError if all candidates were clicked, or none."""
    if n_clicked in (0, n_candidates):
        raise ValueError(
            f"all {n_candidates} labels are {int(n_clicked > 0)}; training needs both clicked and "
            "not clicked candidates"
        )


class NextClickExamples:
    """Clicks at random positions in bare histories, with sampled negatives.

    The clicks before the position are the history of the example. No click of the whole history is
    a negative. Empty histories are skipped and counted in `n_skipped`.

    Parameters
    ----------
    data : CodedInteractions
        Bare histories.
    sampler : NegativeSampler
        Sampler of the pool of negatives.
    n_targets : int, default=1
        Number of clicks that are drawn per history.

    Raises
    ------
    ValueError
        If all histories are empty.
    """

    def __init__(self, data: CodedInteractions, sampler: NegativeSampler, n_targets: int = 1):
        filled = np.diff(data.history_offsets)[data.history_of_row] > 0
        self.history_codes = data.history_codes
        self._offsets = data.history_offsets
        self._history = data.history_of_row[filled]
        self._weight, self.contexts = weights_of(data)[filled], data.contexts
        self._user_context = data.user_context()[filled]
        self.sampler, self._n_targets = sampler, n_targets
        self.n_skipped = int((~filled).sum())
        if not len(self._history):
            raise ValueError(EMPTY_HISTORIES)

    def __len__(self) -> int:
        return len(self._history)

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> ExampleBatch:
        """Draw the examples of some rows, whose first candidate is the click."""
        rows = np.repeat(rows, self._n_targets)
        history = self._history[rows]
        ranges = self._offsets[history], self._offsets[history + 1]
        weight, user_context = self._weight[rows], self._user_context[rows]
        return next_clicks(
            self.history_codes, ranges, pool, self.sampler, weight, user_context, rng
        )


class WithHistoryTargets:
    """Examples with `n_targets` additional clicks from random positions inside each history.

    An additional click has sampled negatives, and the clicks before it as its history. Its context
    is unknown, because that of the row is later.

    Parameters
    ----------
    examples : ImpressionExamples or PairExamples
        The training set.
    n_targets : int
        Number of additional clicks per example. They have the weight of the example's row, without
        that of its click.
    """

    def __init__(self, examples: RowExamples, n_targets: int):
        self.history_codes, self.n_skipped = examples.history_codes, examples.n_skipped
        self._examples, self.sampler, self._n_targets = examples, examples.sampler, n_targets
        self.contexts = examples.contexts

    def __len__(self) -> int:
        return len(self._examples)

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> ExampleBatch:
        """Draw the examples of some rows, followed by those from inside their histories."""
        drawn = self._examples.draw(rows, pool, rng)
        owner = np.repeat(np.flatnonzero(drawn.starts < drawn.stops), self._n_targets)
        row, column = np.nonzero((drawn.labels == 1)[owner])
        clicked = row, drawn.candidates[owner[row], column]  # must not be sampled as negatives
        ranges = drawn.starts[owner], drawn.stops[owner]
        return drawn.stack(
            next_clicks(
                self.history_codes,
                ranges,
                pool,
                self.sampler,
                self._examples.row_weight(rows)[owner],
                without_context(drawn.user_context[owner]),
                rng,
                clicked,
            )
        )


def next_clicks(
    codes: np.ndarray,
    ranges: tuple[np.ndarray, np.ndarray],
    pool: Pool,
    sampler: NegativeSampler,
    weight: np.ndarray,
    user_context: np.ndarray,
    rng: np.random.Generator,
    forbidden: RowCodes | None = None,
) -> ExampleBatch:
    """Draw one click inside each history, with negatives from the pool.

    Parameters
    ----------
    codes : ndarray of int32
        Item codes of all histories, oldest click first.
    ranges : tuple of (ndarray of int64, shape (B,), ndarray of int64, shape (B,))
        Starts and stops of the histories in `codes`. No history is empty.
    pool : ndarray of int64, shape (S,)
        Items that were sampled for the batch.
    sampler : NegativeSampler
        Sampler that drew the pool.
    weight : ndarray of float64, shape (B,)
        Weight of each example.
    user_context : ndarray of int64, shape (B, 2)
        Codes of the user and the context of each example.
    rng : numpy.random.Generator
        Generator of the positions.
    forbidden : tuple of (ndarray, ndarray), default=None
        Rows and codes that must not be negatives, in addition to the clicks of each history.

    Returns
    -------
    ExampleBatch
    """
    starts, stops = ranges
    place = rng.integers(starts, stops)
    past, offsets = gather_ranges(starts, stops)
    rows, own = segment_ids(offsets), codes[past]
    if forbidden is not None:
        rows, own = np.concatenate([rows, forbidden[0]]), np.concatenate([own, forbidden[1]])
    need = np.full(len(starts), sampler.n_negatives)
    hard, sampled = sampler.choose(pool, need, codes[place], (rows, own))
    none = np.empty((len(starts), 0), dtype=np.int64)
    return with_negatives(
        codes[place], none, none.astype(bool), sampled, (starts, place), weight, user_context, hard
    )


def _choose(
    owner: np.ndarray, codes: np.ndarray, n_rows: int, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Choose up to n codes of each row, at random and without replacement.

    Parameters
    ----------
    owner : ndarray of int, shape (m,)
        Row of each code, ascending.
    codes : ndarray of int, shape (m,)
        The codes.
    n_rows : int
        Number of rows.
    n : int
        Largest number of codes per row.
    rng : numpy.random.Generator
        Generator of the choice.

    Returns
    -------
    chosen : ndarray of int64, shape (n_rows, n)
        Codes of each row, followed by padding of 0.
    mask : ndarray of bool, shape (n_rows, n)
        False for padding.
    """
    order = np.lexsort((rng.random(len(owner)), owner))
    place = np.arange(len(owner)) - offsets_of(np.bincount(owner, minlength=n_rows))[owner]
    first = place < n
    chosen = np.zeros((n_rows, n), dtype=np.int64)
    mask = np.zeros((n_rows, n), dtype=bool)
    chosen[owner[first], place[first]] = codes[order[first]]
    mask[owner[first], place[first]] = True
    return chosen, mask
