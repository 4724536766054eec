"""Scores of several user vectors, aggregated per candidate."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from skrec._common.checks import check_choice
from skrec.nn import masked_max, masked_mean, masked_softmax
from skrec.predictor._base import Predictor

AGGREGATIONS = ("weighted", "max", "mean")


class MINER(Predictor):
    r"""Dot products of the candidate with each of a user's K vectors, aggregated to one score.

    This is the click predictor of MINER [1]_. Use it with behavior operators that compute several
    user vectors, such as ``behavior.PolyAttention``. With one vector per user, the score is its
    dot product with the candidate.

    Do not use it if the behavior operator gives one vector per user: `Dot` is the same.

    Parameters
    ----------
    aggregation : {"weighted", "max", "mean"}, default="weighted"
        How the K scores become one. "weighted" is their mean, with weights that a learned
        attention gives to the user vectors. "max" is their maximum, and "mean" their mean.
    projection : {"candidate", "user"}, default="candidate"
        Which vector the attention transforms. For user vectors e_i and candidate v, the weights are
        ``softmax_i(e_i . gelu(W v))`` with "candidate", and ``softmax_i(gelu(W e_i) . v)`` with
        "user". Ignored unless `aggregation` is "weighted".

    See Also
    --------
    Dot : Weights several vectors by their dot products with the candidate, without learned weights.

    Notes
    -----
    .. math::

       s = \sum_k \operatorname{softmax}_k\left(u_k^\top \operatorname{gelu}(W v)\right) u_k^\top v

    **Cost.** 4,096 weights with ``width=64``; O(K N D) time per user for K vectors and N items.

    Independent implementations of the paper differ in the attention: some transform the candidate,
    others (also that of Legommenders) the user vectors. `projection` selects one of the two.

    If users have one vector, W has no effect and its gradient is 0.

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
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    def __init__(self, aggregation: str = "weighted", *, projection: str = "candidate") -> None:
        self.aggregation = aggregation
        self.projection = projection

    def check(self, width: int) -> None:
        check_choice("aggregation", self.aggregation, AGGREGATIONS)
        check_choice("projection", self.projection, ("candidate", "user"))

    def build(self, width: int) -> nn.Module:
        return InterestScores(width, self.aggregation, self.projection == "user")


class InterestScores(nn.Module):
    """Score of each user vector, and the weighted mean, maximum or mean of these scores."""

    def __init__(self, width: int, aggregation: str, projects_users: bool = False) -> None:
        super().__init__()
        self.aggregation = aggregation
        self.projects_users = projects_users
        self.target = nn.Linear(width, width, bias=False) if aggregation == "weighted" else None

    def forward(
        self, user: torch.Tensor, user_mask: torch.Tensor, item: torch.Tensor
    ) -> torch.Tensor:
        """Score candidates item (B, C, D) for user (B, C or 1, K, D); return (B, C).

        The mask (B, K) is true for user vectors and false for padding.
        """
        user = user.masked_fill(~user_mask[:, None, :, None], 0.0)
        scores = torch.einsum("bckd,bcd->bck", user, item)  # (B, C, K)
        if self.target is not None:
            if self.projects_users:
                user = F.gelu(self.target(user))  # (B, C or 1, K, D)
            else:
                item = F.gelu(self.target(item))  # (B, C, D)
            suits = torch.einsum("bckd,bcd->bck", user, item)
            return (masked_softmax(suits, user_mask.unsqueeze(1)) * scores).sum(dim=-1)
        pool = masked_max if self.aggregation == "max" else masked_mean
        return pool(scores.transpose(1, 2), user_mask)

    def score_all(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Score all items (N, D) for users (H, D) with one vector each; return (H, N)."""
        return user @ items.T
