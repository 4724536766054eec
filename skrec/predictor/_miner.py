"""Scores of several interests, brought together for each candidate."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from skrec._common.checks import check_choice
from skrec.nn import masked_max, masked_mean, masked_softmax
from skrec.predictor._base import Predictor

AGGREGATIONS = ("weighted", "max", "mean")


class MINER(Predictor):
    """Dot products of the candidate with each of a user's K vectors, made one score.

    The click predictor of MINER [1]_, for behavior operators that give several interests a user.
    With a single vector all kinds are its dot product with the candidate.

    Parameters
    ----------
    aggregation : {"weighted", "max", "mean"}, default="weighted"
        "weighted": interest e_i counts for candidate v with ``softmax_i(e_i.gelu(W v))``. "max":
        the interest that suits best. "mean": all alike.

    See Also
    --------
    Dot : Weighs several vectors by their dot products, with no weights to learn.

    Notes
    -----
    Where users have one vector, W is not used: its gradient is 0.

    References
    ----------
    .. [1] Li et al., "MINER: Multi-Interest Matching Network for News Recommendation",
       Findings of ACL 2022.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior, predictor
    >>> rec = ContentRecommender(
    ...     behavior=behavior.PolyAttention(8), predictor=predictor.MINER("max")
    ... )
    """

    def __init__(self, aggregation: str = "weighted"):
        self.aggregation = aggregation

    def check(self, width: int) -> None:
        check_choice("aggregation", self.aggregation, AGGREGATIONS)

    def build(self, width: int) -> nn.Module:
        return InterestScores(width, self.aggregation)


class InterestScores(nn.Module):
    """One score of each interest, and their weighted mean, maximum or mean."""

    def __init__(self, width: int, aggregation: str):
        super().__init__()
        self.aggregation = aggregation
        self.target = nn.Linear(width, width, bias=False) if aggregation == "weighted" else None

    def forward(
        self, user: torch.Tensor, user_mask: torch.Tensor, item: torch.Tensor
    ) -> torch.Tensor:
        """Score candidates item (B, C, D) against user (B, C or 1, K, D), to (B, C).

        The mask (B, K) says which user vectors are real.
        """
        user = user.masked_fill(~user_mask[:, None, :, None], 0.0)
        scores = torch.einsum("bckd,bcd->bck", user, item)  # (B, C, K)
        if self.target is not None:
            target = F.gelu(self.target(item))  # (B, C, D)
            suits = torch.einsum("bckd,bcd->bck", user, target)
            return (masked_softmax(suits, user_mask.unsqueeze(1)) * scores).sum(dim=-1)
        pool = masked_max if self.aggregation == "max" else masked_mean
        return pool(scores.transpose(1, 2), user_mask)

    def score_all(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Score all items (N, D) for users (H, D) of one vector each, to (H, N)."""
        return user @ items.T
