"""Dot product of the user and item vectors."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_choice, check_real
from skrec.predictor._base import OneVectorPredictor, Predictor


class Dot(Predictor):
    """Dot product of the user and item vectors, divided by a temperature.

    This is the fastest predictor: one matrix product ranks a whole catalogue. Use it as the
    default, and whenever item vectors are to be searched with a nearest-neighbor index.

    Parameters
    ----------
    temperature : float, default=1.0
        The t in ``u . v / t``. Small values make the softmax loss sharper.
    item_bias : bool, default=False
        Whether to add ``w . v`` to the score, where w is a learned vector that starts at zero.
        This term is the value of an item to any user. It separates popularity from the user
        vectors, which helps most with many sampled negatives. If item vectors have a learned part
        per id (``content.ID``, ``content.WithID``), each item learns its own bias, and the bias of
        a new item follows from its content.

    See Also
    --------
    Cosine : Ignores the lengths of the vectors.
    MLP : Learns how the user and the item interact.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.Dot(temperature=0.1))
    """

    def __init__(self, temperature: float = 1.0, *, item_bias: bool = False) -> None:
        self.temperature = temperature
        self.item_bias = item_bias

    def check(self, width: int) -> None:
        check_real("temperature", self.temperature, 0, closed="none")
        check_choice("item_bias", self.item_bias, (True, False))

    def build(self, width: int) -> nn.Module:
        return DotProduct(width, self.temperature, self.item_bias)


class DotProduct(OneVectorPredictor):
    """Dot product ``u . v / t``, plus ``w . v`` if items have a bias."""

    def __init__(self, width: int, temperature: float, item_bias: bool = False) -> None:
        super().__init__()
        self.temperature = temperature
        self.bias = nn.Parameter(torch.zeros(width)) if item_bias else None

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) for user (B, C or 1, D); return (B, C)."""
        scores = (user * item).sum(dim=-1) / self.temperature
        return scores if self.bias is None else scores + item @ self.bias

    def score_all(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Score all items (N, D) for users (H, D); return (H, N)."""
        scores = (user / self.temperature) @ items.T
        return scores if self.bias is None else scores + items @ self.bias
