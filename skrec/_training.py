"""The training loop: plain torch over batches of examples, with early stopping."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch.nn import functional as F

from skrec._batches import Batch, Examples, iterate_batches
from skrec._inference import device_of
from skrec._network import TOKEN_BUDGET, Network
from skrec.content import Packed


def softmax_loss(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy of the first candidate against the others of its row."""
    scores = scores.masked_fill(~batch.candidate_mask, -torch.inf)
    return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long, device=scores.device))


def bce_loss(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Mean binary cross-entropy of all candidates."""
    mask = batch.candidate_mask
    return F.binary_cross_entropy_with_logits(scores[mask], batch.labels[mask].to(scores.dtype))


LOSSES: dict[str, Callable[[torch.Tensor, Batch], torch.Tensor]] = {
    "softmax": softmax_loss,
    "bce": bce_loss,
}


@dataclass(frozen=True)
class Plan:
    """How to train: the loss, and hyperparameters named as in ``ContentRecommender``."""

    SHARED: ClassVar = (
        "learning_rate",
        "weight_decay",
        "batch_size",
        "max_epochs",
        "n_iter_no_change",
        "max_history",
    )

    loss: str
    learning_rate: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    n_iter_no_change: int
    max_history: int


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
    ):
        self.network, self.packed, self.examples = network, packed, examples
        self.plan, self.rng, self.validate = plan, rng, validate
        self.losses: list[float] = []
        self.scores: list[float] = []
        self.best_score = float("nan")
        self._best_epoch = 0
        self._best_weights: dict[str, torch.Tensor] | None = None
        self._optimizer = torch.optim.AdamW(
            network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True
        )

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
        batches = iterate_batches(self.examples, plan.batch_size, plan.max_history, self.rng)
        for step, batch in enumerate(batches, start=1):
            loss = training_step(
                self.network, self.packed, batch.to(device), self._optimizer, plan.loss
            )
            if not math.isfinite(loss):
                raise ValueError(
                    f"the loss became {loss} in step {step} of epoch {len(self.losses) + 1}; lower "
                    f"learning_rate (now {plan.learning_rate:g}) or look for extreme numbers in "
                    "the items' columns"
                )
            total += loss * len(batch.labels)
            n_rows += len(batch.labels)
        self.losses.append(total / n_rows)
        if self.validate is not None:
            self._remember(self.validate())

    def _remember(self, score: float) -> None:
        self.scores.append(score)
        if not math.isnan(score) and (self._best_weights is None or score > self.best_score):
            self.best_score, self._best_epoch = score, len(self.losses)
            self._best_weights = {
                name: value.clone() for name, value in self.network.state_dict().items()
            }

    def progress(self) -> str:
        """Say in a line how the last epoch went."""
        score = f", validation score {self.scores[-1]:.4f}" if self.scores else ""
        n_epochs = f"epoch {len(self.losses)}/{self.plan.max_epochs}"
        return f"{n_epochs}: loss {self.losses[-1]:.4f}{score}"

    def restore_best(self) -> None:
        """Put the best weights back; without a validation score, keep the last."""
        if self._best_weights is not None:
            self.network.load_state_dict(self._best_weights)
        elif self.scores:
            warnings.warn(
                "the validation score was NaN in every epoch, so the last weights are kept; does "
                "the held-out part have impressions with both a click and a non-click?",
                ConvergenceWarning,
                stacklevel=2,
            )


def training_step(
    network: Network,
    packed: Packed,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    loss: str,
) -> float:
    """Take one step on one batch and return its loss."""
    optimizer.zero_grad(set_to_none=True)
    value = LOSSES[loss](network(batch, packed, TOKEN_BUDGET), batch)
    value.backward()
    optimizer.step()
    network.n_steps += 1
    return value.item()
