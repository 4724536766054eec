"""Attention-weighted mean of the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int
from skrec.behavior._base import BehaviorOperator
from skrec.nn import AdditiveAttention as AdditiveAttentionLayer


class AdditiveAttention(BehaviorOperator):
    """Weighted mean of the clicks with weights ``softmax(w tanh(W x + b))``.

    This is the user encoder of NAML [1]_. It learns which clicks are informative and ignores their
    order. It is the recommender's default: it is fast and has few weights to learn.

    Parameters
    ----------
    hidden : int, default=None
        Number of rows of W. None uses the recommender's `width`.

    See Also
    --------
    MeanPooling : Gives all clicks the same weight.
    SelfAttention : Lets the clicks attend to each other first.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Attentive Multi-View Learning",
       arXiv 1907.05576.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.AdditiveAttention(hidden=32))
    """

    def __init__(self, hidden: int | None = None) -> None:
        self.hidden = hidden

    def check(self, width: int) -> None:
        if self.hidden is not None:
            check_int("hidden", self.hidden)

    def build(self, width: int) -> nn.Module:
        return AttentionOverClicks(width, self.hidden or width)


class AttentionOverClicks(nn.Module):
    """Additive attention over the clicks."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.attention = AdditiveAttentionLayer(width, hidden)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return self.attention(x, mask).unsqueeze(1)
