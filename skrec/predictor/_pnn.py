"""Product-based neural network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_choice, check_hidden, check_int, check_real
from skrec.nn import MLP as Perceptron
from skrec.predictor._base import OneVectorPredictor, Predictor


class PNN(Predictor):
    r"""Perceptron over ``[user; item]`` and the products of both.

    The product layer of PNN [1]_ gives the perceptron the inner and outer products of the user and
    item vectors, which it can learn only with difficulty. Use it to rank short lists when many
    clicks are available and `DeepFM` is too simple.

    Do not use it if the whole catalogue is ranked: each pair is scored separately.

    Parameters
    ----------
    hidden : sequence of int, default=(128, 64)
        Sizes of the hidden layers of the perceptron, at least one.
    product : {"inner", "outer", "both"}, default="both"
        Products that the first layer reads. "inner" is the number ``u . v``. "outer" is the matrix
        ``f f^T`` of the sum ``f = u + v``; see Notes.
    rank : int, default=1
        Rank of the matrices with which the first layer reads the outer product. Ignored if
        `product` is "inner".
    dropout : float, default=0.0
        Dropout rate after each hidden layer.

    See Also
    --------
    DeepFM : Adds the inner product to the output of the perceptron.
    MLP : Reads the elementwise product.

    Notes
    -----
    .. math::

       s = \operatorname{MLP}\left(\operatorname{relu}(W_z [u; v] + l_p + b)\right)

    **Cost.** 41,345 weights with ``width=64``; the time per pair is that of the perceptron and the
    products.

    The fields are the user and the item. The first hidden layer computes
    ``relu(W_z [u; v] + l_p + b)``, where l_p is the part of the products. For the inner product,
    unit n of l_p is ``l_p^n = w_n (u . v)``. For the outer product, it is the sum of ``W_n * P``
    over all entries. The matrix ``P = f f^T = (u + v) (u + v)^T`` is the paper's superposition of
    the outer products of all pairs of fields. This sum equals the quadratic form ``f^T W_n f``, so
    P is never computed: if ``W_n`` is the sum of `rank` products ``a b^T``, the form is the sum of
    ``(a . f) (b . f)``. The paper allows any matrix ``W_n``; a rank of ``width`` does too, at
    ``width`` times the cost. As in deepctr-torch, the inner product does not include the squared
    lengths of u and v.

    The tests compare the inner product with ``InnerProductLayer`` of deepctr-torch 0.3 and the
    quadratic form with its ``OutterProductLayer``.

    References
    ----------
    .. [1] Qu et al., "Product-based Neural Networks for User Response Prediction",
       arXiv 1611.00144.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.PNN((64,), product="inner"))
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
        product: str = "both",
        rank: int = 1,
        dropout: float = 0.0,
    ) -> None:
        self.hidden = hidden
        self.product = product
        self.rank = rank
        self.dropout = dropout

    def check(self, width: int) -> None:
        check_hidden(self.hidden)
        check_choice("product", self.product, ("inner", "outer", "both"))
        check_int("rank", self.rank)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, width: int) -> nn.Module:
        return ProductNetwork(width, self.hidden, self.product, self.rank, self.dropout)


class QuadraticForms(nn.Module):
    """Quadratic forms ``f^T W_n f``, where each ``W_n`` is a sum of `rank` products ``a b^T``."""

    def __init__(self, width: int, n_forms: int, rank: int) -> None:
        super().__init__()
        self.shape = n_forms, rank
        self.left = nn.Linear(width, n_forms * rank, bias=False)  # a of W_0, W_1, ...
        self.right = nn.Linear(width, n_forms * rank, bias=False)  # b of W_0, W_1, ...
        with torch.no_grad():
            self.right.weight /= math.sqrt(rank)  # the initial scale does not depend on the rank

    def forward(self, f: torch.Tensor) -> torch.Tensor:
        """Map (..., D) to (..., n_forms)."""
        return (self.left(f) * self.right(f)).unflatten(-1, self.shape).sum(dim=-1)


class ProductNetwork(OneVectorPredictor):
    """First layer over vectors and products, followed by a perceptron."""

    def __init__(
        self, width: int, hidden: Sequence[int], product: str, rank: int, dropout: float
    ) -> None:
        super().__init__()
        first, *others = hidden
        self.linear = nn.Linear(2 * width, first)
        self.inner = nn.Linear(1, first, bias=False) if product != "outer" else None
        self.outer = QuadraticForms(width, first, rank) if product != "inner" else None
        self.dropout = nn.Dropout(dropout)
        self.mlp = Perceptron(first, others, 1, dropout=dropout)

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) for user (B, C or 1, D); return (B, C)."""
        user = user.expand_as(item)
        x = self.linear(torch.cat([user, item], dim=-1))  # (B, C, n)
        if self.inner is not None:
            x = x + self.inner((user * item).sum(dim=-1, keepdim=True))
        if self.outer is not None:
            x = x + self.outer(user + item)
        return self.mlp(self.dropout(torch.relu(x))).squeeze(-1)
