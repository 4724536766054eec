"""Linear layers that start at the principal directions of their inputs."""

from __future__ import annotations

import torch
from torch import nn

TINY = 1e-4  # of the largest singular value; directions with smaller ones are noise
EQUAL = 1e-6  # relative difference of singular values that are equal up to rounding


@torch.no_grad()
def start_at_principal_directions(layer: nn.Linear, x: torch.Tensor, scale: float = 1.0) -> None:
    """Let a linear layer start as a projection to the principal directions of its inputs.

    The inputs are centered, and the largest principal components are kept, so that a layer with a
    small output keeps as much of the inputs as it can. Each component is divided by the square root
    of its standard deviation, because the first ones of pretrained vectors say little of what
    differs between items. The components are then rotated at random, so that each output depends on
    all of them, and scaled so that the outputs are `scale` times as long as the centered inputs
    (the root of the mean squared norm).

    Parameters
    ----------
    layer : torch.nn.Linear
        The layer with random weights, which is changed in place.
    x : tensor of shape (n, layer.in_features)
        Inputs. If they are all the same, the layer is left as it is.
    scale : float, default=1.0
        Length of the outputs, relative to that of the centered inputs.
    """
    x = x.to(torch.float64)
    mean = x.mean(dim=0)
    _, scales, directions = torch.linalg.svd(x - mean, full_matrices=False)
    k = _n_kept(scales, layer.out_features)
    if not k:
        return
    scales, directions = scales[:k], directions[:k]
    weighted = directions / scales.sqrt().unsqueeze(1)  # (k, H)
    # the components (n, k) have the squared norm `scales ** 2 / scales`
    weighted *= scale * (scales.square().sum() / scales.sum()).sqrt()
    # The closest rotation to random weights does not depend on how directions with equal singular
    # values were chosen, which rounding decides.
    left, _, right = torch.linalg.svd(layer.weight.double() @ directions.T, full_matrices=False)
    weight = left @ right @ weighted  # (D, H)
    layer.weight.copy_(weight)
    layer.bias.copy_(-weight @ mean)


def _n_kept(scales: torch.Tensor, n_outputs: int) -> int:
    """Return how many of the descending singular values are kept.

    Equal ones are kept or left out together.
    """
    n_real = int((scales > TINY * scales.max().clamp_min(TINY)).sum())
    if n_real <= n_outputs:
        return n_real
    differs = scales[:n_outputs] > scales[n_outputs] * (1 + EQUAL)
    return int(differs.sum())
