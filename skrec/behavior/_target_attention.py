"""Attention to the clicks that are relevant to a candidate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_choice, check_hidden, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import ACTIVATIONS, MLP, masked_softmax


class TargetAttention(BehaviorOperator):
    r"""Sum of the clicks, weighted by their relevance to the candidate.

    This is the local activation unit of DIN [1]_. The weight of click h for candidate v is
    ``MLP([v, h, v - h, v * h])``, and the user vector is the weighted sum of the clicks. Together
    with ``predictor.MLP`` it forms the complete DIN. Use it to rank short lists when users have
    several interests. It is slow, because a perceptron reads each pair of a click and a candidate.
    Users have no vector independent of a candidate, so ``transform`` raises an error.

    Do not use it if the whole catalogue is ranked: `PolyAttention` keeps several interests at less
    cost.

    Parameters
    ----------
    hidden : sequence of int, default=(36,)
        Sizes of the hidden layers of the perceptron, at least one.
    activation : str, default="relu"
        Activation after each hidden layer, a key of ``skrec.nn.ACTIVATIONS``. The paper uses
        "dice", which depends on statistics of the batch in training. With "relu", the weight of a
        click does not depend on other rows.
    normalize : bool, default=False
        Whether a softmax makes the weights of a user's clicks sum to 1. In the paper, weights are
        not normalized, and the length of the user vector shows how much of the history is
        relevant to the candidate. If True, vectors of long and short histories have similar
        lengths, which is safer with ``predictor.Dot``, whose score grows with the length.
    dropout : float, default=0.0
        Dropout rate after each activation.

    See Also
    --------
    BehaviorSequenceTransformer : Lets the clicks attend to each other, too.
    PolyAttention : Several interests, computed without the candidate.

    Notes
    -----
    .. math::

       u(v) = \sum_l \operatorname{MLP}([v; h_l; v - h_l; v * h_l]) \, h_l

    **Cost.** 9,289 weights with ``width=64``; O(C L D) time, times the hidden units, for C
    candidates.

    The paper describes the inputs of the perceptron as the two vectors and their "out product".
    The authors' code uses their difference and their elementwise product, and so does this
    operator. The tests compare it with ``AttentionSequencePoolingLayer`` of deepctr-torch 0.3.

    References
    ----------
    .. [1] Zhou et al., "Deep Interest Network for Click-Through Rate Prediction",
       arXiv 1706.06978, equation 3.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior, predictor
    >>> rec = ContentRecommender(behavior=behavior.TargetAttention(), predictor=predictor.MLP())
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    candidate_aware = True

    def __init__(
        self,
        hidden: Sequence[int] = (36,),
        *,
        activation: str = "relu",
        normalize: bool = False,
        dropout: float = 0.0,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.normalize = normalize
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_hidden(self.hidden)
        check_choice("activation", self.activation, tuple(ACTIVATIONS))
        check_choice("normalize", self.normalize, (False, True))
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return ActivatedClicks(width, self.hidden, self.activation, self.normalize, self.dropout)


class ActivatedClicks(nn.Module):
    """Sum of the clicks per candidate, weighted by a perceptron that reads both."""

    def __init__(
        self, width: int, hidden: Sequence[int], activation: str, normalize: bool, dropout: float
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.unit = MLP(4 * width, hidden, 1, activation, dropout)
        if normalize:
            # a softmax is invariant to a constant added to all scores
            self.unit.layers[-1].register_parameter("bias", None)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) and candidates (B, C, D) to (B, C, 1, D)."""
        B, L, _ = x.shape
        # padding is left out, because it would affect the statistics of "dice"
        real = mask.flatten().nonzero().squeeze(1)  # (P,), indices into B * L clicks
        v = candidates.index_select(0, real // L)  # (P, C, D)
        h = x.flatten(0, 1).index_select(0, real).unsqueeze(1).expand_as(v)  # (P, C, D)
        scores = self.unit(torch.cat([v, h, v - h, v * h], dim=-1)).squeeze(-1)  # (P, C)
        scores = scores.new_zeros(B * L, scores.shape[1]).index_copy(0, real, scores)
        weights = scores.unflatten(0, (B, L))  # (B, L, C), 0 in padding
        if self.normalize:
            weights = masked_softmax(weights, mask.unsqueeze(-1), dim=1)
        return (weights.transpose(1, 2) @ x).unsqueeze(2)
