"""Mean of the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec.behavior._base import BehaviorOperator
from skrec.nn import masked_mean


class MeanPooling(BehaviorOperator):
    """The mean of the clicked items' vectors; nothing to learn.

    See Also
    --------
    AdditiveAttention : Learns which clicks weigh more.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.MeanPooling())
    """

    def build(self, width: int) -> nn.Module:
        return MeanOfClicks()


class MeanOfClicks(nn.Module):
    """Masked mean over the clicks."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return masked_mean(x, mask).unsqueeze(1)
