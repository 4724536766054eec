"""Mask blocks: features weighted by a small network that reads the whole input."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from skrec.nn._mlp import MLP


class MaskBlock(nn.Module):
    """Layer ``relu(norm(W (mask(x0) * h)))`` with ``mask(x0) = V' relu(V x0 + c) + c'``.

    The mask multiplies features with each other, which a perceptron can learn only with difficulty.

    Parameters
    ----------
    n_in : int
        Size of x0, from which the mask is computed.
    n_masked : int
        Size of h and of the mask.
    n_out : int
        Size of the output.
    hidden : int
        Number of rows of V.
    dropout : float, default=0.0
        Dropout rate of the output.

    References
    ----------
    .. [1] Wang et al., "MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models
       by Instance-Guided Mask", arXiv 2102.07619.
    """

    def __init__(
        self, n_in: int, n_masked: int, n_out: int, hidden: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.mask = MLP(n_in, (hidden,), n_masked)
        self.project = nn.Linear(n_masked, n_out, bias=False)  # the norm adds a bias
        self.norm = nn.LayerNorm(n_out)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x0: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """Map x0 (..., n_in) and h (..., n_masked) to (..., n_out)."""
        return self.dropout(F.relu(self.norm(self.project(self.mask(x0) * h))))
