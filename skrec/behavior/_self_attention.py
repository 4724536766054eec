"""Self-attention over the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_heads, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import AdditiveAttention, MultiHeadSelfAttention


class SelfAttention(BehaviorOperator):
    r"""Multi-head self-attention over the clicks, followed by additive attention.

    This is the user encoder of NRMS [1]_. Each click attends to all clicks of the history, and
    their order is ignored. Use it when the meaning of a click depends on the others.

    Do not use it if the order of the clicks matters, or histories have many hundreds of clicks.

    Parameters
    ----------
    n_heads : int, default=4
        Number of attention heads. It must divide the recommender's `width`.
    dropout : float, default=0.2
        Dropout rate of the output of the self-attention.

    See Also
    --------
    AdditiveAttention : Faster, and often as good.
    Fastformer : Linear time, for long histories.

    Notes
    -----
    .. math::

       z = \operatorname{softmax}\left(\frac{Q K^\top}{\sqrt{d}}\right) V, \quad u = \sum_l
       \alpha_l z_l

    **Cost.** 20,864 weights with ``width=64``; O(L² D + L D²) time for a history of L clicks.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Multi-Head Self-Attention",
       EMNLP-IJCNLP 2019.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.SelfAttention(n_heads=8))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    def __init__(self, n_heads: int = 4, *, dropout: float = 0.2) -> None:
        self.n_heads = n_heads
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_heads(self.n_heads, width)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return SelfAttentionOverClicks(width, self.n_heads, self.dropout)


class SelfAttentionOverClicks(nn.Module):
    """Self-attention and additive attention over the clicks."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.mix = MultiHeadSelfAttention(width, n_heads)
        self.dropout = nn.Dropout(dropout)
        self.attention = AdditiveAttention(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        mixed = self.dropout(self.mix(x, mask))  # (B, L, D)
        return self.attention(mixed, mask).unsqueeze(1)
