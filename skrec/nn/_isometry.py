"""Linear layers that start as isometries."""

from __future__ import annotations

from torch import nn


def isometric(layer: nn.Linear) -> nn.Linear:
    """Give a linear layer orthonormal weights and no bias, and return it.

    If the output is at least as large as the input, all inner products are kept. Otherwise, they
    are kept up to what the smaller size cuts off. A ranking by pretrained vectors is therefore
    nearly the same before the layer is trained.

    Parameters
    ----------
    layer : torch.nn.Linear
        The layer, which is changed in place.

    Returns
    -------
    torch.nn.Linear
    """
    nn.init.orthogonal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
