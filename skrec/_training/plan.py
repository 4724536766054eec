"""Loss and hyperparameters of one training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Plan:
    """Loss and hyperparameters of training, which have the names of ``ContentRecommender``."""

    SHARED: ClassVar = (
        "learning_rate",
        "pretrained_learning_rate",
        "weight_decay",
        "batch_size",
        "max_epochs",
        "n_iter_no_change",
        "max_history",
        "precision",
        "lr_schedule",
        "warmup_fraction",
        "max_grad_norm",
        "gradient_accumulation_steps",
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
    lr_schedule: str = "constant"
    warmup_fraction: float = 0.0
    max_grad_norm: float | None = None
    gradient_accumulation_steps: int = 1

    @classmethod
    def of(cls, estimator: Any, loss: str) -> Plan:
        """Return the plan for the parameters of a recommender and a loss."""
        return cls(loss, **{name: getattr(estimator, name) for name in cls.SHARED})


def share_of_rate(plan: Plan, n_steps: int, step: int) -> float:
    """Return the factor of the learning rate at one of `n_steps` steps, counted from 0."""
    n_warm = round(plan.warmup_fraction * n_steps)
    if step < n_warm:
        return (step + 1) / (n_warm + 1)
    left = 1 - (step - n_warm) / max(1, n_steps - n_warm)
    if plan.lr_schedule == "linear":
        return max(0.0, left)
    if plan.lr_schedule == "cosine":
        return (1 - math.cos(math.pi * max(0.0, left))) / 2
    return 1.0
