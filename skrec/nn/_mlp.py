"""Multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from skrec.nn._dice import Dice

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "dice": Dice,
}


class MLP(nn.Module):
    """Linear layers with an activation and dropout after each hidden layer.

    Parameters
    ----------
    n_in : int
        Size of the input.
    hidden : sequence of int
        Sizes of the hidden layers.
    n_out : int or None
        Size of the output layer, which has no activation. None omits this layer: the output is
        then that of the last hidden layer, after activation and dropout.
    activation : str, default="relu"
        Activation of the hidden layers, a key of ``ACTIVATIONS``.
    dropout : float, default=0.0
        Dropout rate after each activation.
    """

    def __init__(
        self,
        n_in: int,
        hidden: Sequence[int],
        n_out: int | None,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(n_in, size), _activation(activation, size), nn.Dropout(dropout)]
            n_in = size
        if n_out is not None:
            layers.append(nn.Linear(n_in, n_out))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., n_in) to (..., n_out)."""
        return self.layers(x)


def _activation(name: str, size: int) -> nn.Module:
    """Build the activation of a layer with `size` units; Dice has learned weights per unit."""
    kind = ACTIVATIONS[name]
    return kind(size) if kind is Dice else kind()
