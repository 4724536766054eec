"""Pooling under a mask."""

from __future__ import annotations

import torch


def masked_mean(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of the unmasked vectors; zeros where there is none.

    Parameters
    ----------
    x : tensor of shape (B, L, D)
    mask : bool tensor of shape (B, L)

    Returns
    -------
    tensor of shape (B, D)
    """
    weights = mask.to(x.dtype)
    weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(1.0)
    return torch.bmm(weights.unsqueeze(1), x).squeeze(1)
