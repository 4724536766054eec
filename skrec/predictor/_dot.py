"""Dot product of user and item."""

from __future__ import annotations

import torch
from torch import nn

from skrec._operators import check_real
from skrec.predictor._base import OneVectorPredictor, Predictor


class Dot(Predictor):
    """The dot product of user and item vector, divided by a temperature.

    The fastest predictor: top-k lists come from one matrix product.

    Parameters
    ----------
    temperature : float, default=1.0
        The t in ``u.v / t``; small values sharpen the softmax loss.

    See Also
    --------
    MLP : Learns how user and item interact.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.Dot(temperature=0.1))
    """

    def __init__(self, temperature: float = 1.0):
        self.temperature = temperature

    def check(self, width: int) -> None:
        check_real("temperature", self.temperature, 0, closed="none")

    def build(self, width: int) -> nn.Module:
        return DotProduct(self.temperature)


class DotProduct(OneVectorPredictor):
    """u.v / t."""

    def __init__(self, temperature: float):
        super().__init__()
        self.temperature = temperature

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) against user (B, C or 1, D), to (B, C)."""
        return (user * item).sum(dim=-1) / self.temperature

    def score_all(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Score all items (N, D) for users (H, D), to (H, N)."""
        return user @ items.T / self.temperature
