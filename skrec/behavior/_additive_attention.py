"""Attention-weighted mean of the clicked items."""

from __future__ import annotations

import math

import torch
from torch import nn

from skrec._common.checks import check_int, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import AdditiveAttention as AdditiveAttentionLayer
from skrec.nn import causal_pooling, masked_softmax


class AdditiveAttention(BehaviorOperator):
    r"""Weighted mean of the clicks with weights ``softmax(w tanh(W x + b))``.

    This is the user encoder of NAML [1]_. It learns which clicks are informative and ignores their
    order. It is fast and has few weights to learn.

    Use it if some clicks say more than others. Do not use it if the order of the clicks matters, as
    in series or sessions.

    Parameters
    ----------
    hidden : int, default=None
        Number of rows of W. None uses the recommender's `width`.
    decay : float, default=None
        If it is given, recent clicks have more weight: ``rate * l`` is added to the logit of click
        l, with a learned rate that starts at ``-log(decay)``. With 0.7, training starts from
        weights that a click of age n, counted in clicks, multiplies by 0.7**n. None ignores the
        order of the clicks.

    See Also
    --------
    MeanPooling : Gives all clicks the same weight.
    SelfAttention : Lets the clicks attend to each other first.

    Notes
    -----
    .. math::

       u = \sum_l \alpha_l h_l, \quad \alpha = \operatorname{softmax}_l(w^\top \tanh(W h_l + b))

    **Cost.** 4,224 weights with ``width=64``; O(L D²) time for a history of L clicks and vectors of
    D numbers.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Attentive Multi-View Learning",
       arXiv 1907.05576.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.AdditiveAttention(hidden=32))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    causal = True

    def __init__(self, hidden: int | None = None, *, decay: float | None = None) -> None:
        self.hidden = hidden
        self.decay = decay

    def check(self, width: int) -> None:
        if self.hidden is not None:
            check_int("hidden", self.hidden)
        if self.decay is not None:
            check_real("decay", self.decay, 0, 1, closed="right")

    def build(self, width: int) -> nn.Module:
        return AttentionOverClicks(width, self.hidden or width, self.decay)


class AttentionOverClicks(nn.Module):
    """Additive attention over the clicks."""

    def __init__(self, width: int, hidden: int, decay: float | None = None) -> None:
        super().__init__()
        self.attention = AdditiveAttentionLayer(width, hidden)
        self.rate = None if decay is None else nn.Parameter(torch.tensor(-math.log(decay)))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        weights = masked_softmax(self._scores(x), mask)  # (B, L)
        return torch.bmm(weights.unsqueeze(1), x)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to the user vectors (B, L, 1, D) after each."""
        return causal_pooling(self._scores(x), x, mask).unsqueeze(2)

    def _scores(self, x: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) to the logits of their weights (B, L)."""
        scores = self.attention.scores(x)
        if self.rate is None:
            return scores
        place = torch.arange(x.shape[1], device=x.device, dtype=scores.dtype)
        return scores + self.rate * place
