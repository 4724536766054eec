"""Cross networks: each layer raises the degree of the feature products by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn


class CrossNetwork(nn.Module):
    """Stack of layers, each of which reads the network's input and the previous layer's output.

    Parameters
    ----------
    layers : sequence of torch.nn.Module
        Layers that map x0 and x_l, both (..., D), to x_{l+1}.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x0: torch.Tensor) -> torch.Tensor:
        """Map (..., D) to (..., D)."""
        x = x0
        for layer in self.layers:
            x = layer(x0, x)
        return x


class VectorCross(nn.Module):
    """Cross layer of DCN, ``x_{l+1} = x_0 (w^T x_l) + b + x_l``.

    Parameters
    ----------
    width : int
        Size of the vectors, D.

    References
    ----------
    .. [1] Wang et al., "Deep & Cross Network for Ad Click Predictions", arXiv 1708.05123,
       equation 3.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Map x0 and x, both (..., D), to (..., D)."""
        return x0 * self.project(x) + self.bias + x


class FullCross(nn.Module):
    """Cross layer of DCN-V2 with a full matrix W, ``x_{l+1} = x_0 * (W x_l + b) + x_l``.

    Parameters
    ----------
    width : int
        Size of the vectors, D.

    References
    ----------
    .. [1] Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for
       Web-scale Learning to Rank Systems", arXiv 2008.13535, equation 1.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, width)

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Map x0 and x, both (..., D), to (..., D)."""
        return x0 * self.project(x) + x


class GatedCross(nn.Module):
    """Cross layer of GDCN, ``x_{l+1} = x_0 * (W x_l + b) * sigmoid(W_g x_l) + x_l``.

    Parameters
    ----------
    width : int
        Size of the vectors, D.

    References
    ----------
    .. [1] Wang et al., "Towards Deeper, Lighter and Interpretable Cross Network for CTR
       Prediction", arXiv 2311.04635, equation 2.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, width)
        self.gate = nn.Linear(width, width, bias=False)

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Map x0 and x, both (..., D), to (..., D)."""
        return x0 * self.project(x) * torch.sigmoid(self.gate(x)) + x


class LowRankCross(nn.Module):
    """Cross layer of DCN-V2 with a mixture of low-rank experts.

    The layer computes::

        x_{l+1} = sum_i G_i(x_l) x_0 * (U_i tanh(C_i tanh(V_i^T x_l)) + b) + x_l

    The gate G is the softmax of a linear layer.

    Parameters
    ----------
    width : int
        Size of the vectors, D.
    rank : int
        Rank of each expert, R. V_i and U_i have R columns, and C_i has R rows and columns.
    n_experts : int
        Number of experts, E. A single expert has no gate.

    References
    ----------
    .. [1] Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for
       Web-scale Learning to Rank Systems", arXiv 2008.13535, equations 3 and 4.
    """

    def __init__(self, width: int, rank: int, n_experts: int) -> None:
        super().__init__()
        self.shape = n_experts, rank
        self.V = nn.Linear(width, n_experts * rank, bias=False)  # all V_i^T, stacked
        self.C = nn.Parameter(torch.empty(n_experts, rank, rank))
        bound = 1 / math.sqrt(rank)  # the bound that nn.Linear uses
        nn.init.uniform_(self.C, -bound, bound)
        self.U = nn.Linear(n_experts * rank, width)  # all U_i, side by side, and b
        self.gate = nn.Linear(width, n_experts) if n_experts > 1 else None

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Map x0 and x, both (..., D), to (..., D)."""
        inner = torch.tanh(self.V(x)).unflatten(-1, self.shape)  # (..., E, R)
        outer = torch.tanh(torch.einsum("ers,...es->...er", self.C, inner))  # (..., E, R)
        if self.gate is not None:
            outer = outer * self.gate(x).softmax(dim=-1).unsqueeze(-1)
        # gates sum to one, so b and x_0 can be moved out of the sum over experts
        return x0 * self.U(outer.flatten(-2)) + x
