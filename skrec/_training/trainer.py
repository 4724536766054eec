"""The training loop: plain torch over batches of examples, with early stopping."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skrec._network import TOKEN_BUDGET, Batch, Network, device_of
from skrec._training.batches import iterate_batches
from skrec._training.examples import Examples
from skrec._training.losses import batch_loss
from skrec._training.processes import Processes
from skrec.content import Packed

ONE_PROCESS = Processes()
# what `precision` computes in, where it is not the weights' own type
AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Plan:
    """How to train: the loss, and hyperparameters named as in ``ContentRecommender``."""

    SHARED: ClassVar = (
        "learning_rate",
        "pretrained_learning_rate",
        "weight_decay",
        "batch_size",
        "max_epochs",
        "n_iter_no_change",
        "max_history",
        "precision",
    )

    loss: str
    learning_rate: float
    pretrained_learning_rate: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    n_iter_no_change: int
    max_history: int
    precision: str

    @classmethod
    def of(cls, estimator: Any, loss: str) -> Plan:
        """Return the plan that a recommender's parameters make."""
        return cls(loss, **{name: getattr(estimator, name) for name in cls.SHARED})


class Trainer:
    """Trains a network epoch by epoch, and keeps its best weights.

    Parameters
    ----------
    network : Network
        Trained in place.
    packed : Packed
        The prepared catalogue, on the network's device.
    examples : Examples
        The training set.
    plan : Plan
        Hyperparameters.
    rng : numpy.random.Generator
        Drives shuffling and negatives.
    validate : callable, default=None
        Returns the validation score, greater is better. NaN is never the best.
    processes : Processes, default=Processes()
        Where several train together, each takes its share of every step.
    moments : dict of str to dict, default=None
        The optimiser's state of each weight, where training goes on.

    Attributes
    ----------
    losses, scores : list of float
        Mean loss and validation score of each epoch.
    best_score : float
        NaN where nothing was validated.
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
    ):
        self.network, self.packed, self.examples = network, packed, examples
        self.plan, self.rng = plan, rng
        self.validate, self.processes = validate, processes
        self.losses: list[float] = []
        self.scores: list[float] = []
        self.best_score = float("nan")
        self._best_epoch = 0
        self._best_weights: dict[str, torch.Tensor] | None = None
        self._stepper = Stepper(network, plan, processes, moments)

    @property
    def finished(self) -> bool:
        """Whether all epochs were run, or the score has not improved for too many of them."""
        patience_ended = (
            self._best_weights is not None
            and len(self.losses) - self._best_epoch >= self.plan.n_iter_no_change
        )
        return patience_ended or len(self.losses) >= self.plan.max_epochs

    def run_epoch(self) -> None:
        """Train one epoch, then validate.

        Raises
        ------
        ValueError
            Where the loss is not finite; the message names epoch and step.
        """
        plan, device = self.plan, device_of(self.network)
        self.network.train()
        total, n_rows = 0.0, 0
        batches = iterate_batches(
            self.examples,
            plan.batch_size,
            plan.max_history,
            self.rng,
            self.processes.rank,
            self.processes.n,
        )
        for step, batch in enumerate(batches, start=1):
            with memory_advice():
                loss = self._stepper.step(self.packed, batch.to(device))
            if not math.isfinite(loss):
                raise ValueError(
                    f"the loss became {loss} in step {step} of epoch {len(self.losses) + 1}; lower "
                    f"learning_rate (now {plan.learning_rate:g}) or look for extreme numbers in "
                    "the items' columns"
                )
            total += loss * batch.n_rows
            n_rows += batch.n_rows
        self.processes.average_buffers(self.network.behavior, self.network.predictor)
        self.losses.append(total / n_rows)
        if self.validate is not None:
            self._remember(self.validate())

    def _remember(self, score: float) -> None:
        self.scores.append(score)
        if not math.isnan(score) and (self._best_weights is None or score > self.best_score):
            self.best_score, self._best_epoch = score, len(self.losses)
            self._best_weights = {
                name: value.clone() for name, value in self.network.trained_state().items()
            }

    def moments(self) -> dict[str, dict[str, torch.Tensor]]:
        """Return the optimiser's state of each weight that was trained."""
        return self._stepper.moments()

    def epoch_summary(self) -> str:
        """Say in a line how the last epoch went."""
        score = f", validation score {self.scores[-1]:.4f}" if self.scores else ""
        n_epochs = f"epoch {len(self.losses)}/{self.plan.max_epochs}"
        return f"{n_epochs}: loss {self.losses[-1]:.4f}{score}"

    def restore_best(self) -> None:
        """Put the best weights back; without a validation score, keep the last."""
        if self._best_weights is not None:
            self.network.load_trained_state(self._best_weights)
        elif self.scores:
            warnings.warn(
                "the validation score was NaN in every epoch, so the last weights are kept; does "
                "the held-out part have impressions with both a click and a non-click?",
                ConvergenceWarning,
                stacklevel=2,
            )


