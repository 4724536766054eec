"""Bilinear form of the user and item vectors."""

from __future__ import annotations

import math

import torch
from torch import nn

from skrec.predictor._base import DotLikePredictor, Predictor


class Bilinear(Predictor):
    """Bilinear form ``u W v`` of the user and item vectors.

    W maps users to the space of items, while `Dot` needs both in one space. Use it when users and
    items have features of different meaning. Like `Dot`, it ranks a whole catalogue with one
    matrix product. W starts as the identity matrix divided by ``sqrt(width)``, so training starts
    from a `Dot` with temperature ``sqrt(width)`` instead of random scores.

    See Also
    --------
    Dot : W is the identity matrix.
    MLP : Any function of both vectors, computed pair by pair.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.Bilinear())
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
