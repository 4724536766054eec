"""Rows of X as item codes and offsets: the input of training and inference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skrec._data.keys import distinct_rows
from skrec._data.ragged import gather_segments, keep_elements, segment_ids, take_segments


@dataclass(frozen=True, eq=False)
class CodedInteractions:
    """Rows of X as item codes.

    The n rows have H distinct histories, each of which is stored once, and P candidates in total.

    Attributes
    ----------
    kind : {"impressions", "pairs", "histories"}
        Kind of the rows.
    history_offsets : ndarray of int64, shape (H + 1,)
        Offsets of the histories in `history_codes`.
    history_codes : ndarray of int32, shape (history_offsets[-1],)
        Items of the histories, oldest click first.
    history_of_row : ndarray of int64, shape (n,)
        Number of each row's history.
    candidate_offsets : ndarray of int64, shape (n + 1,)
        Offsets of the rows in `candidate_codes`.
    candidate_codes : ndarray of int32, shape (P,)
        Candidates of the rows. Bare histories have none.
    clicked : ndarray of int8, shape (P,), or None
        Label 0/1 of each candidate.
    group_of_row : ndarray of int64, shape (n,), or None
        Group of each row. Candidates are ranked within a group, which is given by `impression_id`.
        Without that column, each impression is a group, and pairs have no groups. Bare histories
        never have groups.
    time : ndarray of float64, shape (n,), or None
        Time of each row.
    weight : ndarray of float64, shape (n,), or None
        Training weight of each row. None means equal weights.
    user_of_row : ndarray of int64, shape (n,), or None
        Code of each row's user: 1 and up for known users, 0 for unknown ones. None if the behavior
        operator has no user vectors.
    click_weight : ndarray of float64, shape (P,), or None
        How much each click counts; 0 for candidates that were not clicked. None means equally.
    contexts : ndarray of float32, shape (n_contexts, F), or None
        Distinct contexts of the rows as features. The first one has zeros only: it is the unknown
        context. None if the recommender has no context.
    context_of_row : ndarray of int64, shape (n,), or None
        Number of each row's context. None if there are no contexts.
    """

    kind: str
    history_offsets: np.ndarray
    history_codes: np.ndarray
    history_of_row: np.ndarray
    candidate_offsets: np.ndarray
    candidate_codes: np.ndarray
    clicked: np.ndarray | None = None
    group_of_row: np.ndarray | None = None
    time: np.ndarray | None = None
    weight: np.ndarray | None = None
    user_of_row: np.ndarray | None = None
    click_weight: np.ndarray | None = None
    contexts: np.ndarray | None = None
    context_of_row: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows of X."""
        return len(self.history_of_row)

    def users(self) -> np.ndarray:
        """Return the code of each row's user, of shape (n,); 0 if there are no known users."""
        return np.zeros(self.n_rows, np.int64) if self.user_of_row is None else self.user_of_row

    def user_context(self) -> np.ndarray:
        """Return the codes of each row's user and context, of shape (n, 2).

        0 is the unknown user, and the unknown context.
        """
        users, contexts = self.users(), self.context_of_row
        return np.stack([users, np.zeros_like(users) if contexts is None else contexts], axis=1)

    def distinct_readers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the M distinct readers: histories with a user and a context.

        Returns
        -------
        histories : ndarray of int64, shape (M,)
            Number of the history of each reader, ascending. Readers who differ in their context
            only follow each other.
        user_context : ndarray of int64, shape (M, 2)
            Codes of the user and the context of each reader.
        reader_of_row : ndarray of int64, shape (n,)
            Position of each row's reader.
        """
        histories, users, pair_of_row = self.history_user_pairs()
        if self.context_of_row is None:
            return histories, np.stack([users, np.zeros_like(users)], axis=1), pair_of_row
        (pair, context), of_row = distinct_rows(pair_of_row, self.context_of_row)
        return histories[pair], np.stack([users[pair], context], axis=1), of_row

    def history_user_pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the M distinct pairs of a history and a user, which have one user vector each.

        Returns
        -------
        histories, users : ndarray of int64, shape (M,)
            Number of the history and code of the user of each pair.
        pair_of_row : ndarray of int64, shape (n,)
            Position of each row's pair.
        """
        (histories, users), pair_of_row = distinct_rows(self.history_of_row, self.users())
        return histories, users, pair_of_row

    def row_of_candidate(self, at: np.ndarray | None = None) -> np.ndarray:
        """Return the row of each candidate (P,), or of the candidates at some positions."""
        if at is None:
            return segment_ids(self.candidate_offsets)
        return np.searchsorted(self.candidate_offsets, at, side="right") - 1

    def gains(self) -> np.ndarray:
        """Return the weights of clicks (P,), or the labels if all weights are equal."""
        assert self.clicked is not None
        return self.clicked if self.click_weight is None else self.click_weight

    def history_positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of each row's clicks in `history_codes`, and offsets (n + 1,)."""
        return gather_segments(self.history_offsets, self.history_of_row)

    def without_last_click(self) -> tuple[CodedInteractions, np.ndarray]:
        """Remove the last click from each history, for evaluation on bare histories.

        Returns
        -------
        data : CodedInteractions
            The rows whose history is not empty, without the last click.
        target : ndarray of int32, shape (n_kept,)
            The last clicks.
        """
        kept = self.take(np.flatnonzero(np.diff(self.history_offsets)[self.history_of_row]))
        at, offsets = kept.history_positions()
        is_last = np.zeros(len(at), dtype=bool)
        is_last[offsets[1:] - 1] = True
        codes = self.history_codes[at]
        shorter = replace(
            kept,
            history_offsets=offsets - np.arange(len(offsets)),
            history_codes=codes[~is_last],
            history_of_row=np.arange(kept.n_rows),
        )
        return shorter, codes[is_last]

    def take(self, rows: np.ndarray) -> CodedInteractions:
        """Return some rows; the arrays of distinct histories are shared, not copied.

        Parameters
        ----------
        rows : ndarray of int
            Row numbers.

        Returns
        -------
        CodedInteractions
        """
        return replace(
            self._with_candidates(take_segments, rows),
            history_of_row=self.history_of_row[rows],
            group_of_row=None if self.group_of_row is None else self.group_of_row[rows],
            time=None if self.time is None else self.time[rows],
            weight=None if self.weight is None else self.weight[rows],
            user_of_row=None if self.user_of_row is None else self.user_of_row[rows],
            context_of_row=None if self.context_of_row is None else self.context_of_row[rows],
        )

    def keep_candidates(self, kept: np.ndarray) -> CodedInteractions:
        """Return all rows with the candidates that are true in a mask (P,)."""
        return self._with_candidates(keep_elements, kept)

    def _with_candidates(
        self, choose: Callable[..., tuple[np.ndarray, ...]], which: np.ndarray
    ) -> CodedInteractions:
        """Apply `take_segments` or `keep_elements` to the candidates, their labels and weights."""
        names = ["candidate_codes", "clicked", "click_weight"]
        names = [name for name in names if getattr(self, name) is not None]
        values = [getattr(self, name) for name in names]
        offsets, *chosen = choose(self.candidate_offsets, which, *values)
        arrays: dict[str, Any] = dict(zip(names, chosen, strict=True))
        return replace(self, candidate_offsets=offsets, **arrays)
