"""No user vector: each click is scored by itself."""

from __future__ import annotations

import torch
from torch import nn

from skrec.behavior._base import BehaviorOperator


class LateFusion(BehaviorOperator):
    """Score each click against the candidate on its own, and average the scores.

    User modelling is left out [1]_. With ``predictor.Dot`` this is `MeanPooling`, and slower;
    it differs with predictors that are not linear in the user vector: ``predictor.Cosine``
    counts clicks of any length alike, and ``predictor.MLP`` learns how one item leads to another.

    Scoring takes as many calls of the predictor as there are clicks. Users have no vector of
    their own, so ``transform`` raises.

    See Also
    --------
    MeanPooling : Averages the vectors, before they are scored.

    References
    ----------
    .. [1] Iana et al., "Simplifying Content-Based Neural News Recommendation: On User Modeling
       and Training Objectives", arXiv 2304.03112.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior, predictor
    >>> rec = ContentRecommender(behavior=behavior.LateFusion(), predictor=predictor.MLP())
    """

    late_fusion = True

    def build(self, width: int) -> nn.Module:
        return EachClick()


class EachClick(nn.Module):
    """The clicks as they are."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to one user vector a click, (B, L, D)."""
        return x
