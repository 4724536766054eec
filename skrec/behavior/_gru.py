"""A recurrent network over the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._operators import check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import last_real


class GRU(BehaviorOperator):
    """A gated recurrent unit that reads the clicks, oldest first; its last state is the user.

    The short-term user encoder of LSTUR [1]_. Unlike attention it knows the order: where users
    move from one interest to the next, the latest clicks say most.

    Parameters
    ----------
    dropout : float, default=0.0
        Of the clicks' vectors, in training.

    See Also
    --------
    LastItem : The latest click alone.
    SelfAttention : Reads clicks in the light of each other, without their order.

    References
    ----------
    .. [1] An et al., "Neural News Recommendation with Long- and Short-term User
       Representations", ACL 2019.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.GRU(dropout=0.2))
    """

    def __init__(self, *, dropout: float = 0.0):
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return GRUOverClicks(width, self.dropout)


class GRUOverClicks(nn.Module):
    """The state of a GRU after the last real click."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        # real clicks come first and a state depends on what came before it only, so padding
        # can't reach the state after the last real click; packing would send lengths to the CPU
        states, _ = self.gru(self.dropout(x))  # (B, L, D)
        return last_real(states, mask).unsqueeze(1)
