"""Attention to the clicks that matter for a candidate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_choice, check_hidden, check_real
from skrec.behavior._base import BehaviorOperator
from skrec.nn import ACTIVATIONS, MLP, masked_softmax


class TargetAttention(BehaviorOperator):
    """Clicks weighted by what they say of the candidate: the user differs with each candidate.

    The local activation unit of DIN [1]_. The weight of click h for candidate v is
    ``MLP([v, h, v - h, v * h])``, and the user is the weighted sum of the clicks. With
    ``predictor.MLP`` on top it is the whole DIN. Good where users have several interests; the
    price is a perceptron over each pair of click and candidate, and that users have no vector
    of their own, so ``transform`` raises.

    Parameters
    ----------
    hidden : sequence of int, default=(36,)
        Sizes of the unit's hidden layers; at least one.
    activation : str, default="relu"
        After each hidden layer, a key of ``skrec.nn.ACTIVATIONS``. The paper has "dice", which
        looks at statistics of the batch in training; "relu" needs none, so that a click weighs
        the same beside any others.
    normalize : bool, default=False
        Whether a softmax makes the weights of a user's clicks sum to 1. The paper leaves it out,
        so that the length of the vector tells how much of the history speaks for the candidate,
        and so does the default. With True, long and short histories have vectors of like
        lengths: the safer choice with ``predictor.Dot``, whose score grows with that length.
    dropout : float, default=0.0
        After each activation, in training.

    See Also
    --------
    BehaviorSequenceTransformer : Also reads the clicks in the light of each other.
    PolyAttention : Several interests, without looking at the candidate.

    Notes
    -----
    The paper calls the inputs of the unit the two vectors and their "out product"; its authors'
    code has their difference and their elementwise product, and so has this. It was compared
    with ``AttentionSequencePoolingLayer`` of deepctr-torch 0.3.

    References
    ----------
    .. [1] Zhou et al., "Deep Interest Network for Click-Through Rate Prediction",
       arXiv 1706.06978, equation 3.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior, predictor
    >>> rec = ContentRecommender(behavior=behavior.TargetAttention(), predictor=predictor.MLP())
    """

    candidate_aware = True

    def __init__(
        self,
        hidden: Sequence[int] = (36,),
        *,
        activation: str = "relu",
        normalize: bool = False,
        dropout: float = 0.0,
    ):
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
    """A sum of the clicks for each candidate, weighted by a perceptron of both."""

    def __init__(
        self, width: int, hidden: Sequence[int], activation: str, normalize: bool, dropout: float
    ):
        super().__init__()
        self.normalize = normalize
        self.unit = MLP(4 * width, hidden, 1, activation, dropout)
        if normalize:
            # a softmax is blind to what all its scores share
            self.unit.layers[-1].register_parameter("bias", None)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) and candidates (B, C, D) to (B, C, 1, D)."""
        B, L, _ = x.shape
        # of padding nothing is computed: it would also count in the statistics of "dice"
        real = mask.flatten().nonzero().squeeze(1)  # (P,), of B * L
        v = candidates.index_select(0, real // L)  # (P, C, D)
        h = x.flatten(0, 1).index_select(0, real).unsqueeze(1).expand_as(v)  # (P, C, D)
        scores = self.unit(torch.cat([v, h, v - h, v * h], dim=-1)).squeeze(-1)  # (P, C)
        scores = scores.new_zeros(B * L, scores.shape[1]).index_copy(0, real, scores)
        weights = scores.unflatten(0, (B, L))  # (B, L, C), 0 in padding
        if self.normalize:
            weights = masked_softmax(weights, mask.unsqueeze(-1), dim=1)
        return (weights.transpose(1, 2) @ x).unsqueeze(2)
