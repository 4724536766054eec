"""Dot product of user and item."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_choice, check_real
from skrec.predictor._base import OneVectorPredictor, Predictor


class Dot(Predictor):
    """The dot product of user and item vector, divided by a temperature.

    The fastest predictor: top-k lists come from one matrix product.

    Parameters
    ----------
    temperature : float, default=1.0
        The t in ``u.v / t``; small values sharpen the softmax loss.
    item_bias : bool, default=False
        Whether ``w.v`` is added to the score, with learned w that starts at zero: what the item
        is worth to anyone. It takes popularity off the user vectors, which helps most with many
        sampled negatives. Where item vectors have a learned part for each id (``content.ID``,
        ``content.WithID``), each item learns its own; a new one is worth what its content says.

    See Also
    --------
    Cosine : Leaves the lengths of the vectors out.
    MLP : Learns how user and item interact.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.Dot(temperature=0.1))
    """

    def __init__(self, temperature: float = 1.0, *, item_bias: bool = False):
        self.temperature = temperature
        self.item_bias = item_bias

    def check(self, width: int) -> None:
        check_real("temperature", self.temperature, 0, closed="none")
        check_choice("item_bias", self.item_bias, (True, False))

    def build(self, width: int) -> nn.Module:
        return DotProduct(width, self.temperature, self.item_bias)


class DotProduct(OneVectorPredictor):
    """u.v / t, and w.v where items have a bias."""

    def __init__(self, width: int, temperature: float, item_bias: bool = False):
        super().__init__()
        self.temperature = temperature
        self.bias = nn.Parameter(torch.zeros(width)) if item_bias else None

    def score(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Score candidates item (B, C, D) against user (B, C or 1, D), to (B, C)."""
        scores = (user * item).sum(dim=-1) / self.temperature
        return scores if self.bias is None else scores + item @ self.bias

    def score_all(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Score all items (N, D) for users (H, D), to (H, N)."""
        scores = (user / self.temperature) @ items.T
        return scores if self.bias is None else scores + items @ self.bias
