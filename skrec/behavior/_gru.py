"""A recurrent network over the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_choice, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import last_real


class GRU(BehaviorOperator):
    """A gated recurrent unit that reads the clicks, oldest first; its last state is the user.

    The user encoder of LSTUR [1]_. Unlike attention it knows the order: where users move from
    one interest to the next, the latest clicks say most. A user embedding adds what a user
    likes in the long run, beyond the clicks that the history holds.

    Parameters
    ----------
    user_embedding : {"ini", "con"}, default=None
        A learned vector for each known user, after the column ``user_id``: "ini" starts the
        unit from it, "con" concatenates it with the last state and projects both to `width`.
        None: the clicks say all.
    dropout : float, default=0.0
        Of the clicks' vectors, in training.
    user_dropout : float, default=0.5
        Share of user embeddings that are set to zero in training, which is what an unknown user
        has later. Ignored without `user_embedding`.

    See Also
    --------
    LastItem : The latest click alone.
    SelfAttention : Reads clicks in the light of each other, without their order.

    Notes
    -----
    In the paper, "con" gives state and embedding half of the width each, so that both together
    are as long as an item's vector. Here both have the whole width, any width will do, and the
    projection weighs them. Embeddings that are kept are not scaled up in training: the paper's
    mask is a bare coin.

    References
    ----------
    .. [1] An et al., "Neural News Recommendation with Long- and Short-term User
       Representations", ACL 2019.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.GRU(dropout=0.2))
    >>> rec = ContentRecommender(behavior=behavior.GRU(user_embedding="ini"))
    """

    def __init__(
        self,
        *,
        user_embedding: str | None = None,
        dropout: float = 0.0,
        user_dropout: float = 0.5,
    ):
        self.user_embedding = user_embedding
        self.dropout = dropout
        self.user_dropout = user_dropout

    @property
    def reads_users(self) -> bool:  # type: ignore[override]
        """Whether there is an embedding for each user."""
        return self.user_embedding is not None

    def check(self, width: int) -> None:
        check_choice("user_embedding", self.user_embedding, ("ini", "con", None))
        check_real("dropout", self.dropout, 0, 1, closed="left")
        check_real("user_dropout", self.user_dropout, 0, 1, closed="left")

    def build(self, width: int, n_users: int = 0) -> nn.Module:
        if self.user_embedding is None:
            return GRUOverClicks(width, self.dropout)
        module = {"ini": GRUFromUser, "con": GRUBesideUser}[self.user_embedding]
        return module(width, self.dropout, UserEmbedding(n_users, width, self.user_dropout))


class LastState(nn.Module):
    """The state of a GRU after the last real click."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(width, width, batch_first=True)

    def last(
        self, x: torch.Tensor, mask: torch.Tensor, start: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L), from states (1, B, D), to (B, D)."""
        # real clicks come first and a state depends on what came before it only, so padding
        # can't reach the state after the last real click; packing would send lengths to the CPU
        states, _ = self.gru(self.dropout(x), start)  # (B, L, D)
        return last_real(states, mask)


class GRUOverClicks(LastState):
    """The last state as the user."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return self.last(x, mask).unsqueeze(1)


class UserEmbedding(nn.Module):
    """A vector for each user; zeros for the unknown one, code 0, and by chance in training."""

    def __init__(self, n_users: int, width: int, dropout: float):
        super().__init__()
        self.width = width
        self.dropout = dropout
        self.table: nn.Embedding | None = None
        if n_users:  # the row of the unknown user alone would never learn
            self.table = nn.Embedding(n_users + 1, width, padding_idx=0)
            nn.init.normal_(self.table.weight, std=0.1)
            nn.init.zeros_(self.table.weight[0].detach())

    def forward(self, user: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Map codes (B,) to vectors (B, D), of the type of `like`."""
        if self.table is None:
            return like.new_zeros(len(user), self.width)
        if self.training and self.dropout:
            user = user * (torch.rand(len(user), device=user.device) >= self.dropout)
        return self.table(user).to(like.dtype)


class GRUFromUser(LastState):
    """A GRU that starts from the user's embedding."""

    def __init__(self, width: int, dropout: float, users: UserEmbedding):
        super().__init__(width, dropout)
        self.users = users

    def forward(self, x: torch.Tensor, mask: torch.Tensor, user: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) of users (B,) to (B, 1, D)."""
        return self.last(x, mask, self.users(user, x).unsqueeze(0)).unsqueeze(1)


class GRUBesideUser(LastState):
    """The last state of a GRU and the user's embedding, projected to one vector."""

    def __init__(self, width: int, dropout: float, users: UserEmbedding):
        super().__init__(width, dropout)
        self.users = users
        self.project = nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, user: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) of users (B,) to (B, 1, D)."""
        last = self.last(x, mask)  # (B, D)
        both = torch.cat([last, self.users(user, last)], dim=-1)  # (B, 2 D)
        return self.project(both).unsqueeze(1)
