"""The latest clicked item."""

from __future__ import annotations

import torch
from torch import nn

from skrec.behavior._base import BehaviorOperator
from skrec.nn import last_real


class LastItem(BehaviorOperator):
    """The vector of the latest click; nothing to learn.

    Recommends what is like the item that was just clicked: a baseline, and the right thing
    where sessions are short.

    See Also
    --------
    GRU : Reads all clicks in their order.
    MeanPooling : All clicks alike.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.LastItem())
    """

    def build(self, width: int) -> nn.Module:
        return LastClick()


class LastClick(nn.Module):
    """The last real click of each row."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return last_real(x, mask).unsqueeze(1)
