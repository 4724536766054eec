"""A convolution over a sequence that padding does not reach."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Convolution(nn.Conv1d):
    """A one-dimensional convolution over a sequence, as long as that, with a border of zeros.

    Parameters
    ----------
    width : int
        D, the size of each vector, before and after.
    kernel_size : int
        Places that one place sees; odd.
    """

    def __init__(self, width: int, kernel_size: int):
        super().__init__(width, width, kernel_size, padding=kernel_size // 2)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Map x (B, L, D) under mask (B, L) to (B, L, D); masked places give zeros."""
        length, size = x.shape[1], self.kernel_size[0]
        # zeros in the padding read like the border
        x = F.pad(x.masked_fill(~mask.unsqueeze(-1), 0.0), (0, 0, size // 2, size // 2))
        # one matrix product is faster on short sequences than torch's convolution
        windows = torch.cat([x[:, i : i + length] for i in range(size)], dim=2)
        weight = self.weight.transpose(1, 2).flatten(1)  # (D, size * D)
        return F.linear(windows, weight, self.bias) * mask.unsqueeze(-1)
