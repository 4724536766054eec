"""Vectors of length 1."""

from __future__ import annotations

import torch


def unit(x: torch.Tensor, eps: float = 1e-8) -> torch.Tensor:
    """Scale vectors (..., D) to length 1; those shorter than `eps` stay as they are.

    Dividing these by `eps`, as torch does, would give a zero vector gradients of 1 / eps.

    Parameters
    ----------
    x : tensor of shape (..., D)
    eps : float, default=1e-8

    Returns
    -------
    tensor of shape (..., D)
    """
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length.masked_fill(length < eps, 1.0)
