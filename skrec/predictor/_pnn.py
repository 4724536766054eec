"""The product-based network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from skrec._common.checks import check_choice, check_hidden, check_int, check_real
from skrec.nn import MLP as Perceptron
from skrec.predictor._base import OneVectorPredictor, Predictor


class PNN(Predictor):
    """A perceptron that reads ``[user; item]`` and the products of both.

    The product layer of PNN [1]_ gives the perceptron what it learns badly by itself: how user
    and item fit each other.

    Parameters
    ----------
    hidden : sequence of int, default=(128, 64)
        Sizes of the perceptron's hidden layers; at least one.
    product : {"inner", "outer", "both"}, default="both"
        "inner": the number ``u . v``. "outer": the matrix ``f f^T`` of the sum ``f = u + v``,
        see Notes.
    rank : int, default=1
        Of the matrices by which the first layer reads the outer product. Ignored where `product`
        is "inner".
    dropout : float, default=0.0
        After each hidden layer, in training.

    See Also
    --------
    DeepFM : Adds the inner product to the perceptron's output.
    MLP : Reads the elementwise product.

    Notes
    -----
    The fields are user and item. The first hidden layer is ``relu(W_z [u; v] + l_p + b)``. A unit
    n of it reads the products as ``l_p^n = w_n (u . v)``, or as the sum of ``W_n * P`` over all
    entries, where ``P = f f^T`` is the paper's superposition of the outer products of all pairs
    of fields, ``(u + v) (u + v)^T``. That is the quadratic form ``f^T W_n f``, so P is never
    formed: with ``W_n`` the sum of `rank` products ``a b^T`` it is the sum of ``(a . f) (b . f)``.
    The paper has any matrix, which a rank of ``width`` gives, at ``width`` times the cost. The
    squared lengths of u and v are no part of the inner product, as in deepctr-torch.

    The inner product was compared with ``InnerProductLayer`` of deepctr-torch 0.3, the quadratic
    form with its ``OutterProductLayer``.

    References
    ----------
    .. [1] Qu et al., "Product-based Neural Networks for User Response Prediction",
       arXiv 1611.00144.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.PNN((64,), product="inner"))
    """

    def __init__(
        self,
        hidden: Sequence[int] = (128, 64),
        *,
        product: str = "both",
        rank: int = 1,
        dropout: float = 0.0,
    ):
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
    """``f^T W_n f`` for several matrices ``W_n``, each a sum of `rank` products ``a b^T``."""

    def __init__(self, width: int, n_forms: int, rank: int):
        super().__init__()
        self.shape = n_forms, rank
        self.left = nn.Linear(width, n_forms * rank, bias=False)  # all a of W_0, then of W_1, ...
        self.right = nn.Linear(width, n_forms * rank, bias=False)
        with torch.no_grad():
            self.right.weight /= math.sqrt(rank)  # a sum of many starts no larger than of one

    def forward(self, f: torch.Tensor) -> torch.Tensor:
        """Map (..., D) to (..., n_forms)."""
        return (self.left(f) * self.right(f)).unflatten(-1, self.shape).sum(dim=-1)


class ProductNetwork(OneVectorPredictor):
    """A first layer on vectors and products, and a perceptron on top."""

    def __init__(self, width: int, hidden: Sequence[int], product: str, rank: int, dropout: float):
        super().__init__()
        first, *others = hidden
        self.linear = nn.Linear(2 * width, first)
        self.inner = nn.Linear(1, first, bias=False) if product != "outer" else None
        self.outer = QuadraticForms(width, first, rank) if product != "inner" else None
        self.dropout = nn.Dropout(dropout)
        self.mlp = Perceptron(first, others, 1, dropout=dropout)

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) against user (B, C or 1, D), to (B, C)."""
        user = user.expand_as(item)
        x = self.linear(torch.cat([user, item], dim=-1))  # (B, C, n)
        if self.inner is not None:
            x = x + self.inner((user * item).sum(dim=-1, keepdim=True))
        if self.outer is not None:
            x = x + self.outer(user + item)
        return self.mlp(self.dropout(torch.relu(x))).squeeze(-1)
