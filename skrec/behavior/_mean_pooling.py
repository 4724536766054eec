"""Mean of the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec.behavior._base import BehaviorOperator
from skrec.nn import masked_mean


class MeanPooling(BehaviorOperator):
    """Mean of the vectors of the clicked items; it has no weights to learn.

    All clicks have the same weight, and their order is ignored. Use it as the baseline for all
    other operators.

    See Also
    --------
    AdditiveAttention : Learns the weights of the clicks.
    MaxPooling : Keeps the strongest signal instead of the average.

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
