"""Self-attention between features of the user and the item."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_heads, check_hidden, check_int, check_real
from skrec.nn import MLP as Perceptron
from skrec.predictor._base import OneVectorPredictor, Predictor


class AutoInt(Predictor):
    r"""Self-attention between fields of the user and the item, plus a multi-layer perceptron.

    Each interacting layer [1]_ mixes the fields by multi-head self-attention and adds a linear
    map of its input, ``relu(concat_h(softmax(Q_h K_h^T) V_h) + x W)``. A linear layer computes
    the score from all fields, and the output of the perceptron is added to it. In the paper, each
    feature of a table is a field. Here, the user vector and the item vector are one field each,
    unless `n_fields` cuts them into parts. Use it when different features
    interact for different users and many clicks are available.

    Do not use it if the whole catalogue is ranked: each pair is scored separately.

    Parameters
    ----------
    n_layers : int, default=3
        Number of interacting layers.
    n_heads : int, default=2
        Number of attention heads. It must divide the size of a field, ``width / n_fields``.
    n_fields : int, default=1
        Number of fields into which each of the two vectors is cut. It must divide the
        recommender's `width`. With more than one field, the parts of a vector also attend to each
        other, and each part has its own attention weights.
    hidden : sequence of int, default=(128, 64)
        Sizes of the hidden layers of the perceptron, which reads the user and item vectors
        directly. If empty, ``()``, there is no perceptron.
    dropout : float, default=0.0
        Dropout rate after each hidden layer of the perceptron. Ignored if `hidden` is empty.

    See Also
    --------
    DCNv2 : Multiplies features with each other instead.

    Notes
    -----
    .. math::

       \bar x_f = \operatorname{relu}\left(\sum_g \operatorname{softmax}_g(Q x_f \cdot K x_g) V x_g
       + W x_f\right)

    **Cost.** 74,113 weights with ``width=64``; O(F² D + F D²) time per pair for F fields, per
    layer.

    As in the paper, attention has no biases, and dot products are not divided by the square root
    of their length. The tests compare the interacting layer with ``InteractingLayer`` of
    deepctr-torch 0.3.

    References
    ----------
    .. [1] Song et al., "AutoInt: Automatic Feature Interaction Learning via Self-Attentive
       Neural Networks", arXiv 1810.11921.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.AutoInt(2, n_fields=8, hidden=()))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=32, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    is_network = True

    def __init__(
        self,
        n_layers: int = 3,
        *,
        n_heads: int = 2,
        n_fields: int = 1,
        hidden: Sequence[int] = (128, 64),
        dropout: float = 0.0,
    ) -> None:
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.n_fields = n_fields
        self.hidden = hidden
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_int("n_layers", self.n_layers)
        check_int("n_fields", self.n_fields)
        if width % self.n_fields:
            raise ValueError(f"n_fields must divide width={width}, got n_fields={self.n_fields}")
        if self.n_fields == 1:
            check_heads(self.n_heads, width)
        else:
            check_int("n_heads", self.n_heads)
            if width // self.n_fields % self.n_heads:
                raise ValueError(
                    f"n_heads must divide the size of a field, width / n_fields = "
                    f"{width // self.n_fields}, got n_heads={self.n_heads}"
                )
        check_hidden(self.hidden, minimum=0)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return AttendingFields(
            width, self.n_layers, self.n_heads, self.n_fields, self.hidden, self.dropout
        )


class InteractingLayer(nn.Module):
    """Multi-head self-attention between fields, followed by ``relu(attended + W x)``."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        # W_Q, W_K, W_V and the residual weights W_Res, stacked
        self.project = nn.Linear(width, 4 * width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map fields x (..., F, D) to (..., F, D)."""
        q, k, v, rest = self.project(x).chunk(4, dim=-1)  # each (..., F, D)
        q, k, v = (part.unflatten(-1, (self.n_heads, -1)).transpose(-3, -2) for part in (q, k, v))
        weights = torch.softmax(q @ k.transpose(-2, -1), dim=-1)  # (..., H, F, F)
        attended = (weights @ v).transpose(-3, -2).flatten(-2)  # (..., F, D)
        return torch.relu(attended + rest)


class AttendingFields(OneVectorPredictor):
    """Interacting layers and a linear layer over the fields of both vectors, plus MLP([u; v])."""

    def __init__(
        self,
        width: int,
        n_layers: int,
        n_heads: int,
        n_fields: int,
        hidden: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.fields = 2 * n_fields, width // n_fields
        self.layers = nn.Sequential(
            *(InteractingLayer(width // n_fields, n_heads) for _ in range(n_layers))
        )
        deep = len(hidden) > 0
        self.out = nn.Linear(2 * width, 1, bias=not deep)  # the perceptron already has a bias
        self.mlp = Perceptron(2 * width, hidden, 1, dropout=dropout) if deep else None

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) for user (B, C or 1, D); return (B, C)."""
        x0 = torch.cat([user.expand_as(item), item], dim=-1)  # (B, C, 2 D)
        x = self.layers(x0.unflatten(-1, self.fields))  # (B, C, F, 2 D / F)
        scores = self.out(x.flatten(-2))
        if self.mlp is not None:
            scores = scores + self.mlp(x0)
        return scores.squeeze(-1)
