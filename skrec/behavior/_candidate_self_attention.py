"""Self-attention, convolution and attention over the clicks that all read the candidate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_heads, check_hidden, check_int, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import MLP, Convolution, masked_softmax


class CandidateSelfAttention(BehaviorOperator):
    r"""Self-attention and convolution over the clicks that also read the candidate.

    This is the user encoder of CAUM [1]_. It has three parts, each of which reads the candidate. In
    the self-attention, the candidate is a second query: click i attends to click j with the weight
    ``softmax_j((q_i + q) . k_j)``, where the query q comes from the candidate. A convolution over
    neighboring clicks and the candidate describes short-term interests. A perceptron that reads the
    candidate and the outputs of both weights the clicks, and the user vector is their weighted
    mean. Use it to rank short lists when users have several interests and clicks explain each
    other. It is slow, because the attention between clicks is computed for each candidate. Users
    have no vector independent of a candidate, so ``transform`` raises an error.

    Do not use it if the whole catalogue is ranked, or scoring must be fast.

    Parameters
    ----------
    n_heads : int, default=4
        Number of heads of the self-attention. It must divide the recommender's `width`. The paper
        has 20 heads of size 20.
    kernel_size : int, default=3
        Number of neighboring clicks that the convolution combines. It must be odd.
    hidden : sequence of int, default=(64,)
        Sizes of the hidden layers of the perceptron that weights the clicks, at least one. The
        authors' code has (400, 256).
    dropout : float, default=0.2
        Dropout rate of the vectors of clicks and candidates, and of the outputs of convolution and
        self-attention.

    See Also
    --------
    TargetAttention : Compares the candidate with each click separately; faster.
    BehaviorSequenceTransformer : Makes the candidate a part of the sequence.

    Notes
    -----
    .. math::

       a_{ij} = \operatorname{softmax}_j\left((q_i + q(v))^\top k_j\right), \quad u(v) = \sum_l
       \beta_l(v) \, z_l(v)

    **Cost.** 53,696 weights with ``width=64``; O(C L (L + D) D) time for C candidates and L clicks.

    In the authors' code, the projections of the self-attention read a linear layer of click and
    candidate. A softmax does not depend on the part of the keys that comes from the candidate, so
    their attention has the weights above, up to a product of two matrices that is one matrix here.
    This avoids to project each pair of a click and a candidate. In their convolution, the first and
    the last click of a padded history are neighbors. Here, clicks beyond the ends are zeros, and
    padding has no influence. They apply dropout to the item vector in the score, too.

    References
    ----------
    .. [1] Qi et al., "News Recommendation with Candidate-aware User Modeling", arXiv 2204.04726.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> caum = behavior.CandidateSelfAttention(n_heads=8, hidden=(400, 256))
    >>> rec = ContentRecommender(behavior=caum)
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    candidate_aware = True

    def __init__(
        self,
        n_heads: int = 4,
        *,
        kernel_size: int = 3,
        hidden: Sequence[int] = (64,),
        dropout: float = 0.2,
    ) -> None:
        self.n_heads = n_heads
        self.kernel_size = kernel_size
        self.hidden = hidden
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_heads(self.n_heads, width)
        check_int("kernel_size", self.kernel_size)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {self.kernel_size}")
        check_hidden(self.hidden)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return ClicksForCandidate(width, self.n_heads, self.kernel_size, self.hidden, self.dropout)


class ClicksForCandidate(nn.Module):
    """Weighted mean per candidate of what convolution and self-attention make of the clicks."""

    def __init__(
        self, width: int, n_heads: int, kernel_size: int, hidden: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout = nn.Dropout(dropout)
        self.convolve = Convolution(width, kernel_size)
        self.candidate_filter = nn.Linear(width, width, bias=False)
        self.project = nn.Linear(width, 3 * width)
        self.candidate_query = nn.Linear(width, width, bias=False)
        self.candidate_value = nn.Linear(width, width, bias=False)
        self.fuse = nn.Linear(2 * width, width)
        self.weigh = MLP(2 * width, hidden, 1, "tanh")
        # a softmax is invariant to a constant added to all scores
        self.weigh.layers[-1].register_parameter("bias", None)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) and candidates (B, C, D) to (B, C, 1, D)."""
        x = self.dropout(x.masked_fill(~mask.unsqueeze(-1), 0.0))
        candidates = self.dropout(candidates)
        near = self.convolve(x, mask).unsqueeze(1)  # (B, 1, L, D)
        near = near + self.candidate_filter(candidates).unsqueeze(2)  # (B, C, L, D)
        far = self._attend(x, mask, candidates)  # (B, C, L, D)
        x = self.fuse(self.dropout(torch.cat([near, far], dim=-1)))  # (B, C, L, D)
        both = torch.cat([x, candidates.unsqueeze(2).expand_as(x)], dim=-1)  # (B, C, L, 2 D)
        weights = masked_softmax(self.weigh(both).squeeze(-1), mask.unsqueeze(1))  # (B, C, L)
        return weights.unsqueeze(2) @ x

    def _attend(
        self, x: torch.Tensor, mask: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Return the output of the self-attention for each candidate, (B, C, L, D)."""
        heads = self.n_heads, x.shape[2] // self.n_heads
        q, k, v = (part.unflatten(2, heads) for part in self.project(x).chunk(3, dim=2))
        wanted = self.candidate_query(candidates).unflatten(2, heads)  # (B, C, H, D / H)
        scores = torch.einsum("bihd,bjhd->bhij", q, k).unsqueeze(1)  # (B, 1, H, L, L)
        scores = scores + torch.einsum("bchd,bjhd->bchj", wanted, k).unsqueeze(3)
        scores = scores / math.sqrt(heads[1])  # (B, C, H, L, L)
        weights = masked_softmax(scores, mask[:, None, None, None, :])
        mixed = torch.einsum("bchij,bjhd->bcihd", weights, v).flatten(3)  # (B, C, L, D)
        # the weights of a click sum to 1, so the candidate's part of the values is added once
        return mixed + self.candidate_value(candidates).unsqueeze(2)
