"""Maximum of the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec.behavior._base import BehaviorOperator
from skrec.nn import masked_max


class MaxPooling(BehaviorOperator):
    r"""Elementwise maximum of the vectors of the clicked items; it has no weights to learn.

    A strong signal of one click is kept, however many other clicks lack it. The order of the
    clicks is ignored. Use it when a mean would dilute such signals.

    Do not use it if the frequency or the order of interests matters.

    See Also
    --------
    MeanPooling : Gives all clicks the same weight.

    Notes
    -----
    .. math::

       u_d = \max_l h_{l d}

    **Cost.** No weights; O(L D) time.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.MaxPooling())
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    causal = True

    def build(self, width: int) -> nn.Module:
        return MaxOfClicks()


class MaxOfClicks(nn.Module):
    """Masked maximum over the clicks."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return masked_max(x, mask).unsqueeze(1)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to the maxima of all beginnings (B, L, 1, D)."""
        return x.cummax(dim=1).values.unsqueeze(2)  # padding comes last
