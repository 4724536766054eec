"""A factorisation machine and a perceptron."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_hidden, check_real
from skrec.nn import MLP as Perceptron
from skrec.predictor._base import OneVectorPredictor, Predictor


class DeepFM(Predictor):
    """First order, inner product and perceptron, added up: ``w x0 + u.v + MLP(x0)``.

    DeepFM [1]_ on the two fields user and item, with ``x0 = [user; item]`` shared by all parts.
    The inner product makes it learn from the start what `Dot` would; the perceptron adds the rest.

    Parameters
    ----------
    hidden : sequence of int, default=(128, 64)
        Sizes of the perceptron's hidden layers; at least one.
    dropout : float, default=0.0
        After each hidden layer, in training.

    See Also
    --------
    Dot : The inner product alone.
    PNN : The perceptron reads the product.

    Notes
    -----
    Second order and perceptron were compared with ``FM`` and ``DNN`` of deepctr-torch 0.3, the
    second order with ``InnerProductInteraction`` of fuxictr 2.3 too.

    References
    ----------
    .. [1] Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction",
       arXiv 1703.04247.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.DeepFM((64,), dropout=0.1))
    """

    def __init__(self, hidden: Sequence[int] = (128, 64), *, dropout: float = 0.0):
        self.hidden = hidden
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_hidden(self.hidden)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return FactorisationAndDeep(width, self.hidden, self.dropout)


class FactorisationAndDeep(OneVectorPredictor):
    """w x0 + u . v + MLP(x0)."""

    def __init__(self, width: int, hidden: Sequence[int], dropout: float):
        super().__init__()
        # the perceptron has the bias of the sum
        self.first_order = nn.Linear(2 * width, 1, bias=False)
        self.mlp = Perceptron(2 * width, hidden, 1, dropout=dropout)

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) against user (B, C or 1, D), to (B, C)."""
        x0 = torch.cat([user.expand_as(item), item], dim=-1)  # (B, C, 2 D)
        second_order = (user * item).sum(dim=-1)  # (B, C)
        return (self.first_order(x0) + self.mlp(x0)).squeeze(-1) + second_order
