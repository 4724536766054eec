"""Several user vectors, each with its own attention over the clicks."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import causal_pooling, masked_softmax, unit


class PolyAttention(BehaviorOperator):
    r"""K user vectors, each a weighted mean of the clicks, which training keeps different.

    This is the user encoder of MINER [1]_, with the context codes of poly-encoders [2]_. Code c_i
    gives click h_j the weight ``softmax_j(c_i tanh(W h_j))``. Use it when users have several
    interests that one mean would mix up. Predictors that read one vector per user weight the K
    vectors by their dot products with the candidate.

    Do not use it if an index of one vector per user is needed, or histories have few clicks.

    Parameters
    ----------
    n_codes : int, default=32
        Number of user vectors, K.
    hidden : int, default=200
        Number of rows of W, which is the size of the codes.
    disagreement : float, default=0.8
        Weight of the penalty that is added to the loss for similar user vectors. The penalty is
        the mean cosine of all K * K pairs of a user's vectors. As in the paper, this includes the
        pairs of a vector with itself, which add the constant 1 / K. With 0, nothing keeps the
        vectors different.
    category : str, default=None
        Name of a column of the catalogue. If it is given, clicks of the candidate's category get
        more weight: the cosine of the category embeddings of the click and the candidate, times
        `category_weight`, is added before the softmax. User vectors then depend on the candidate,
        so ``transform`` raises an error.
    category_weight : float, default=0.5
        Weight of the category cosine. Ignored if `category` is None.

    See Also
    --------
    AdditiveAttention : One user vector.
    TargetAttention : One user vector per candidate.

    Notes
    -----
    .. math::

       u_k = \sum_l \alpha_{k l} h_l, \quad \alpha_k = \operatorname{softmax}_l\left(c_k^\top
       \tanh(W h_l)\right)

    **Cost.** 19,200 weights with ``width=64``; O(L D (D + K)) time, and K scores per candidate.

    As in the paper, each candidate has its own weights. Some other implementations average the
    category cosines over the candidates of a row, which makes the score of a candidate depend on
    the others.

    References
    ----------
    .. [1] Li et al., "MINER: Multi-Interest Matching Network for News Recommendation",
       Findings of ACL 2022.
    .. [2] Humeau et al., "Poly-encoders: Transformer Architectures and Pre-training Strategies
       for Fast and Accurate Multi-sentence Scoring", arXiv 1905.01969.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.PolyAttention(4))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 4, 8)
    """

    def __init__(
        self,
        n_codes: int = 32,
        *,
        hidden: int = 200,
        disagreement: float = 0.8,
        category: str | None = None,
        category_weight: float = 0.5,
    ) -> None:
        self.n_codes = n_codes
        self.hidden = hidden
        self.disagreement = disagreement
        self.category = category
        self.category_weight = category_weight

    @property
    def candidate_aware(self) -> bool:  # type: ignore[override]
        """Whether the weights depend on the category of the candidate."""
        return self.category is not None

    @property
    def causal(self) -> bool:  # type: ignore[override]
        """Whether the user vectors after each click are computed in one pass."""
        return self.category is None

    @property
    def side_columns(self) -> list[str] | None:  # type: ignore[override]
        """Name of the category column in a list, or None without a category."""
        return None if self.category is None else [self.category]

    def check(self, width: int) -> None:
        check_int("n_codes", self.n_codes)
        check_int("hidden", self.hidden)
        check_real("disagreement", self.disagreement)
        check_real("category_weight", self.category_weight)
        if self.category is not None and not isinstance(self.category, str):
            raise ValueError(f"category must be a column's name or None, got {self.category!r}")

    def build(self, width: int) -> nn.Module:
        if self.category is None:
            return Interests(width, self.n_codes, self.hidden, self.disagreement)
        return InterestsInCategories(
            width, self.n_codes, self.hidden, self.disagreement, self.category_weight
        )


class ContextCodes(nn.Module):
    """Scores of the clicks for each context code, and the penalty for similar user vectors."""

    def __init__(self, width: int, n_codes: int, hidden: int, disagreement: float) -> None:
        super().__init__()
        self.disagreement = disagreement
        self.project = nn.Linear(width, hidden, bias=False)
        self.codes = nn.Linear(hidden, n_codes, bias=False)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) to scores (B, K, L)."""
        return self.codes(torch.tanh(self.project(x))).transpose(1, 2)

    def penalty(self, users: torch.Tensor) -> torch.Tensor:
        """Return the weighted mean cosine of all pairs of the K vectors of users (..., K, D)."""
        # the mean of u_i . u_j over all pairs i, j is the squared length of the mean of all u_i
        middle = unit(users).mean(dim=-2)  # (..., D)
        return self.disagreement * middle.square().sum(dim=-1).mean()


class Interests(ContextCodes):
    """One attention over the clicks per context code."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, K, D)."""
        return masked_softmax(self.scores(x), mask.unsqueeze(1)) @ x

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to the user vectors (B, L, K, D) after each."""
        scores = self.scores(x).unbind(dim=1)  # K times (B, L)
        return torch.stack([causal_pooling(each, x, mask) for each in scores], dim=2)


class InterestsInCategories(ContextCodes):
    """One attention over the clicks per context code, which prefers the candidate's category."""

    def __init__(
        self, width: int, n_codes: int, hidden: int, disagreement: float, category_weight: float
    ) -> None:
        super().__init__(width, n_codes, hidden, disagreement)
        self.width = width
        self.category_weight = category_weight

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Map clicks x (B, L, D + E) under mask (B, L) and candidates (B, C, D + E).

        The last E entries are the embedding of the category, or zeros without a category. Return
        user vectors (B, C, K, D).
        """
        x, category = x[..., : self.width], x[..., self.width :]
        wanted = candidates[..., self.width :]  # (B, C, E)
        alike = unit(wanted) @ unit(category).transpose(1, 2)  # cosines (B, C, L)
        scores = self.scores(x).unsqueeze(1)  # (B, 1, K, L)
        scores = scores + self.category_weight * alike.unsqueeze(2)  # (B, C, K, L)
        weights = masked_softmax(scores, mask[:, None, None, :])
        users = weights.flatten(1, 2) @ x  # (B, C * K, D)
        return users.unflatten(1, scores.shape[1:3])
