"""Cosine of user and item."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_real
from skrec.nn import unit
from skrec.predictor._base import Predictor
from skrec.predictor._dot import DotProduct


class Cosine(Predictor):
    """The cosine of user and item vector, divided by a temperature.

    Lengths play no part, so no item is favoured by the size of its vector. A zero vector
    scores 0.

    Parameters
    ----------
    temperature : float, default=0.1
        The t in ``cos(u, v) / t``. Cosines lie in [-1, 1], where the softmax is almost flat: it
        should be well below 1.

    See Also
    --------
    Dot : With lengths, by which items can differ in popularity.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.Cosine(temperature=0.05))
    """

    def __init__(self, temperature: float = 0.1):
        self.temperature = temperature

    def check(self, width: int) -> None:
        check_real("temperature", self.temperature, 0, closed="none")

    def build(self, width: int) -> nn.Module:
        return CosineProduct(width, self.temperature)


class CosineProduct(DotProduct):
    """cos(u, v) / t: the dot product of unit vectors."""

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) against user (B, C or 1, D), to (B, C)."""
        return super().score(unit(user), unit(item))

    def score_all(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Score all items (N, D) for users (H, D), to (H, N)."""
        return super().score_all(unit(user), unit(items))
