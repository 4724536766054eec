"""Checkpoints of `fit`, from which the same call continues after its process ended."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import torch

from skrec._common.messages import warn
from skrec._training import snapshot
from skrec._training.processes import ONE_PROCESS, Processes
from skrec._training.same_everywhere import differences, first_vectors, vectors_are_equal

MINUTES = re.compile(r"(\d+(?:\.\d+)?) minutes?")
VECTORS = "first_vectors"


class Store(Protocol):
    """Where a checkpoint is kept."""

    name: str

    def open(self) -> dict[str, Any] | None:
        """Return the values of the checkpoint, or None if there is none; make it writable."""
        ...

    def read(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the checkpoint."""
        ...

    def write(self, about: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        """Replace the checkpoint."""
        ...


class Checkpoint:
    """The checkpoint of one fit, which process 0 reads and writes.

    A step after which the processes agree whether a checkpoint is due is a meeting. All of them
    know the next one. If checkpoints are due by the clock of process 0, meetings are so frequent
    that none comes late by more than a fraction of the time, and rare when it is far.

    Parameters
    ----------
    store : Store
        Used by process 0 only.
    every : int or str
        Steps between checkpoints, or minutes such as "10 minutes".
    processes : Processes, default=Processes()
        The processes that train together.

    Attributes
    ----------
    found : dict or None
        Values of the checkpoint from which training continues.

    Raises
    ------
    ValueError
        If `every` is invalid.
    """

    def __init__(self, store: Store, every: int | str, processes: Processes = ONE_PROCESS):
        self._n_steps, self._seconds = _parsed(every)
        self._store, self._processes = store, processes
        self._next = self._n_steps or 1  # number of steps at the next meeting
        self._gap = 1  # steps between the last meetings by the clock
        self._inputs: dict[str, Any] = {}
        self._vectors: torch.Tensor | None = None
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self.found = processes.first(self._opened, "the checkpoint")
        self._started = self._written = time.monotonic()

    def _opened(self) -> dict[str, Any] | None:
        return self._store.open() if self._processes.rank == 0 else None

    def begin(self, own: Mapping[str, str], seed: list[int]) -> list[int]:
        """Compare the inputs of this fit with those of the checkpoint, and return its seed.

        Parameters
        ----------
        own : dict of str to str
            A text for each input, equal in all processes.
        seed : list of int
            Seed of this fit, if there is no checkpoint.

        Returns
        -------
        list of int

        Raises
        ------
        ValueError
            If the checkpoint is of other inputs. The message names what differs.
        """
        if self.found is not None:
            different = differences(self.found["inputs"], dict(own), "there", "here")
            if different:
                raise self._other(f"of another training: {different}")
            seed = self.found["seed"]
        self._inputs = {"inputs": dict(own), "seed": [int(each) for each in seed]}
        return seed

    def _other(self, why: str) -> ValueError:
        return ValueError(
            f"the checkpoint in '{self._store.name}' is {why}. To continue it, pass what it was "
            "begun with; to train anew, delete this folder or pass another one"
        )

    def attach(self, trainer: Any) -> None:
        """Keep the state of a new trainer from now on, which first gets that of the checkpoint.

        Raises
        ------
        ValueError
            If the items were prepared differently.
        """
        trainer.checkpoint = self
        self._vectors = torch.from_numpy(first_vectors(trainer.network, trainer.packed))
        if self.found is None:
            return
        tensors = self._processes.from_first(self._store.read, "the checkpoint")
        before = tensors.pop(VECTORS)
        if not vectors_are_equal(before.numpy(), self._vectors.numpy()):
            raise self._other(
                "of items that were prepared differently. Give transformers an int as random_state"
            )
        self._vectors = before
        snapshot.restore(trainer, self.found, tensors)

    def describe(self, trainer: Any) -> str:
        """Return one line that says where training continues."""
        n_epochs, n_steps = len(trainer.losses), trainer.n_steps
        if trainer.finished or (self.found or {})["stopped"]:
            return f"the checkpoint has the model after {n_epochs} epochs; training had ended"
        step = n_steps - trainer.n_left + 1
        return f"continuing from the checkpoint: epoch {n_epochs + 1}, step {step}/{n_steps}"

    def is_expected(self, stepper: Any) -> bool:
        """Whether the processes meet before the next step."""
        return stepper.is_between and stepper.n_taken >= self._next

    def after_step(self, trainer: Any) -> None:
        """Write a checkpoint if one is due. All processes call this after each batch."""
        if self.is_expected(trainer.stepper):
            self._meet(trainer, stopped=False)

    def after_buffer(self, trainer: Any) -> None:
        """Write a checkpoint if one is due. All processes call this between two buffers."""
        if trainer.stepper.n_taken >= self._next:
            self._meet(trainer, stopped=False)

    def after_epoch(self, trainer: Any, stopped: bool) -> None:
        """Write a checkpoint if one is due or training ends. All processes call this.

        Parameters
        ----------
        trainer : Trainer
        stopped : bool
            Whether a callback has stopped training.
        """
        ends = stopped or trainer.finished
        if ends or trainer.stepper.n_taken >= self._next:
            self._meet(trainer, stopped, ends)

    def _meet(self, trainer: Any, stopped: bool, ends: bool = False) -> None:
        """Agree whether a checkpoint is due, and write it."""
        n_taken = trainer.stepper.n_taken
        own = self._processes.gathered(
            lambda: (self._due(n_taken), snapshot.own_part(trainer)), "a checkpoint"
        )
        (is_due, gap), _ = own[0]
        self._next, self._gap = n_taken + gap, gap
        if is_due or ends:
            parts = [part for _, part in own]
            with trainer.without_shards():
                moments = trainer.moments()  # shards of them are exchanged
                write = partial(self._start_writing, trainer, moments, parts, stopped)
                self._processes.each(write, "a checkpoint")

    def _due(self, n_taken: int) -> tuple[bool, int]:
        """Return whether a checkpoint is due, and the number of steps until the next meeting."""
        if self._n_steps:
            return n_taken >= self._next, self._n_steps
        now = time.monotonic()
        is_due = now - self._written >= self._seconds
        left = self._seconds - (0 if is_due else now - self._written)
        rate = n_taken / max(now - self._started, 1e-9)
        return is_due, max(1, min(2 * self._gap, int(left * rate)))

    def _start_writing(
        self,
        trainer: Any,
        moments: dict[str, Any],
        parts: list[dict[str, Any]],
        stopped: bool,
    ) -> None:
        """Copy the state, and write it in a thread, after the previous one has ended."""
        if self._processes.rank:
            return
        self.wait()
        about, tensors = snapshot.take(trainer, moments, parts, stopped)
        about |= self._inputs
        if self._vectors is not None:
            tensors[VECTORS] = self._vectors

        def write() -> None:
            try:
                self._store.write(about, tensors)
            except Exception as error:  # raised in the thread, where nobody would see it
                self._error = error

        self._written = time.monotonic()
        self._thread = threading.Thread(target=write, name="skrec checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Wait until the checkpoint is written.

        Warns
        -----
        UserWarning
            If it could not be written. Training goes on, and the previous checkpoint remains.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            warn(f"the checkpoint in '{self._store.name}' could not be written: {error}")


@contextmanager
def keeping(
    store: Store | None, every: int | str, processes: Processes
) -> Iterator[Checkpoint | None]:
    """Keep a checkpoint during a block, at whose end it is written; see `Checkpoint`.

    Yields
    ------
    Checkpoint or None
        None if there is no store.
    """
    if store is None:
        yield None
        return
    checkpoint = Checkpoint(store, every, processes)
    try:
        yield checkpoint
    finally:
        checkpoint.wait()


def _parsed(every: Any) -> tuple[int, float]:
    """Return the steps and the seconds between checkpoints, one of which is 0."""
    if isinstance(every, int) and not isinstance(every, bool) and every > 0:
        return every, 0.0
    found = MINUTES.fullmatch(every) if isinstance(every, str) else None
    if found and float(found[1]) > 0:
        return 0, 60 * float(found[1])
    raise ValueError(
        "checkpoint_every must be a positive int, the number of steps, or minutes such as "
        f"'10 minutes', got {every!r}"
    )
