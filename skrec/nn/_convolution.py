"""Convolution over a sequence, unaffected by padding."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Convolution(nn.Conv1d):
    """One-dimensional convolution over a sequence, with zero padding that keeps the length.

    Parameters
    ----------
    width : int
        Size of the input and output vectors, D.
    kernel_size : int
        Number of positions that each output position depends on. It must be odd.
    """

    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__(width, width, kernel_size, padding=kernel_size // 2)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Map x (B, L, D) under mask (B, L) to (B, L, D); masked positions become zero."""
        length, size = x.shape[1], self.kernel_size[0]
        # zeros at masked positions act like the zero padding at the ends
        x = F.pad(x.masked_fill(~mask.unsqueeze(-1), 0.0), (0, 0, size // 2, size // 2))
        # for short sequences, one matrix product is faster than torch's convolution
        windows = torch.cat([x[:, i : i + length] for i in range(size)], dim=2)
        weight = self.weight.transpose(1, 2).flatten(1)  # (D, size * D)
        return F.linear(windows, weight, self.bias) * mask.unsqueeze(-1)
