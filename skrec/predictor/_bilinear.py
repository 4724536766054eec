"""Bilinear form of the user and item vectors."""

from __future__ import annotations

import math

import torch
from torch import nn

from skrec.predictor._base import DotLikePredictor, Predictor


class Bilinear(Predictor):
    r"""Bilinear form ``u W v`` of the user and item vectors.

    W maps users to the space of items, while `Dot` needs both in one space. Use it when users and
    items have features of different meaning. Like `Dot`, it ranks a whole catalogue with one
    matrix product. W starts as the identity matrix divided by ``sqrt(width)``, so training starts
    from a `Dot` with temperature ``sqrt(width)`` instead of random scores.

    Do not use it if clicks are few: `Dot` has no weights to learn.

    See Also
    --------
    Dot : W is the identity matrix.
    MLP : Any function of both vectors, computed pair by pair.

    Notes
    -----
    .. math::

       s = u^\top W v

    **Cost.** 4,096 weights with ``width=64``, D²; O(N D) time per user for N items.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.Bilinear())
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    is_fast = True

    def build(self, width: int) -> nn.Module:
        return BilinearForm(width)


class BilinearForm(DotLikePredictor):
    """Bilinear form ``u W v``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(width) / math.sqrt(width))

    def of_users(self, user: torch.Tensor) -> torch.Tensor:
        return user @ self.weight
