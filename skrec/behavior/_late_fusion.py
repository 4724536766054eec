"""Late fusion: each click is scored separately."""

from __future__ import annotations

import torch
from torch import nn

from skrec.behavior._base import BehaviorOperator


class LateFusion(BehaviorOperator):
    r"""Mean of the candidate's scores against each click, without a user model.

    The predictor scores the candidate once per click, and the scores are averaged [1]_. Use it as
    a baseline with predictors that are not linear in the user vector. With ``predictor.Cosine``,
    the length of an item vector has no influence. With ``predictor.MLP``, the model learns how one
    item leads to another. With ``predictor.Dot``, it computes the same scores as `MeanPooling`, but
    more slowly.

    Scoring needs as many predictor calls as there are clicks. Users have no vector, so
    ``transform`` raises an error.

    Do not use it if the predictor is ``predictor.Dot``: `MeanPooling` gives the same scores in less
    time.

    See Also
    --------
    MeanPooling : Averages the item vectors instead of the scores.

    Notes
    -----
    .. math::

       s(v) = \frac{1}{L} \sum_l \operatorname{predictor}(h_l, v)

    **Cost.** No weights; L calls of the predictor per candidate.

    References
    ----------
    .. [1] Iana et al., "Simplifying Content-Based Neural News Recommendation: On User Modeling
       and Training Objectives", arXiv 2304.03112.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior, predictor
    >>> rec = ContentRecommender(behavior=behavior.LateFusion(), predictor=predictor.MLP())
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    late_fusion = True

    def build(self, width: int) -> nn.Module:
        return EachClick()


class EachClick(nn.Module):
    """Identity: each click is a user vector."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to one user vector per click, (B, L, D)."""
        return x
