"""The training loop with early stopping, and the optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable
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
from skrec._training.losses import batch_loss
from skrec._training.optimizers import (
    clip_gradients,
    has_gradients,
    make_optimizers,
    weights_of,
)
from skrec._training.plan import Plan, share_of_rate
from skrec._training.position import Position
from skrec._training.processes import ONE_PROCESS, Processes

NO_NEGATIVES = (
    "no click has a negative, so there is nothing to learn: all other items of the catalogue are "
    "in the history or were clicked in the same impression. Add items to the catalogue, or "
    "candidates that were not clicked"
)
# number type that each `precision` computes in; others use the type of the weights
AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}
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
        self.stepper = Stepper(network, plan, processes, moments, self.n_steps)

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
            with self.processes.interruptible():
                if begin is not None:
                    begin()
            self.network.train()
            loss, has_negatives = self._train_epoch(self.position, report)
        except BaseException as error:
            if not self._meets_next():
                self.stepper.fail(error)
            raise
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

    def _add(self, batch: Batch, step: int, at: Position) -> float:
        """Add the gradients of a batch, and return its share in the loss of the step."""
        at.has_negatives = at.has_negatives or batch.has_negatives()
        with memory_advice(), self.generator.lent():
            loss = self.stepper.add(self.packed, batch.to(device_of(self.network)))
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss became {loss} in step {step} of epoch {len(self.losses) + 1}; "
                f"{advice(self.plan, self.network)}"
            )
        self._last_batch = batch
        return loss

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


class Stepper:
    """Optimizers with two learning rates, mixed precision and several processes.

    Parameters
    ----------
    network : Network
        The network, which is trained in place. Modules whose attribute `pretrained` is true have
        the learning rate `pretrained_learning_rate`. Weights that need no gradient are not trained.
    plan : Plan
        Loss and hyperparameters.
    processes : Processes, default=Processes()
        Processes whose gradients are summed.
    moments : dict of str to dict, default=None
        Optimizer state to continue from, as returned by `moments`.
    n_batches : int, default=1
        Number of batches per epoch, on which the schedule of the learning rate depends.
    """

    def __init__(
        self,
        network: Network,
        plan: Plan,
        processes: Processes = ONE_PROCESS,
        moments: dict[str, dict[str, torch.Tensor]] | None = None,
        n_batches: int = 1,
    ):
        self.network, self.loss, self.processes = network, plan.loss, processes
        self._n_accumulated, self._n_waiting = plan.gradient_accumulation_steps, 0
        self._n_steps = -(-n_batches // self._n_accumulated)
        self.n_taken = 0  # steps in which the processes added up their gradients
        self._n_left = 0  # steps of the epoch in which the other processes still expect this one
        self._max_norm = plan.max_grad_norm
        self._device = device_of(network).type
        self._dtype = AUTOCAST.get(plan.precision)
        self._scaler = torch.amp.GradScaler(self._device, enabled=self._dtype is torch.float16)
        self._optimizers = make_optimizers(network, plan)
        rate = partial(share_of_rate, plan, plan.max_epochs * self._n_steps)
        self._schedules = [
            torch.optim.lr_scheduler.LambdaLR(each, rate) for each in self._optimizers
        ]
        self.load_moments(moments or {})

    def load_moments(self, moments: dict[str, dict[str, torch.Tensor]]) -> None:
        """Continue from the optimizer state of weights, as returned by `moments`."""
        parameters = dict(self.network.named_parameters())
        optimizer_of = {w: each for each in self._optimizers for w in weights_of(each)}
        for name, state in moments.items():
            weight = parameters[name]
            on_device = {key: value.to(weight.device) for key, value in state.items()}
            if weight in optimizer_of:
                optimizer_of[weight].state[weight] = on_device

    def progress(self) -> dict[str, Any]:
        """Return what the next step depends on, in addition to weights and moments."""
        n_done, n_steps = self._schedules[0].last_epoch, self._n_steps
        return {"n_done": n_done, "n_steps": n_steps, "scaler": self._scaler.state_dict()}

    def resume(self, moments: dict[str, dict[str, torch.Tensor]], progress: dict[str, Any]) -> None:
        """Continue from the results of `moments` and `progress`.

        With another number of steps per epoch, the schedule continues at the same share of them.
        """
        self.load_moments(moments)
        self._scaler.load_state_dict(progress["scaler"])
        n_done = round(progress["n_done"] * self._n_steps / progress["n_steps"])
        for schedule in self._schedules:
            schedule.last_epoch = n_done
            groups = schedule.optimizer.param_groups
            factors = schedule.base_lrs, schedule.lr_lambdas
            for group, base, factor in zip(groups, *factors, strict=True):
                group["lr"] = base * factor(n_done)

    def moments(self) -> dict[str, dict[str, torch.Tensor]]:
        """Return the optimizer state of each weight that has one, by the name of the weight."""
        return {
            name: dict(optimizer.state[parameter])
            for name, parameter in self.network.named_parameters()
            for optimizer in self._optimizers
            if parameter in optimizer.state
        }

    def autocast(self) -> torch.autocast:
        """Return the context in which scores are computed with the floating-point type."""
        return torch.autocast(self._device, self._dtype, enabled=self._dtype is not None)

    def step(self, packed: Packed, batch: Batch) -> float:
        """Take one step, or with gradient accumulation, add the gradients of one batch.

        Parameters
        ----------
        packed : Packed
            The prepared catalogue.
        batch : Batch
            Share of this process in the step. It may have no rows.

        Returns
        -------
        float
            Share of this process in the mean loss over the rows of the step.
        """
        loss = self.add(packed, batch)
        self.flush_if_due()
        return loss

    def add(self, packed: Packed, batch: Batch) -> float:
        """Add the gradients of one batch, without communication; see `step`."""
        self._clear_unless_waiting()
        value = torch.zeros((), device=batch.labels.device)
        if len(batch):  # in the last step, a process may have no rows
            with self.autocast():
                outputs = self.network.outputs(batch, packed, TOKEN_BUDGET)
                share = len(batch) / batch.n_rows
                value = batch_loss(self.loss, self.network, outputs, batch)
                value = value + outputs.penalty * share
            self._scaler.scale(value / self._n_accumulated).backward()
        self._n_waiting += 1
        return value.item()

    def add_nothing(self) -> None:
        """Count a batch in which this process has no rows."""
        self._clear_unless_waiting()
        self._n_waiting += 1

    def _clear_unless_waiting(self) -> None:
        """Forget the gradients of the last step."""
        if not self._n_waiting:
            self.network.zero_grad(set_to_none=True)

    def start_steps(self, n_batches: int) -> None:
        """Expect the steps of some batches, in each of which the processes add up gradients."""
        self._n_left = -(-n_batches // self._n_accumulated)

    @property
    def is_between(self) -> bool:
        """Whether a step has been taken, and another one of the same epoch follows."""
        return self._n_left > 0 and not self._n_waiting

    def fail(self, error: BaseException) -> None:
        """Raise an error in all processes, if they expect the gradients of this one."""
        self._n_waiting = 0
        if self._n_left and not self.processes.has_raised(error):
            self.processes.sum_gradients(self.network, error)

    def flush_if_due(self) -> None:
        """Change the weights, if enough gradients are waiting."""
        if self._n_waiting == self._n_accumulated:
            self.flush()

    def flush(self) -> None:
        """Change the weights by the gradients that are waiting, if there are any."""
        if not self._n_waiting:
            return
        self._n_waiting = 0
        self.processes.sum_gradients(self.network)
        self._n_left -= 1
        self.n_taken += 1
        if self._max_norm is not None:
            for optimizer in self._optimizers:
                self._scaler.unscale_(optimizer)
            clip_gradients(self.network, self._max_norm)
        # counted before the weights change, so that Ctrl-C in between leaves no stale vectors
        self.network.n_steps += 1
        for optimizer, schedule in zip(self._optimizers, self._schedules, strict=True):
            if has_gradients(optimizer):
                self._scaler.step(optimizer)
            else:  # the scaler of float16 refuses it
                optimizer.step()
            schedule.step()
        self._scaler.update()
