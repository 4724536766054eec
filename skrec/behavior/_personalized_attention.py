"""Attention over the clicked items whose query depends on the user."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.behavior._gru import UserEmbedding
from skrec.nn import masked_softmax


class PersonalizedAttention(BehaviorOperator):
    r"""Weighted mean of the clicks, with weights that depend on the user.

    This is the user encoder of NPA [1]_. Click r_i of the user with embedding e has the weight
    ``softmax_i(r_i . tanh(W q + b))``, where ``q = relu(V e + c)`` is the query of the user. Two
    users with the same clicks therefore have different vectors. The embeddings are learned per
    ``user_id`` of the training rows. Use it for returning users with enough clicks. Unknown users,
    and rows without a ``user_id`` in prediction, have the embedding zero, so all of them share one
    query. The order of the clicks is ignored.

    Do not use it if most users are new, or have few clicks.

    Parameters
    ----------
    hidden : int, default=200
        Size of the query.
    user_size : int, default=50
        Size of the embedding of a user.
    dropout : float, default=0.0
        Dropout rate of the vectors of the clicks and of the query.
    user_dropout : float, default=0.2
        Fraction of user embeddings that are set to zero in training. This teaches the model to
        serve unknown users.

    See Also
    --------
    AdditiveAttention : All users have the same query.
    GRU : Reads the order of the clicks, and optionally a vector per user.

    Notes
    -----
    .. math::

       u = \sum_l \alpha_l h_l, \quad \alpha = \operatorname{softmax}_l\left(h_l^\top \tanh(W q +
       b)\right), \quad q = \operatorname{relu}(V e + c)

    **Cost.** 13,064 weights with ``width=64``, and one embedding per user; O(L D) time.

    In the paper, dropout applies to single entries of the embeddings. Setting whole embeddings to
    zero is that of LSTUR; see `GRU`. In some other implementations, the weights are
    ``softmax_i(q . tanh(W r_i + b))``.

    References
    ----------
    .. [1] Wu et al., "NPA: Neural News Recommendation with Personalized Attention",
       arXiv 1907.05559.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.PersonalizedAttention(user_dropout=0.5))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit({"user_id": [7, 8], "history": [[0, 1, 2], [2, 0]]}, items=texts)
    >>> rec.transform({"user_id": [7, 9], "history": [[0, 1], []]}).shape
    (2, 8)
    """

    reads_users = True

    def __init__(
        self,
        hidden: int = 200,
        *,
        user_size: int = 50,
        dropout: float = 0.0,
        user_dropout: float = 0.2,
    ) -> None:
        self.hidden = hidden
        self.user_size = user_size
        self.dropout = dropout
        self.user_dropout = user_dropout

    def check(self, width: int) -> None:
        check_int("hidden", self.hidden)
        check_int("user_size", self.user_size)
        check_real("dropout", self.dropout, 0, 1, closed="left")
        check_real("user_dropout", self.user_dropout, 0, 1, closed="left")

    def build(self, width: int, n_users: int = 0) -> nn.Module:
        users = UserEmbedding(n_users, self.user_size, self.user_dropout)
        return AttentionOfUser(width, self.hidden, users, self.dropout)


class AttentionOfUser(nn.Module):
    """Attention over the clicks with a query that a perceptron computes from the user."""

    def __init__(self, width: int, hidden: int, users: UserEmbedding, dropout: float) -> None:
        super().__init__()
        self.users = users
        layer = nn.Linear(users.width, hidden)
        # without known users, all embeddings are zero, and the weight could not be trained
        self.weight = layer.weight if users.table is not None else None
        self.bias = layer.bias
        self.project = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, user: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) of users (B,) to (B, 1, D)."""
        x = self.dropout(x.masked_fill(~mask.unsqueeze(-1), 0.0))
        query = torch.tanh(self.project(self.dropout(self._query(user, x))))  # (B, D)
        scores = (x @ query.unsqueeze(2)).squeeze(2)  # (B, L)
        return masked_softmax(scores, mask).unsqueeze(1) @ x

    def _query(self, user: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Map codes (B,) to queries (B, Q)."""
        if self.weight is None:
            return torch.relu(self.bias).expand(len(user), -1)
        return torch.relu(nn.functional.linear(self.users(user, like), self.weight, self.bias))
