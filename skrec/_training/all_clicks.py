"""All clicks of all histories as training targets."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import gather_ranges, gather_segments, offsets_of, segment_ids
from skrec._training.example_batch import (
    EMPTY_HISTORIES,
    ExampleBatch,
    Examples,
    no_examples,
    rows_of_windows,
    weights_of,
)
from skrec._training.negatives import NegativeSampler, Pool
from skrec._training.overlaps import clicks_after
from skrec._training.windows import WindowBatch, cut_windows


class RowExamples(Examples, Protocol):
    """Examples that belong to rows of X."""

    def row_of_example(self) -> np.ndarray:
        """Return the row of X of each example."""
        ...

    def row_weight(self, rows: np.ndarray) -> np.ndarray:
        """Return the weights of the rows of X that some examples belong to."""
        ...


class AllClicks:
    """All clicks of all histories as targets, in addition to the examples of impressions or pairs.

    Each distinct pair of a history and a user is learned once per epoch. Its weight is the sum of
    the weights of its rows if the rows are bare histories, and their mean otherwise, because the
    rows then have clicks of their own. No click of a whole history is a negative.

    Bare histories are learned once per context of their rows, which counts for all of their clicks.
    The histories of impressions and pairs are learned without context, because the context of a row
    is that of its candidates; the clicks before it had others.

    A history of impressions or pairs that goes on in the history of another row is not learned, so
    that a log that is exported as sliding prefixes is learned once.

    Parameters
    ----------
    data : CodedInteractions
        The training rows.
    sampler : NegativeSampler
        Sampler of the pool of negatives.
    max_history : int
        Number of clicks that are read from a history. Longer histories are cut into windows, so
        that each click is a target once.
    one_pass : bool
        Whether to return windows, whose clicks the network predicts in one pass. Otherwise each
        click is an example of its own.
    examples : ImpressionExamples or PairExamples, default=None
        Examples of the rows. None for bare histories.

    Raises
    ------
    ValueError
        If all histories are empty and there are no other examples.
    """

    def __init__(
        self,
        data: CodedInteractions,
        sampler: NegativeSampler,
        max_history: int,
        one_pass: bool,
        examples: RowExamples | None = None,
    ):
        self.history_codes, self.sampler = data.history_codes, sampler
        self._examples, self._length, self._one_pass = examples, max_history + 1, one_pass
        read = data if examples is None else replace(data, context_of_row=None)
        history, self._user_context, pair_of_row = read.distinct_readers()
        self.contexts = data.contexts
        self._starts, self._stops = data.history_offsets[history], data.history_offsets[history + 1]
        n_rows = np.bincount(pair_of_row)
        weight = np.bincount(pair_of_row, weights_of(data))
        self._weight = weight if examples is None else weight / n_rows
        filled = self._stops > self._starts
        if examples is None:
            self.n_skipped = int(n_rows[~filled].sum())
            self._pairs = np.flatnonzero(filled)
            if not len(self._pairs):
                raise ValueError(EMPTY_HISTORIES)
            self._pair_offsets = np.arange(len(self._pairs) + 1)
            return
        self.n_skipped = examples.n_skipped
        # a history is learned along with the first example that has it
        pairs, first = np.unique(pair_of_row[examples.row_of_example()], return_index=True)
        goes_on = np.zeros(len(history), dtype=bool)
        goes_on[pair_of_row[clicks_after(data) > 0]] = True
        learned = (filled & ~goes_on)[pairs]
        pairs, first = pairs[learned], first[learned]
        self._pairs = pairs[np.argsort(first)]
        self._pair_offsets = offsets_of(np.bincount(first, minlength=len(examples)))

    def __len__(self) -> int:
        return len(self._pairs) if self._examples is None else len(self._examples)

    def draw(self, rows: np.ndarray, pool: Pool, rng: np.random.Generator) -> ExampleBatch:
        """Draw the examples of some rows, with the windows of their histories."""
        drawn = no_examples(len(pool))
        if self._examples is not None:
            drawn = self._examples.draw(rows, pool, rng)
        at, offsets = gather_segments(self._pair_offsets, rows)
        pairs = self._pairs[at]
        starts, stops = self._starts[pairs], self._stops[pairs]
        past, past_offsets = gather_ranges(starts, stops)
        owner, codes = segment_ids(past_offsets), self.history_codes[past]
        if self._examples is not None:  # clicks on candidates are no negatives either
            row = segment_ids(offsets)
            own, column = np.nonzero((drawn.labels == 1)[row])
            owner = np.concatenate([owner, own])
            codes = np.concatenate([codes, drawn.candidates[row[own], column]])
        need = np.full(len(pairs), self.sampler.n_negatives)
        allowed = self.sampler.fill(pool, need, owner, codes)
        history, starts, stops = cut_windows(starts, stops, self._length)
        windows = WindowBatch(
            starts,
            stops,
            starts == self._starts[pairs][history],
            allowed[history],
            self._weight[pairs][history],
            self._user_context[pairs][history],
        )
        if self.sampler.hard is not None:
            window, _, places = windows.targets()
            clicks = self.history_codes[places]
            hard = self.sampler.hard.of(clicks, history[window], (owner, codes))
            windows = replace(windows, hard=hard)
        if self._one_pass:
            return replace(drawn, windows=windows)
        return drawn.stack(rows_of_windows(windows, self.history_codes, pool))
