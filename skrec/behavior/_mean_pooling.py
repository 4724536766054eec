"""Mean of the clicked items."""

from __future__ import annotations

import math

import torch
from torch import nn

from skrec._common.checks import check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import causal_pooling, masked_softmax


class MeanPooling(BehaviorOperator):
    r"""Mean of the vectors of the clicked items; it has no weights to learn.

    By default, all clicks have the same weight, and their order is ignored. Use it as the baseline
    for all other operators.

    Do not use it if interests change over time, or users have several of them.

    Parameters
    ----------
    decay : float, default=1.0
        Weight of a click relative to the next, later one. With 0.7, a click of age n, counted in
        clicks, has the weight 0.7**n before the weights are scaled to a sum of 1.

    See Also
    --------
    AdditiveAttention : Learns the weights of the clicks.
    MaxPooling : Keeps the strongest signal instead of the average.

    Notes
    -----
    .. math::

       u = \frac{1}{L} \sum_l h_l

    **Cost.** No weights by default; O(L D) time.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.MeanPooling())
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    causal = True

    def __init__(self, *, decay: float = 1.0) -> None:
        self.decay = decay

    def check(self, width: int) -> None:
        check_real("decay", self.decay, 0, 1, closed="right")

    def build(self, width: int) -> nn.Module:
        return MeanOfClicks(self.decay)


class MeanOfClicks(nn.Module):
    """Mean over the clicks, weighted by their age."""

    def __init__(self, decay: float = 1.0) -> None:
        super().__init__()
        self.rate = -math.log(decay)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        weights = masked_softmax(self._scores(mask, x.dtype), mask)
        return torch.bmm(weights.unsqueeze(1), x)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to the means of all beginnings (B, L, 1, D)."""
        return causal_pooling(self._scores(mask, x.dtype), x, mask).unsqueeze(2)

    def _scores(self, mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return the logarithms of the weights (B, L), up to a constant per row."""
        place = torch.arange(mask.shape[1], device=mask.device, dtype=dtype)
        return (self.rate * place).expand(mask.shape)
