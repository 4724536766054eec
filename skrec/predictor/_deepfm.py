"""Factorization machine and perceptron."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_hidden, check_real
from skrec.nn import MLP as Perceptron
from skrec.predictor._base import OneVectorPredictor, Predictor


class DeepFM(Predictor):
    r"""Factorization machine plus a perceptron, ``w x0 + u^T v + MLP(x0)``.

    This is DeepFM [1]_ with two fields, the user and the item. All three terms read
    ``x0 = [user; item]``. The inner product lets the model learn from the first step
    what `Dot` would learn, and the perceptron adds what a product cannot express. Use it as a
    first network to rank short lists when many clicks are available.

    Do not use it if the whole catalogue is ranked: each pair is scored separately.

    Parameters
    ----------
    hidden : sequence of int, default=(128, 64)
        Sizes of the hidden layers of the perceptron, at least one.
    dropout : float, default=0.0
        Dropout rate after each hidden layer.

    See Also
    --------
    Dot : Only the inner product.
    PNN : The perceptron reads the product.

    Notes
    -----
    .. math::

       s = w^\top x_0 + u^\top v + \operatorname{MLP}(x_0), \quad x_0 = [u; v]

    **Cost.** 24,961 weights with ``width=64``; the time per pair is that of the perceptron.

    The tests compare the second-order term and the perceptron with ``FM`` and ``DNN`` of
    deepctr-torch 0.3, and the second-order term also with ``InnerProductInteraction`` of
    fuxictr 2.3.

    References
    ----------
    .. [1] Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction",
       arXiv 1703.04247.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.DeepFM((64,), dropout=0.1))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    is_network = True

    def __init__(self, hidden: Sequence[int] = (128, 64), *, dropout: float = 0.0) -> None:
        self.hidden = hidden
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_hidden(self.hidden)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return FactorizationAndDeep(width, self.hidden, self.dropout)


class FactorizationAndDeep(OneVectorPredictor):
    """Factorization machine and perceptron, ``w x0 + u^T v + MLP(x0)``."""

    def __init__(self, width: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        # the perceptron already has a bias
        self.first_order = nn.Linear(2 * width, 1, bias=False)
        self.mlp = Perceptron(2 * width, hidden, 1, dropout=dropout)

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) for user (B, C or 1, D); return (B, C)."""
        x0 = torch.cat([user.expand_as(item), item], dim=-1)  # (B, C, 2 D)
        second_order = (user * item).sum(dim=-1)  # (B, C)
        return (self.first_order(x0) + self.mlp(x0)).squeeze(-1) + second_order
