"""Base class of cross networks, which combine cross layers with a perceptron."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_choice, check_hidden, check_int, check_real
from skrec.nn import MLP as Perceptron
from skrec.nn import CrossNetwork
from skrec.predictor._base import OneVectorPredictor, Predictor

STRUCTURES = ("parallel", "stacked")


class CrossPredictor(Predictor):
    """Base class of cross networks, with the parameters `n_layers`, `hidden` and `dropout`.

    A subclass builds its layers in `_cross_layer`. Without a parameter `structure`, the perceptron
    and the cross network are parallel.
    """

    n_layers: int
    hidden: Sequence[int]
    dropout: float
    structure = "parallel"
    is_network = True

    def check(self, width: int) -> None:
        check_int("n_layers", self.n_layers)
        check_hidden(self.hidden, minimum=0)
        check_choice("structure", self.structure, STRUCTURES)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def _cross_layer(self, size: int) -> nn.Module:
        """Build a layer that maps x0 and x_l, both (..., size), to x_{l+1}."""
        raise NotImplementedError

    def build(self, width: int) -> nn.Module:
        cross = CrossNetwork([self._cross_layer(2 * width) for _ in range(self.n_layers)])
        parallel = self.structure == "parallel" and len(self.hidden) > 0
        return DeepCross(cross, 2 * width, self.hidden, parallel, self.dropout)


class DeepCross(OneVectorPredictor):
    """Cross network and a perceptron, which reads the same input or the cross network's output."""

    def __init__(
        self,
        cross: CrossNetwork,
        size: int,
        hidden: Sequence[int],
        parallel: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.cross = cross
        self.mlp = Perceptron(size, hidden, 1, dropout=dropout)
        self.out = nn.Linear(size, 1, bias=False) if parallel else None

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) for user (B, C or 1, D); return (B, C)."""
        x0 = torch.cat([user.expand_as(item), item], dim=-1)  # (B, C, 2 D)
        x = self.cross(x0)
        if self.out is None:
            return self.mlp(x).squeeze(-1)
        # a linear layer over two outputs is a sum of two linear layers; one of them is in the MLP
        return (self.out(x) + self.mlp(x0)).squeeze(-1)
