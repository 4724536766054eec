"""Bilinear form of the user and item vectors."""

from __future__ import annotations

import math

import torch
from torch import nn

from skrec.predictor._base import OneVectorPredictor, Predictor


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

    def build(self, width: int) -> nn.Module:
        return BilinearForm(width)


class BilinearForm(OneVectorPredictor):
    """Bilinear form ``u W v``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(width) / math.sqrt(width))

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) for user (B, C or 1, D); return (B, C)."""
        return ((user @ self.weight) * item).sum(dim=-1)

    def score_all(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Score all items (N, D) for users (H, D); return (H, N)."""
        return user @ self.weight @ items.T
