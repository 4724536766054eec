"""Normalization of vectors to length 1."""

from __future__ import annotations

import torch


def unit(x: torch.Tensor, eps: float = 1e-8) -> torch.Tensor:
    """Scale vectors (..., D) to length 1; vectors shorter than `eps` are left unchanged.

    Dividing short vectors by `eps`, as torch does, would give zero vectors gradients of 1 / eps.

    Parameters
    ----------
    x : tensor of shape (..., D)
        Vectors.
    eps : float, default=1e-8
        Length below which a vector is left unchanged.

    Returns
    -------
    tensor of shape (..., D)
    """
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length.masked_fill(length < eps, 1.0)
