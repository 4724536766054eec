"""The training loop with early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skrec._batch import Batch
from skrec._common.messages import warn
from skrec._common.random import TorchGenerator
from skrec._data.packed import Packed
from skrec._network import TOKEN_BUDGET, Network, device_of
from skrec._training.advice import advice, memory_advice
from skrec._training.batches import iterate_batches
from skrec._training.examples import Examples
from skrec._training.plan import Plan
from skrec._training.position import Position
from skrec._training.processes import ONE_PROCESS, Processes
from skrec._training.sharded import ShardedModel, sharded_model
from skrec._training.stepper import Stepper

NO_NEGATIVES = (
    "no click has a negative, so there is nothing to learn: all other items of the catalogue are "
    "in the history or were clicked in the same impression. Add items to the catalogue, or "
    "candidates that were not clicked"
)
Report = Callable[[int, int], None]


class Trainer:
    """Training of a network, epoch by epoch, with a copy of the best weights.

    The network is in training mode only while its weights are trained.

    Parameters
    ----------
    network : Network
        The network, which is trained in place.
    packed : Packed
        The prepared catalogue, on the network's device.
    examples : Examples
        The training set.
    plan : Plan
        Loss and hyperparameters.
    rng : numpy.random.Generator
        Generator of shuffling and negatives.
    validate : callable, default=None
        Function that returns the validation score; higher is better. NaN is never the best score.
    processes : Processes, default=Processes()
        Processes that share each step.
    moments : dict of str to dict, default=None
        Optimizer state of each weight, if training is resumed; see `Stepper.moments`.
    generator : TorchGenerator, default=None
        Random generator of dropout.

    Attributes
    ----------
    losses, scores : list of float
        Mean loss and validation score of each epoch.
    best_score : float
        Best validation score; NaN if there is none.
    start_score : float
        Validation score before training; NaN if there is none.
    n_steps : int
        Number of steps per epoch.
    position : Position or None
        Place in the current epoch; None between epochs.
    best_epoch : int
        Number of epochs after which the score was best.
    best_weights : dict of str to tensor, or None
        Copy of the weights with the best score.
    checkpoint : Checkpoint or None
        What keeps the state of this trainer, and is called after each step.
    """

    def __init__(
        self,
        network: Network,
        packed: Packed,
        examples: Examples,
        plan: Plan,
        rng: np.random.Generator,
        validate: Callable[[], float] | None = None,
        processes: Processes = ONE_PROCESS,
        moments: dict[str, dict[str, torch.Tensor]] | None = None,
        generator: TorchGenerator | None = None,
    ):
        self.network, self.packed, self.examples = network, packed, examples
        self.generator = generator or TorchGenerator(device_of(network))
        self.plan, self.rng = plan, rng
        self.validate, self.processes = validate, processes
        self.losses: list[float] = []
        self.scores: list[float] = []
        self.best_score = self.start_score = float("nan")
        self.best_epoch = 0
        self._last_batch: Batch | None = None
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.position: Position | None = None
        self.checkpoint: Any = None
        self.n_steps = self._count_steps()
        self.sharded = sharded_model(network, processes, plan.precision)
        with self._with_shards():
            self.stepper = Stepper(network, plan, processes, moments, self.n_steps, self.sharded)

    def _count_steps(self) -> int:
        """Return the number of steps per epoch."""
        return -(-len(self.examples) // (self.plan.batch_size * self.processes.n))

    @property
    def finished(self) -> bool:
        """Whether all epochs were run, or the last `n_iter_no_change` did not improve the score."""
        patience_ended = (
            self.best_weights is not None
            and len(self.losses) - max(self.best_epoch, 1) >= self.plan.n_iter_no_change
        )
        return patience_ended or len(self.losses) >= self.plan.max_epochs

    @property
    def n_left(self) -> int:
        """Number of batches that are left of the epoch."""
        n_done = 0 if self.position is None else self.position.n_rows
        return -(-(len(self.examples) - n_done) // (self.plan.batch_size * self.processes.n))

    @property
    def n_agreed(self) -> int:
        """Number of batches for which the other processes wait when an epoch begins."""
        return self.n_left

    def _meets_next(self) -> bool:
        """Return whether the processes exchange values next, not gradients."""
        return self.checkpoint is not None and self.checkpoint.is_expected(self.stepper)

    def _with_shards(self) -> AbstractContextManager[None]:
        """Return a context in which the network has sharded weights, if it is to have them."""
        return nullcontext() if self.sharded is None else self.sharded.installed()

    def without_shards(self) -> AbstractContextManager[None]:
        """Return a context in which the network has whole weights. All processes enter it."""
        return nullcontext() if self.sharded is None else self.sharded.removed()

    def score_start(self) -> None:
        """Validate the weights before training, which may remain the best ones."""
        if self.validate is not None:
            self._remember(self.processes.first(self.validate, "validation"))
            self.start_score = self.scores.pop()

    def run_epoch(
        self, report: Report | None = None, begin: Callable[[], Any] | None = None
    ) -> None:
        """Train for one epoch, then validate.

        If a process fails or is interrupted, all of them raise its error at the same step.

        Parameters
        ----------
        report : callable, default=None
            Function that is called as ``report(n_done, n_steps)`` after each step.
        begin : callable, default=None
            Function that is called before the first step.

        Raises
        ------
        ValueError
            If the loss is not finite, or the weights or their scores are not finite after the
            last step. The message names the epoch.
        """
        if self.position is None:
            self.position = Position(self.rng.bit_generator.state)
            if self.examples.sampler.hard is not None:
                self.examples.sampler.hard.refresh(self.processes)
        self.stepper.start_steps(self.n_agreed)
        try:
            with self._with_shards():
                loss, has_negatives = self._run_steps(self.position, report, begin)
        finally:
            self.network.eval()
        self.processes.average_buffers(self.network.behavior, self.network.predictor)
        own = self.processes.gathered(
            lambda: (loss, has_negatives, self._weights_are_usable()), "the end of an epoch"
        )
        losses, have_negatives, are_usable = zip(*own, strict=True)
        self.position = None
        if not (any(have_negatives) or self.losses):
            warn(NO_NEGATIVES)
        self.losses.append(sum(losses))
        self._raise_unless(all(are_usable))
        if self.validate is not None:
            self._remember(self.processes.first(self.validate, "validation"))

    def _run_steps(
        self, at: Position, report: Report | None, begin: Callable[[], Any] | None
    ) -> tuple[float, bool]:
        """Take the steps that are left of one epoch, or raise an error in all processes."""
        try:
            with self.processes.interruptible():
                if begin is not None:
                    begin()
            self.network.train()
            return self._train_epoch(at, report)
        except BaseException as error:
            if not self._meets_next():
                self.stepper.fail(error)
            raise

    def _train_epoch(self, at: Position, report: Report | None) -> tuple[float, bool]:
        """Take the steps that are left of one epoch.

        Returns
        -------
        loss : float
            Share of this process in the mean loss. The shares of all processes add up to it.
        has_negatives : bool
            Whether a row of this process had a negative.
        """
        plan = self.plan
        size = plan.batch_size * self.processes.n
        batches = iterate_batches(
            self.examples,
            plan.batch_size,
            plan.max_history,
            self.rng,
            self.processes.rank,
            self.processes.n,
            at,
        )
        for step in range(self.n_steps - self.n_left + 1, self.n_steps + 1):
            with self.processes.interruptible():
                batch = next(batches)
                loss = self._add(batch, step, at)
            self.stepper.flush_if_due()
            at.add(size, loss, batch)
            if self.checkpoint is not None:
                self.checkpoint.after_step(self)
            if report is not None:
                report(step, self.n_steps)
        self.stepper.flush()
        return at.loss / at.n_targets, at.has_negatives

    def _add(self, batch: Batch | None, step: int, at: Position) -> float:
        """Add the gradients of a batch, and return its share in the loss of the step."""
        if batch is not None:
            at.has_negatives = at.has_negatives or batch.has_negatives()
            batch = batch.to(device_of(self.network))
        if self.sharded is None:
            with memory_advice(), self.generator.lent():
                loss = self.stepper.add(self.packed, batch)
            self._check_loss(loss, step)  # the others learn of an error with the gradients
        else:
            loss = self._add_with_shards(self.sharded, batch, step)
        if batch is not None:
            self._last_batch = batch
        return loss

    def _add_with_shards(self, sharded: ShardedModel, batch: Batch | None, step: int) -> float:
        """Add the gradients of a batch as `_add` does, while the processes exchange shards."""
        with memory_advice(), self.generator.lent():
            sharded.agree(self.network, self.packed, batch)
        with sharded.passes(), memory_advice(), self.generator.lent():
            loss = self.stepper.add(self.packed, batch)
        self.processes.each(partial(self._check_loss, loss, step), "a loss")
        return loss

    def _check_loss(self, loss: float, step: int) -> None:
        """Raise a ValueError if the loss of a step is not finite."""
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss became {loss} in step {step} of epoch {len(self.losses) + 1}; "
                f"{advice(self.plan, self.network)}"
            )

    def check_weights(self) -> None:
        """Raise a ValueError if the weights, or the scores of the last batch, are not finite."""
        usable = self.processes.gathered(self._weights_are_usable, "a check of the weights")
        self._raise_unless(all(usable))

    def _weights_are_usable(self) -> bool:
        """Return whether the weights are bounded, and the scores of the last batch finite."""
        if not all(map(_is_bounded, self.network.parameters())):
            return False
        batch = self._last_batch
        if batch is None or not len(batch):
            return True
        batch = batch.to(device_of(self.network))
        with torch.no_grad(), memory_advice(), self.stepper.autocast():
            outputs = self.network.outputs(batch, self.packed, TOKEN_BUDGET)
        if outputs.users is not None and not outputs.users.isfinite().all():
            return False
        return bool(outputs.scores[batch.candidate_mask].isfinite().all())

    def _raise_unless(self, usable: bool) -> None:
        """Raise a ValueError if the weights cannot be used."""
        if not usable:
            raise ValueError(
                f"the weights are not finite after epoch {len(self.losses)}, or too large to "
                f"compute scores; {advice(self.plan, self.network)}"
            )

    def _remember(self, score: float) -> None:
        """Append a validation score, and copy the weights if it is the best one."""
        self.scores.append(score)
        if not math.isnan(score) and (self.best_weights is None or score > self.best_score):
            self.best_score, self.best_epoch = score, len(self.losses)
            self.best_weights = {
                name: value.clone() for name, value in self.network.trained_state().items()
            }

    def moments(self) -> dict[str, dict[str, torch.Tensor]]:
        """Return the optimizer state of each weight; see `Stepper.moments`."""
        return self.stepper.moments()

    def epoch_summary(self) -> str:
        """Return one line with the loss and the validation score of the last epoch."""
        score = ""
        if self.scores:
            describe = getattr(self.validate, "describe", "score {:.4f}".format)
            score = f", validation {describe(self.scores[-1])}"
        n_epochs = f"epoch {len(self.losses)}/{self.plan.max_epochs}"
        return f"{n_epochs}: loss {self.losses[-1]:.4f}{score}"

    def restore_best(self) -> None:
        """Load the best weights; without a validation score, keep the last ones.

        Warns
        -----
        ConvergenceWarning
            If the validation score was NaN in every epoch.
        """
        if self.best_weights is not None:
            self.network.load_trained_state(self.best_weights)
        elif self.scores:
            warn(
                "the validation score was NaN in every epoch, so the last weights are kept; does "
                "the held-out part have impressions with both a click and a non-click?",
                ConvergenceWarning,
            )


def _is_bounded(weight: torch.Tensor) -> bool:
    """Return whether a weight is frozen, or finite and so small that products are finite too."""
    if not (weight.requires_grad and weight.numel()):
        return True
    largest = torch.finfo(weight.dtype).max
    limit = largest if weight.dtype is torch.float16 else largest**0.5
    return bool(weight.detach().abs().amax() <= limit)
