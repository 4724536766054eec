"""Linear layers that start as isometries."""

from __future__ import annotations

import torch
from torch import nn


def isometric(layer: nn.Linear) -> nn.Linear:
    """Give a linear layer orthonormal weights and no bias, and return it.

    If the output is at least as large as the input, all inner products are kept. Otherwise, they
    are kept up to what the smaller size cuts off. A ranking by pretrained vectors is therefore
    nearly the same before the layer is trained. The new weights are the closest orthonormal ones
    to the old ones, so no random numbers are drawn.

    Parameters
    ----------
    layer : torch.nn.Linear
        The layer, which is changed in place.

    Returns
    -------
    torch.nn.Linear
    """
    with torch.no_grad():
        left, _, right = torch.linalg.svd(layer.weight.double(), full_matrices=False)
        layer.weight.copy_(left @ right)
        layer.bias.zero_()
    return layer
