"""Attention-weighted mean of the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int
from skrec.behavior._base import BehaviorOperator
from skrec.nn import AdditiveAttention as AdditiveAttentionLayer


class AdditiveAttention(BehaviorOperator):
    """A weighted mean of the clicks, with weights ``softmax(w tanh(W x + b))``.

    The user encoder of NAML [1]_: informative clicks weigh more, whatever their order.

    Parameters
    ----------
    hidden : int, default=None
        Rows of W; None takes the recommender's `width`.

    See Also
    --------
    SelfAttention : Lets clicks see each other first.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Attentive Multi-View Learning",
       arXiv 1907.05576.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.AdditiveAttention(hidden=32))
    """

    def __init__(self, hidden: int | None = None):
        self.hidden = hidden

    def check(self, width: int) -> None:
        if self.hidden is not None:
            check_int("hidden", self.hidden)

    def build(self, width: int) -> nn.Module:
        return AttentionOverClicks(width, self.hidden or width)


class AttentionOverClicks(nn.Module):
    """Additive attention over the clicks."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.attention = AdditiveAttentionLayer(width, hidden)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return self.attention(x, mask).unsqueeze(1)
