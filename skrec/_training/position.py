"""Place in an epoch, from which training continues after a process ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skrec._batch import Batch


@dataclass
class Position:
    """What was trained of an epoch so far.

    Attributes
    ----------
    start : dict
        State of the generator of shuffling and negatives before the epoch.
    n_rows : int
        Number of rows of the training set that were trained, by all processes together.
    n_targets : float
        Number of targets that were learned with these rows, by all processes together.
    loss : float
        Share of this process in the sum of the losses of these targets.
    has_negatives : bool
        Whether a row of this process had a negative.
    n_buffers : int
        Number of buffers that were trained, if the rows are streamed.
    """

    start: Mapping[str, Any]
    n_rows: int = 0
    n_targets: float = 0
    loss: float = 0.0
    has_negatives: bool = False
    n_buffers: int = 0

    def add(self, n_rows: int, loss: float, batch: Batch) -> None:
        """Note that a step of `n_rows` was taken, and the share of this process in its loss."""
        self.n_rows += n_rows
        self.n_targets += batch.n_rows
        self.loss += loss * batch.n_rows

    def rows(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return the row numbers that are left of an epoch of `n_rows`, in their random order.

        At the start of an epoch, the order is drawn from `rng`. Later, `rng` does not change.
        """
        if not self.n_rows:
            return rng.permutation(n_rows)
        before = np.random.default_rng()
        before.bit_generator.state = self.start
        return before.permutation(n_rows)[self.n_rows :]
