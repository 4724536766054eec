"""Rows of X as item codes and offsets: what training and prediction read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skrec._data.ragged import gather_segments, keep_elements, segment_ids, take_segments


@dataclass(frozen=True, eq=False)
class CodedInteractions:
    """Rows of X as item codes; H distinct histories, n rows, P candidates in all.

    Attributes
    ----------
    kind : {"impressions", "pairs", "histories"}
        What a row is.
    history_offsets : ndarray of int64, shape (H + 1,)
    history_codes : ndarray of int32, shape (history_offsets[-1],)
        The distinct histories, oldest click first.
    history_of_row : ndarray of int64, shape (n,)
    candidate_offsets : ndarray of int64, shape (n + 1,)
    candidate_codes : ndarray of int32, shape (P,)
        Empty for bare histories.
    clicked : ndarray of int8, shape (P,), or None
    group_of_row : ndarray of int64, shape (n,), or None
        What ranks together: `impression_id`, else the row; None for pairs without one.
    time : ndarray of float64, shape (n,), or None
    weight : ndarray of float64, shape (n,), or None
        What each row counts in training; None for all alike.
    user_of_row : ndarray of int64, shape (n,), or None
        Codes of known users from 1 up, 0 for unknown ones; None where nothing reads them.
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

    @property
    def n_rows(self) -> int:
        """Number of rows of X."""
        return len(self.history_of_row)

    def users(self) -> np.ndarray:
        """Return the user of each row, of shape (n,)."""
        return np.zeros(self.n_rows, np.int64) if self.user_of_row is None else self.user_of_row

    def readers(self, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find the distinct pairs of a history and a user, who have the same user vector.

        Parameters
        ----------
        rows : ndarray of int, shape (m,), default=None
            Rows to look at; None for all.

        Returns
        -------
        histories, users : ndarray of int64, shape (H,)
        inverse : ndarray of int64, shape (m,)
            Which of them each row has.
        """
        history, user = self.history_of_row, self.users()
        if rows is not None:
            history, user = history[rows], user[rows]
        size = int(user.max(initial=0)) + 1
        key, inverse = np.unique(history * size + user, return_inverse=True)
        return key // size, key % size, inverse

    def row_of_candidate(self, at: np.ndarray | None = None) -> np.ndarray:
        """Return the row of each candidate (P,), or of those at some positions."""
        if at is None:
            return segment_ids(self.candidate_offsets)
        return np.searchsorted(self.candidate_offsets, at, side="right") - 1

    def history_positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where in `history_codes` each row's clicks are, and offsets (n + 1,)."""
        return gather_segments(self.history_offsets, self.history_of_row)

    def without_last_click(self) -> tuple[CodedInteractions, np.ndarray]:
        """Split each row's last click off, leaving out rows without any.

        Returns
        -------
        data : CodedInteractions
            The rows, with histories that end before it.
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
        """Return some rows; the distinct histories are shared with this object.

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
        )

    def keep_candidates(self, kept: np.ndarray) -> CodedInteractions:
        """Return the rows with some of their candidates, as a mask (P,) says."""
        return self._with_candidates(keep_elements, kept)

    def _with_candidates(self, choose: Callable, which: np.ndarray) -> CodedInteractions:
        values = [self.candidate_codes] + ([] if self.clicked is None else [self.clicked])
        offsets, codes, *clicked = choose(self.candidate_offsets, which, *values)
        return replace(
            self,
            candidate_offsets=offsets,
            candidate_codes=codes,
            clicked=clicked[0] if clicked else None,
        )
