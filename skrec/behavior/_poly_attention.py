"""Several interests of a user, each an attention of its own over the clicks."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import masked_softmax, unit


class PolyAttention(BehaviorOperator):
    """K user vectors, weighted means of the clicks; training keeps them apart.

    The user encoder of MINER [1]_, with the context codes of poly-encoders [2]_. Code c_i gives
    click h_j the weight ``softmax_j(c_i tanh(W h_j))``. A predictor for one vector a user weighs
    the K vectors by their dot products with the candidate. Good where users have several
    interests that one mean would blur.

    Parameters
    ----------
    n_codes : int, default=32
        K, the number of user vectors.
    hidden : int, default=200
        Rows of W, and size of the codes.
    disagreement : float, default=0.8
        Weight in the loss of how like each other a user's vectors are: the mean of the cosines
        of all K * K pairs, a vector with itself among them as in the paper, where the K ones of
        these add the constant 1 / K. With 0 nothing keeps the vectors apart.
    category : str, default=None
        A column of the catalogue. With it, clicks of the candidate's category weigh more:
        `category_weight` times the cosine of the embeddings of the click's and the candidate's
        category is added before the softmax. The user vectors then differ with the candidate,
        so ``transform`` raises.
    category_weight : float, default=0.5
        See `category`; ignored without it.

    See Also
    --------
    AdditiveAttention : One code.
    TargetAttention : One vector for each candidate.

    Notes
    -----
    Each candidate has weights of its own, as in the paper; code in circulation takes the mean of
    the category's part over the candidates of a row, so that they change each other's scores.

    References
    ----------
    .. [1] Li et al., "MINER: Multi-Interest Matching Network for News Recommendation",
       Findings of ACL 2022.
    .. [2] Humeau et al., "Poly-encoders: Transformer Architectures and Pre-training Strategies
       for Fast and Accurate Multi-sentence Scoring", arXiv 1905.01969.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.PolyAttention(8, category="topic"))
    """

    def __init__(
        self,
        n_codes: int = 32,
        *,
        hidden: int = 200,
        disagreement: float = 0.8,
        category: str | None = None,
        category_weight: float = 0.5,
    ):
        self.n_codes = n_codes
        self.hidden = hidden
        self.disagreement = disagreement
        self.category = category
        self.category_weight = category_weight

    @property
    def candidate_aware(self) -> bool:  # type: ignore[override]
        """Whether weights depend on the candidate's category."""
        return self.category is not None

    @property
    def side_columns(self) -> list[str] | None:  # type: ignore[override]
        """The column of the category, if there is one."""
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
    """What each context code says of the clicks, and the price of saying the same."""

    def __init__(self, width: int, n_codes: int, hidden: int, disagreement: float):
        super().__init__()
        self.disagreement = disagreement
        self.project = nn.Linear(width, hidden, bias=False)
        self.codes = nn.Linear(hidden, n_codes, bias=False)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) to scores (B, K, L)."""
        return self.codes(torch.tanh(self.project(x))).transpose(1, 2)

    def penalty(self, users: torch.Tensor) -> torch.Tensor:
        """Return the weighted mean cosine of pairs among the K vectors of users (..., K, D)."""
        # the mean of u_i . u_j over all pairs i, j is the squared length of the mean of u_i
        middle = unit(users).mean(dim=-2)  # (..., D)
        return self.disagreement * middle.square().sum(dim=-1).mean()


class Interests(ContextCodes):
    """One attention over the clicks for each context code."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, K, D)."""
        return masked_softmax(self.scores(x), mask.unsqueeze(1)) @ x


class InterestsInCategories(ContextCodes):
    """The same, where clicks of a category like the candidate's weigh more."""

    def __init__(
        self, width: int, n_codes: int, hidden: int, disagreement: float, category_weight: float
    ):
        super().__init__(width, n_codes, hidden, disagreement)
        self.width = width
        self.category_weight = category_weight

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Map clicks x (B, L, D + E) under mask (B, L) and candidates (B, C, D + E).

        The last E entries are the category's embedding, zeros where there is none. Returns
        users (B, C, K, D).
        """
        x, category = x[..., : self.width], x[..., self.width :]
        wanted = candidates[..., self.width :]  # (B, C, E)
        alike = unit(wanted) @ unit(category).transpose(1, 2)  # (B, C, L): cosines
        scores = self.scores(x).unsqueeze(1)  # (B, 1, K, L)
        scores = scores + self.category_weight * alike.unsqueeze(2)  # (B, C, K, L)
        weights = masked_softmax(scores, mask[:, None, None, :])
        users = weights.flatten(1, 2) @ x  # (B, C * K, D)
        return users.unflatten(1, scores.shape[1:3])