@contextmanager
def memory_advice() -> Iterator[None]:
    """Add to an error of too little memory what to do about it.

    Yields
    ------
    None
    """
    try:
        yield
    except RuntimeError as error:  # a GPU's is one, too
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            error.add_note(
                "skrec: lower batch_size or max_history; a language model also needs less memory "
                "with gradient_checkpointing=True or fewer trainable_layers"
            )
        raise


class Stepper:
    """Takes optimiser steps: AdamW, two learning rates, and the number type to compute in.

    Parameters
    ----------
    network : Network
        Trained in place. Modules with a true attribute `pretrained` have the learning rate of
        their own; weights that need no gradient stay as they are.
    plan : Plan
        Hyperparameters.
    processes : Processes, default=Processes()
        Whose gradients are summed.
    moments : dict of str to dict, default=None
        State to go on from, as `Stepper.moments` returns it.
    """

    def __init__(
        self,
        network: Network,
        plan: Plan,
        processes: Processes = ONE_PROCESS,
        moments: dict[str, dict[str, torch.Tensor]] | None = None,
    ):
        self.network, self.loss, self.processes = network, plan.loss, processes
        self._device = device_of(network).type
        self._dtype = AUTOCAST.get(plan.precision)
        self._scaler = torch.amp.GradScaler(self._device, enabled=self._dtype is torch.float16)
        self._optimizer = torch.optim.AdamW(
            parameter_groups(network, plan), weight_decay=plan.weight_decay, fused=True
        )
        parameters = dict(network.named_parameters())
        for name, state in (moments or {}).items():
            device = parameters[name].device
            on_device = {key: value.to(device) for key, value in state.items()}
            self._optimizer.state[parameters[name]] = on_device

    def moments(self) -> dict[str, dict[str, torch.Tensor]]:
        """Return the optimiser's state of each weight that has one."""
        state = self._optimizer.state
        return {
            name: dict(state[parameter])
            for name, parameter in self.network.named_parameters()
            if parameter in state
        }

    def step(self, packed: Packed, batch: Batch) -> float:
        """Take one step on one batch, and return the loss over all processes."""
        self._optimizer.zero_grad(set_to_none=True)
        value = torch.zeros((), device=batch.labels.device)
        if len(batch.labels):  # the last step may leave a process without rows
            with torch.autocast(self._device, self._dtype, enabled=self._dtype is not None):
                scores, penalty = self.network.scores_and_penalty(batch, packed, TOKEN_BUDGET)
                share = len(batch.labels) / batch.n_rows  # of this process
                value = batch_loss(self.loss, scores, batch) + penalty * share
            self._scaler.scale(value).backward()
        self.processes.sum_gradients(self.network)
        self.network.n_steps += 1  # before the weights change: Ctrl-C may come in between
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return self.processes.sum(value.detach()).item()


def parameter_groups(network: Network, plan: Plan) -> list[dict]:
    """Return the trained weights by learning rate."""
    pretrained = {
        parameter
        for module in network.modules()
        if getattr(module, "pretrained", False)
        for parameter in module.parameters()
    }
    rates: dict[float, list] = {plan.learning_rate: [], plan.pretrained_learning_rate: []}
    for parameter in network.parameters():
        if parameter.requires_grad:
            own = parameter in pretrained
            rates[plan.pretrained_learning_rate if own else plan.learning_rate].append(parameter)
    return [{"params": group, "lr": rate} for rate, group in rates.items() if group]
