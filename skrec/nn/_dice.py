"""Dice, an activation function that adapts to the distribution of its input."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

EPS = 1e-8  # value of the paper
MOMENTUM = 0.1


class Dice(nn.Module):
    """Activation ``p s + (1 - p) alpha s`` with ``p = sigmoid((s - mean) / sqrt(var + 1e-8))``.

    Dice is a smooth PReLU that bends at the mean of its input instead of at 0. Each unit has its
    own learned alpha, which starts at 0. In training, the mean and variance of a unit are computed
    over all input rows, including padding, so the output of a row depends on the other rows. In
    evaluation mode they are running statistics, and each row is processed independently.

    The running statistics are the plain mean of the statistics of the first ten calls, and a
    moving average after that. A moving average alone would leave short trainings close to the
    initial values. A single row has no variance: it is processed with the running statistics,
    which it does not update.

    Parameters
    ----------
    width : int
        Number of units, the size of the last axis.

    References
    ----------
    .. [1] Zhou et al., "Deep Interest Network for Click-Through Rate Prediction",
       arXiv 1706.06978.
    """

    mean: torch.Tensor
    var: torch.Tensor
    n_calls: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))
        self.register_buffer("n_calls", torch.zeros((), dtype=torch.long))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., width) to (..., width)."""
        rows = x.flatten(0, -2) if x.dim() > 1 else x.unsqueeze(0)  # (N, width)
        own = self.training and len(rows) > 1
        momentum = 0.0
        if own:
            self.n_calls += 1
            momentum = max(MOMENTUM, 1.0 / self.n_calls.item())
        normal = F.batch_norm(rows, self.mean, self.var, None, None, own, momentum, EPS)
        p = torch.sigmoid(normal).view(x.shape)
        return x * (p + (1 - p) * self.alpha)
