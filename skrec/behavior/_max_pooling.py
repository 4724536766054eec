"""Maximum over the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec.behavior._base import BehaviorOperator
from skrec.nn import masked_max


class MaxPooling(BehaviorOperator):
    """The maximum of the clicked items' vectors, entry by entry; nothing to learn.

    What one click says strongly stays, however many clicks say nothing of it, where a mean
    thins it out. The order of the clicks plays no part.

    See Also
    --------
    MeanPooling : Every click counts alike.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.MaxPooling())
    """

    def build(self, width: int) -> nn.Module:
        return MaxOfClicks()


class MaxOfClicks(nn.Module):
    """Masked maximum over the clicks."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return masked_max(x, mask).unsqueeze(1)
