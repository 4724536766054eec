"""Graph of a user and the clicked items."""

from __future__ import annotations

import math

import torch
from torch import nn

from skrec._common.checks import check_int
from skrec.behavior._base import BehaviorOperator
from skrec.nn import masked_mean, masked_softmax


class BipartiteGraph(BehaviorOperator):
    r"""Layer of GraphSAGE over the graph of a user and the clicks, followed by attention.

    This is the user encoder of CROWN [1]_. The nodes are the user, who has a learned vector that
    all users share, and the clicked items. Each click is an edge. A layer of GraphSAGE [2]_ adds a
    linear layer of the mean of its neighbors to a linear layer of each node. The new vector of the
    user, which is a function of the mean of the clicks, is the query of a scaled dot-product
    attention over the new vectors of the clicks. Use it instead of `SelfAttention` if histories
    are long: its time is linear in their length. The order of the clicks is ignored.

    Do not use it if recent clicks matter most: their order is ignored.

    Parameters
    ----------
    hidden : int, default=200
        Size of queries and keys of the attention.

    See Also
    --------
    AdditiveAttention : The query does not depend on the clicks.
    SelfAttention : Each click has its own query.

    Notes
    -----
    .. math::

       \bar u = W u_0 + V \operatorname{mean}_l h_l, \quad \bar h_l = W h_l + V u_0, \quad u =
       \sum_l \operatorname{softmax}_l\left((K \bar h_l)^\top Q \bar u\right) \bar h_l

    **Cost.** 34,120 weights with ``width=64``; O(L D²) time for a history of L clicks.

    In the paper, the users of a batch are nodes of the same graph. Here, each user has a graph of
    their own, so a user vector does not depend on other rows. In the authors' code, the edges start
    from nodes of clicks, and the query of the attention comes from the first click; this operator
    follows the paper.

    References
    ----------
    .. [1] Ko et al., "CROWN: A Novel Approach to Comprehending Users' Preferences for Accurate
       Personalized News Recommendation", arXiv 2310.09401.
    .. [2] Hamilton et al., "Inductive Representation Learning on Large Graphs", arXiv 1706.02216.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.BipartiteGraph(hidden=64))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    def __init__(self, hidden: int = 200) -> None:
        self.hidden = hidden

    def check(self, width: int) -> None:
        check_int("hidden", self.hidden)

    def build(self, width: int) -> nn.Module:
        return GraphOfUser(width, self.hidden)


class GraphOfUser(nn.Module):
    """One layer over the graph of a user and the clicks, and attention with the user as query."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.user = nn.Parameter(torch.zeros(width))
        self.own = nn.Linear(width, width, bias=False)
        self.neighbors = nn.Linear(width, width)
        self.query = nn.Linear(width, hidden)
        # a bias of the keys would add a constant to all scores
        self.key = nn.Linear(width, hidden, bias=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        x = x.masked_fill(~mask.unsqueeze(-1), 0.0)
        user = self.own(self.user) + self.neighbors(masked_mean(x, mask))  # (B, D)
        clicks = self.own(x) + self.neighbors(self.user)  # (B, L, D)
        query = self.query(user) / math.sqrt(self.query.out_features)  # (B, A)
        scores = self.key(clicks) @ query.unsqueeze(2)  # (B, L, 1)
        weights = masked_softmax(scores.squeeze(2), mask)  # (B, L)
        return weights.unsqueeze(1) @ clicks
