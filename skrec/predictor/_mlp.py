"""Multi-layer perceptron over the user and item vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_choice, check_hidden, check_real
from skrec.nn import ACTIVATIONS
from skrec.nn import MLP as Perceptron
from skrec.predictor._base import OneVectorPredictor, Predictor


class MLP(Predictor):
    r"""Multi-layer perceptron over ``[user; item; user * item]``.

    It learns how the user and the item interact. Use it to rank short lists when many clicks are
    available. Ranking a whole catalogue is slow, because each pair is scored separately.

    Do not use it if the whole catalogue is ranked, or clicks are few: `Dot` is hard to beat there.

    Parameters
    ----------
    hidden : sequence of int, default=(128, 64)
        Sizes of the hidden layers, at least one.
    activation : {"relu", "gelu", "tanh", "leaky_relu", "prelu", "dice"}, default="relu"
        Activation after each hidden layer. "dice" is the activation of DIN [1]_: in training it
        uses statistics of all candidates of the batch, and in prediction running statistics.
    dropout : float, default=0.0
        Dropout rate after each activation.

    See Also
    --------
    Dot : Nothing to learn, and faster.
    DCNv2 : Multiplies features with each other in addition to the perceptron.
    FinalMLP : Two perceptrons, joined by a bilinear product.

    Notes
    -----
    .. math::

       s = \operatorname{MLP}([u; v; u * v])

    **Cost.** 33,025 weights with ``width=64``; O(D) time per pair, times the hidden units.

    References
    ----------
    .. [1] Zhou et al., "Deep Interest Network for Click-Through Rate Prediction",
       arXiv 1706.06978.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.MLP((64,), dropout=0.1))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    is_network = True

    def __init__(
        self,
        hidden: Sequence[int] = (128, 64),
        *,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_hidden(self.hidden)
        check_choice("activation", self.activation, tuple(ACTIVATIONS))
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return MLPScore(width, self.hidden, self.activation, self.dropout)


class MLPScore(OneVectorPredictor):
    """Score ``MLP([u; v; u * v])``."""

    def __init__(self, width: int, hidden: Sequence[int], activation: str, dropout: float) -> None:
        super().__init__()
        self.mlp = Perceptron(3 * width, hidden, 1, activation, dropout)

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) for user (B, C or 1, D); return (B, C)."""
        user = user.expand_as(item)
        x = torch.cat([user, item, user * item], dim=-1)  # (B, C, 3 D)
        return self.mlp(x).squeeze(-1)
