"""Validation that several processes share out: each scores a part of the held-out rows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from skrec._data.coded import CodedInteractions
from skrec._inference.scorer import Scorer
from skrec._inference.top_k import rank_last_click
from skrec._training.processes import ONE_PROCESS, Processes
from skrec.metrics import Ranking


@dataclass(frozen=True)
class SharedScorer(Scorer):
    """Scorer whose scores of candidates and ranks of last clicks several processes compute.

    All processes call the same methods with the same rows, and get the same results.

    Attributes
    ----------
    processes : Processes
    """

    processes: Processes = ONE_PROCESS

    def score_candidates(self, data: CodedInteractions) -> np.ndarray:
        """Return the scores (P,) of the candidates of impressions or pairs."""
        rows = self._own_rows(data.n_rows)

        def own() -> np.ndarray:
            part = data.take(np.arange(rows.start, rows.stop))
            return super(SharedScorer, self).score_candidates(part)

        return np.concatenate(self.processes.gathered(own, "scores of held-out rows"))

    def _ranking(self, data: CodedInteractions, target: np.ndarray) -> Ranking:
        """Rank the target of each row; see `rank_last_click`."""
        rows = self._own_rows(data.n_rows)

        def own() -> tuple[np.ndarray, ...]:
            part = data.take(np.arange(rows.start, rows.stop))
            found = rank_last_click(self.blocks(part), part, target[rows])
            return found.sizes, found.before, found.length

        parts = self.processes.gathered(own, "ranks of held-out clicks")
        sizes, before, length = map(np.concatenate, zip(*parts, strict=True))
        one, none = np.ones_like(sizes), np.zeros_like(sizes)
        return Ranking(sizes, one, np.arange(len(sizes)), before, length, none, one)

    def _own_rows(self, n_rows: int) -> slice:
        """Return the rows that this process scores."""
        rank, n = self.processes.rank, self.processes.n
        return slice(n_rows * rank // n, n_rows * (rank + 1) // n)


def shared(scorer: Scorer, processes: Processes) -> Scorer:
    """Return a scorer whose work several processes share out; with one process, the same scorer."""
    if processes.n == 1:
        return scorer
    own: dict[str, Any] = {each.name: getattr(scorer, each.name) for each in fields(scorer)}
    return SharedScorer(**own, processes=processes)
