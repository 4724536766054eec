"""Masks: features weighed by a small network that has seen the whole example."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from skrec.nn._mlp import MLP


class MaskBlock(nn.Module):
    """``relu(norm(W (mask(x0) * h)))`` with ``mask(x0) = V' relu(V x0 + c) + c'``.

    The mask brings products of features, which a perceptron learns badly, into the layer.

    Parameters
    ----------
    n_in : int
        Size of x0, which guides the mask.
    n_masked : int
        Size of h, and of the mask.
    n_out : int
        Size of the output.
    hidden : int
        Rows of V.
    dropout : float, default=0.0
        Of the output, in training.

    References
    ----------
    .. [1] Wang et al., "MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models
       by Instance-Guided Mask", arXiv 2102.07619.
    """

    def __init__(self, n_in: int, n_masked: int, n_out: int, hidden: int, dropout: float = 0.0):
        super().__init__()
        self.mask = MLP(n_in, (hidden,), n_masked)
        self.project = nn.Linear(n_masked, n_out, bias=False)  # the norm would take a bias off
        self.norm = nn.LayerNorm(n_out)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x0: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """Map x0 (..., n_in) and h (..., n_masked) to (..., n_out)."""
        return self.dropout(F.relu(self.norm(self.project(self.mask(x0) * h))))
