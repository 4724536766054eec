"""Cross networks: features multiplied with each other, one degree higher a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn


class CrossNetwork(nn.Module):
    """Layers that each read the input again, beside the output of the one before.

    Parameters
    ----------
    layers : sequence of torch.nn.Module
        Each maps x0 and x_l, both (..., D), to x_{l+1}.
    """

    def __init__(self, layers: Sequence[nn.Module]):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x0: torch.Tensor) -> torch.Tensor:
        """Map (..., D) to (..., D)."""
        x = x0
        for layer in self.layers:
            x = layer(x0, x)
        return x


class VectorCross(nn.Module):
    """x_{l+1} = x_0 (w . x_l) + b + x_l: the layer of DCN.

    Parameters
    ----------
    width : int
        D.

    References
    ----------
    .. [1] Wang et al., "Deep & Cross Network for Ad Click Predictions", arXiv 1708.05123,
       equation 3.
    """

    def __init__(self, width: int):
        super().__init__()
        self.project = nn.Linear(width, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Map x0 and x, both (..., D), to (..., D)."""
        return x0 * self.project(x) + self.bias + x


class FullCross(nn.Module):
    """x_{l+1} = x_0 * (W x_l + b) + x_l with a full matrix W: the layer of DCN-V2.

    Parameters
    ----------
    width : int
        D.

    References
    ----------
    .. [1] Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for
       Web-scale Learning to Rank Systems", arXiv 2008.13535, equation 1.
    """

    def __init__(self, width: int):
        super().__init__()
        self.project = nn.Linear(width, width)

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Map x0 and x, both (..., D), to (..., D)."""
        return x0 * self.project(x) + x


class GatedCross(nn.Module):
    """x_{l+1} = x_0 * (W x_l + b) * sigmoid(W_g x_l) + x_l: the layer of GDCN.

    Parameters
    ----------
    width : int
        D.

    References
    ----------
    .. [1] Wang et al., "Towards Deeper, Lighter and Interpretable Cross Network for CTR
       Prediction", arXiv 2311.04635, equation 2.
    """

    def __init__(self, width: int):
        super().__init__()
        self.project = nn.Linear(width, width)
        self.gate = nn.Linear(width, width, bias=False)

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Map x0 and x, both (..., D), to (..., D)."""
        return x0 * self.project(x) * torch.sigmoid(self.gate(x)) + x


class LowRankCross(nn.Module):
    """x_{l+1} = sum_i G_i(x_l) x_0 * (U_i tanh(C_i tanh(V_i^T x_l)) + b) + x_l.

    A mixture of experts of low rank; the gate G is the softmax of a linear layer.

    Parameters
    ----------
    width : int
        D.
    rank : int
        R, the rows of C_i and columns of U_i and V_i.
    n_experts : int
        E; a single expert needs no gate.

    References
    ----------
    .. [1] Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for
       Web-scale Learning to Rank Systems", arXiv 2008.13535, equations 3 and 4.
    """

    def __init__(self, width: int, rank: int, n_experts: int):
        super().__init__()
        self.shape = n_experts, rank
        self.V = nn.Linear(width, n_experts * rank, bias=False)  # all V_i^T, one below the other
        self.C = nn.Parameter(torch.empty(n_experts, rank, rank))
        bound = 1 / math.sqrt(rank)  # as nn.Linear
        nn.init.uniform_(self.C, -bound, bound)
        self.U = nn.Linear(n_experts * rank, width)  # all U_i side by side, and b
        self.gate = nn.Linear(width, n_experts) if n_experts > 1 else None

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Map x0 and x, both (..., D), to (..., D)."""
        inner = torch.tanh(self.V(x)).unflatten(-1, self.shape)  # (..., E, R)
        outer = torch.tanh(torch.einsum("ers,...es->...er", self.C, inner))  # (..., E, R)
        if self.gate is not None:
            outer = outer * self.gate(x).softmax(dim=-1).unsqueeze(-1)
        # gates sum to one, so that b and x_0 stand outside of the sum over experts
        return x0 * self.U(outer.flatten(-2)) + x
