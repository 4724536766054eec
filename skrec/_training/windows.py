"""Windows of histories, in which each click is predicted from the clicks before it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from skrec._data.ragged import gather_ranges, segment_ids


@dataclass(frozen=True)
class WindowBatch:
    """The M windows of one batch. Each click of a window is a target, except its first one.

    Parameters
    ----------
    starts, stops : ndarray of int64, shape (M,)
        Range of each window in `Examples.history_codes`.
    is_first : ndarray of bool, shape (M,)
        Whether a window is the beginning of its history. Its first click is then a target too,
        which is predicted from an empty history.
    allowed : ndarray of bool, shape (M, S)
        Mask of the items of the batch's pool that may be negatives of a window's clicks.
    weight : ndarray of float64, shape (M,)
        Weight of each target in the loss.
    user_context : ndarray of int64, shape (M, 2)
        Codes of the user and the context of each window.
    hard : ndarray of int64, shape (T, n_hard), or None
        Codes of the hard negatives of each target; -1 where there is none.
    """

    starts: np.ndarray
    stops: np.ndarray
    is_first: np.ndarray
    allowed: np.ndarray
    weight: np.ndarray
    user_context: np.ndarray
    hard: np.ndarray | None = None

    def take(self, rows: slice) -> WindowBatch:
        """Return the windows of a slice."""
        names = [field.name for field in fields(self) if field.name != "hard"]
        hard = self.hard
        if hard is not None:
            taken = np.zeros(len(self.starts), dtype=bool)
            taken[rows] = True
            hard = hard[taken[self.targets()[0]]]
        return replace(self, hard=hard, **{name: getattr(self, name)[rows] for name in names})

    def targets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the targets of all windows.

        Returns
        -------
        window : ndarray of int64, shape (T,)
            Number of the window of each target, ascending.
        starts : ndarray of int64, shape (T,)
            Start of the history of each target in `Examples.history_codes`.
        places : ndarray of int64, shape (T,)
            Place of each target in `Examples.history_codes`, where its history ends.
        """
        places, offsets = gather_ranges(self.starts + ~self.is_first, self.stops)
        window = segment_ids(offsets)
        return window, self.starts[window], places

    def n_targets(self) -> int:
        """Return the number of targets, T."""
        return int((self.stops - self.starts - ~self.is_first).sum())


def cut_windows(
    starts: np.ndarray, stops: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut histories into windows, so that each click is a target of exactly one of them.

    A window overlaps the next one by one click, which is a target of the earlier window.

    Parameters
    ----------
    starts, stops : ndarray of int64, shape (H,)
        Ranges of the histories.
    length : int
        Largest number of clicks per window, at least 2.

    Returns
    -------
    history : ndarray of int64, shape (M,)
        Number of the history of each window.
    starts, stops : ndarray of int64, shape (M,)
        Ranges of the windows, oldest first in each history. The last window of a history has the
        latest `length` clicks.
    """
    n = np.maximum(-(-(stops - starts - 1) // (length - 1)), 1) * (stops > starts)
    history = np.repeat(np.arange(len(starts)), n)
    offsets = np.concatenate([[0], np.cumsum(n)])
    later = offsets[1:][history] - 1 - np.arange(len(history))  # number of windows after this one
    ends = stops[history] - later * (length - 1)
    return history, np.maximum(starts[history], ends - length), ends
