"""The training loop on rows that are read from files, one buffer after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from skrec._batch import Batch
from skrec._training.batches import iterate_batches
from skrec._training.example_batch import Examples
from skrec._training.position import Position
from skrec._training.streamed_rows import StreamedExamples
from skrec._training.trainer import Report, Trainer


class StreamTrainer(Trainer):
    """Trainer of streamed rows, of which each process has its own.

    The processes agree on the number of steps of each buffer, which is that of the process with
    the most examples. The others have no rows in its last steps. In a step, each process takes
    `batch_size` examples of its buffer, and the mean over all of them is learned. If the clicks
    inside of histories are targets, the mean counts each process by its number of histories.

    Checkpoints are written between buffers. The number of steps of an epoch, on which schedules of
    the learning rate and progress depend, is an estimate if there are several buffers.
    """

    examples: StreamedExamples  # type: ignore[assignment]

    def _count_steps(self) -> int:
        return self.examples.rows.n_buffers * self._n_per_buffer

    @property
    def _n_per_buffer(self) -> int:
        """Number of steps of a buffer, about."""
        return max(1, -(-self.examples.n_per_buffer // self.plan.batch_size))

    @property
    def n_left(self) -> int:
        """Number of batches that are left of the epoch, about."""
        n_done = 0 if self.position is None else self.position.n_buffers
        return self.n_steps - n_done * self._n_per_buffer

    @property
    def n_agreed(self) -> int:
        """Number of batches for which the processes wait when an epoch begins."""
        return 0  # they exchange the size of the first buffer

    def _meets_next(self) -> bool:
        return False  # not inside of a buffer

    def _train_epoch(self, at: Position, report: Report | None) -> tuple[float, bool]:
        n_buffers, processes = self.examples.rows.n_buffers, self.processes
        buffers = self.examples.buffers(_seed(at), at.n_buffers)
        for number in range(at.n_buffers, n_buffers):
            own: list[Examples | None] = []
            sizes = processes.gathered(partial(_load, buffers, own), "the next rows")
            n_targets = self._train_buffer(own.pop(), sizes, at, report)
            at.n_targets += sum(processes.gathered(partial(int, n_targets), "a buffer's targets"))
            at.n_rows += sum(sizes)
            at.n_buffers = number + 1
            if self.checkpoint is not None and at.n_buffers < n_buffers:
                self.checkpoint.after_buffer(self)
        if report is not None:
            report(self.n_steps, self.n_steps)
        return at.loss / at.n_targets, at.has_negatives

    def _train_buffer(
        self, examples: Examples | None, sizes: list[int], at: Position, report: Report | None
    ) -> int:
        """Train on one buffer, of which each process has some number of examples.

        Returns
        -------
        int
            Number of targets of this process.
        """
        size, processes = self.plan.batch_size, self.processes
        n_steps = -(-max(sizes) // size)
        seed = int(self.rng.integers(2**63)) if processes.n > 1 else 0
        # with one process, the generator goes on as if all rows were in memory
        rng = np.random.default_rng([seed, processes.rank]) if processes.n > 1 else self.rng
        batches: Iterator[Batch] = iter(())
        if examples is not None:
            batches = iterate_batches(examples, size, self.plan.max_history, rng)
        self.stepper.start_steps(n_steps)
        first, n_targets = at.n_buffers * self._n_per_buffer + 1, 0
        for step in range(n_steps):
            in_step = [min(max(each - step * size, 0), size) for each in sizes]
            with processes.interruptible():
                n_targets += self._add_share(batches, in_step, first + step, at)
            self.stepper.flush_if_due()
            if report is not None:
                report(min(first + step, self.n_steps - 1), self.n_steps)
        self.stepper.flush()
        return n_targets

    def _add_share(
        self, batches: Iterator[Batch], in_step: list[int], step: int, at: Position
    ) -> int:
        """Add the gradients of the share of this process in a step.

        Parameters
        ----------
        batches : iterator of Batch
            The batches of this process.
        in_step : list of int
            Number of examples of each process in the step.
        step : int
            Number of the step in the epoch, about.
        at : Position

        Returns
        -------
        int
            Number of targets of this process.
        """
        own = in_step[self.processes.rank]
        if not own:
            self._add(None, step, at)
            return 0
        batch = next(batches)
        share = own / sum(in_step)
        loss = self._add(replace(batch, n_rows=len(batch) / share), step, at)
        at.loss += loss * len(batch) / share
        return len(batch)


def _seed(at: Position) -> int:
    """Return the seed of the order of the files in an epoch, the same in all processes."""
    rng = np.random.default_rng()
    rng.bit_generator.state = at.start
    return int(rng.integers(2**63))


def _load(buffers: Iterator[Examples | None], kept: list[Examples | None]) -> int:
    """Read the next buffer, keep it, and return its number of examples."""
    kept.append(next(buffers))
    return 0 if kept[0] is None else len(kept[0])
