"""Recurrent network over the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_choice, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import embedding_table, last_real


class GRU(BehaviorOperator):
    r"""Gated recurrent unit over the clicks, oldest first; its last state is the user vector.

    This is the user encoder of LSTUR [1]_. Use it when interests change over time and recent clicks
    matter most. A user embedding adds long-term interests that the history does not show.

    Do not use it if histories are long and training time matters: the clicks are read one after
    another.

    Parameters
    ----------
    user_embedding : {"ini", "con"}, default=None
        How a learned vector per known user, read from the column ``user_id``, is used. "ini" uses
        it as the initial state. "con" concatenates it with the last state and projects both to
        `width`. None uses no user embedding.
    dropout : float, default=0.0
        Dropout rate of the vectors of the clicks.
    user_dropout : float, default=0.5
        Fraction of user embeddings that are set to zero in training. This teaches the model to
        serve unknown users, whose embedding is zero. Ignored if `user_embedding` is None.

    See Also
    --------
    LastItem : Only the latest click.
    SelfAttention : Lets all clicks attend to each other, without their order.

    Notes
    -----
    .. math::

       z_l = \sigma(W_z h_l + U_z s_{l-1}), \quad s_l = z_l * s_{l-1} + (1 - z_l) * \tanh(W h_l +
       r_l * U s_{l-1}), \quad u = s_L

    **Cost.** 24,960 weights with ``width=64``, and D per user with `user_embedding`; O(L D²) time,
    L steps in sequence.

    In the paper, "con" gives the state and the embedding half of the width each; their
    concatenation has the size of an item vector. Here both have the full width, any width is
    possible, and the projection weights them. As in the paper, embeddings that are not dropped
    are not scaled up in training.

    References
    ----------
    .. [1] An et al., "Neural News Recommendation with Long- and Short-term User
       Representations", ACL 2019.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.GRU(dropout=0.2))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    causal = True

    def __init__(
        self,
        *,
        user_embedding: str | None = None,
        dropout: float = 0.0,
        user_dropout: float = 0.5,
    ) -> None:
        self.user_embedding = user_embedding
        self.dropout = dropout
        self.user_dropout = user_dropout

    @property
    def reads_users(self) -> bool:  # type: ignore[override]
        """Whether the operator learns one embedding per user."""
        return self.user_embedding is not None

    def check(self, width: int) -> None:
        check_choice("user_embedding", self.user_embedding, ("ini", "con", None))
        check_real("dropout", self.dropout, 0, 1, closed="left")
        check_real("user_dropout", self.user_dropout, 0, 1, closed="left")

    def build(self, width: int, n_users: int = 0) -> nn.Module:
        if self.user_embedding is None:
            return GRUOverClicks(width, self.dropout)
        module = {"ini": GRUFromUser, "con": GRUWithUser}[self.user_embedding]
        return module(width, self.dropout, UserEmbedding(n_users, width, self.user_dropout))


class LastState(nn.Module):
    """Base class of modules that use the state of a GRU after the last click."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(width, width, batch_first=True)

    def last(
        self, x: torch.Tensor, mask: torch.Tensor, start: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L), with initial states (1, B, D), to (B, D)."""
        # padding comes after all clicks, so it does not affect the state after the last click;
        # packed sequences would copy the lengths to the CPU
        return last_real(self.all(x, start), mask)

    def all(self, x: torch.Tensor, start: torch.Tensor | None = None) -> torch.Tensor:
        """Map clicks x (B, L, D), with initial states (1, B, D), to the states (B, L, D)."""
        return self.gru(self.dropout(x), start)[0]


class GRUOverClicks(LastState):
    """Last state of a GRU as the user vector."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return self.last(x, mask).unsqueeze(1)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to the states after each (B, L, 1, D)."""
        return self.all(x).unsqueeze(2)


class UserEmbedding(nn.Module):
    """Learned vector per user; zeros for the unknown user (code 0) and for dropped users."""

    def __init__(self, n_users: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.dropout = dropout
        self.table: nn.Embedding | None = None
        if n_users:  # without known users, the table would have no trainable row
            self.table = embedding_table(n_users + 1, width, padding_idx=0)
            nn.init.normal_(self.table.weight, std=0.1)
            nn.init.zeros_(self.table.weight[0].detach())

    def forward(self, user: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Map codes (B,) to vectors (B, D) with the dtype of `like`."""
        if self.table is None:
            return like.new_zeros(len(user), self.width)
        if self.training and self.dropout:
            user = user * (torch.rand(len(user), device=user.device) >= self.dropout)
        return self.table(user).to(like.dtype)


class GRUFromUser(LastState):
    """GRU with the user's embedding as its initial state."""

    def __init__(self, width: int, dropout: float, users: UserEmbedding) -> None:
        super().__init__(width, dropout)
        self.users = users

    def forward(self, x: torch.Tensor, mask: torch.Tensor, user: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) of users (B,) to (B, 1, D)."""
        return self.last(x, mask, self.users(user, x).unsqueeze(0)).unsqueeze(1)

    def states(self, x: torch.Tensor, mask: torch.Tensor, user: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) of users (B,) to the states (B, L, 1, D)."""
        return self.all(x, self.users(user, x).unsqueeze(0)).unsqueeze(2)


class GRUWithUser(LastState):
    """Last state of a GRU and the user's embedding, projected to one vector."""

    def __init__(self, width: int, dropout: float, users: UserEmbedding) -> None:
        super().__init__(width, dropout)
        self.users = users
        self.project = nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, user: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) of users (B,) to (B, 1, D)."""
        return self._project(self.last(x, mask).unsqueeze(1), user)

    def states(self, x: torch.Tensor, mask: torch.Tensor, user: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) of users (B,) to vectors (B, L, 1, D)."""
        return self._project(self.all(x), user).unsqueeze(2)

    def _project(self, states: torch.Tensor, user: torch.Tensor) -> torch.Tensor:
        """Combine states (B, L, D) with the embeddings of users (B,) to (B, L, D)."""
        users = self.users(user, states).unsqueeze(1).expand_as(states)
        return self.project(torch.cat([states, users], dim=-1))
