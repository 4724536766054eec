"""Pooling of masked sequences."""

from __future__ import annotations

import torch


def masked_mean(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Compute the mean of the unmasked vectors, or zeros if all vectors are masked.

    Parameters
    ----------
    x : tensor of shape (B, L, D)
        Vectors.
    mask : bool tensor of shape (B, L)
        Whether each vector counts.

    Returns
    -------
    tensor of shape (B, D)
    """
    weights = mask.to(x.dtype)
    weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(1.0)
    return torch.bmm(weights.unsqueeze(1), x).squeeze(1)


def masked_max(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Compute the elementwise maximum of the unmasked vectors, or zeros if all are masked.

    Parameters
    ----------
    x : tensor of shape (B, L, D)
        Vectors.
    mask : bool tensor of shape (B, L)
        Whether each vector counts.

    Returns
    -------
    tensor of shape (B, D)
    """
    least = torch.finfo(x.dtype).min
    x = x.masked_fill(~mask.unsqueeze(-1), least).amax(dim=1)
    return x.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


def last_real(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the last unmasked vector, or zeros if all vectors are masked.

    Parameters
    ----------
    x : tensor of shape (B, L, D)
        Vectors.
    mask : bool tensor of shape (B, L)
        Whether each vector counts.

    Returns
    -------
    tensor of shape (B, D)
    """
    place = (torch.arange(mask.shape[1], device=mask.device) * mask).amax(dim=1)  # (B,)
    place = place[:, None, None].expand(-1, 1, x.shape[2])
    return x.gather(1, place).squeeze(1) * mask.any(dim=1, keepdim=True)
