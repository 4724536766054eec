"""A bilinear form of user and item."""

from __future__ import annotations

import math

import torch
from torch import nn

from skrec.predictor._base import OneVectorPredictor, Predictor


class Bilinear(Predictor):
    """The bilinear form ``u W v``.

    Where `Dot` needs users and items in one space, W maps the one onto the other. Top-k lists
    come from one matrix product, as with `Dot`. W starts as the identity divided by
    ``sqrt(width)``: training starts from a `Dot` whose temperature is ``sqrt(width)``, not from
    scores at random.

    See Also
    --------
    Dot : W is the identity.
    MLP : Any function of both vectors, pair by pair.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.Bilinear())
    """

    def build(self, width: int) -> nn.Module:
        return BilinearForm(width)


class BilinearForm(OneVectorPredictor):
    """u W v."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(width) / math.sqrt(width))

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) against user (B, C or 1, D), to (B, C)."""
        return ((user @ self.weight) * item).sum(dim=-1)

    def score_all(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Score all items (N, D) for users (H, D), to (H, N)."""
        return user @ self.weight @ items.T
