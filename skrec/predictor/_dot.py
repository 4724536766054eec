"""Dot product of the user and item vectors."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_choice, check_real
from skrec.predictor._base import DotLikePredictor, Predictor


class Dot(Predictor):
    r"""Dot product of the user and item vectors, divided by a temperature.

    This is the fastest predictor: one matrix product ranks a whole catalogue. Use it as the
    default, and whenever item vectors are to be searched with a nearest-neighbor index.

    Do not use it if the score depends on combinations of features that one product cannot express.

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

    Notes
    -----
    .. math::

       s = \frac{u^\top v}{t} \; (+ \; b_v)

    **Cost.** No weights by default; O(N D) time per user for N items.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.Dot(temperature=0.1))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    is_fast = True

    def __init__(self, temperature: float = 1.0, *, item_bias: bool = False) -> None:
        self.temperature = temperature
        self.item_bias = item_bias

    def check(self, width: int) -> None:
        check_real("temperature", self.temperature, 0, closed="none")
        check_choice("item_bias", self.item_bias, (True, False))

    def build(self, width: int) -> nn.Module:
        return DotProduct(width, self.temperature, self.item_bias)


class DotProduct(DotLikePredictor):
    """Dot product ``u . v / t``, plus ``w . v`` if items have a bias."""

    def __init__(self, width: int, temperature: float, item_bias: bool = False) -> None:
        super().__init__()
        self.temperature = temperature
        self.bias = nn.Parameter(torch.zeros(width)) if item_bias else None

    def of_users(self, user: torch.Tensor) -> torch.Tensor:
        return user / self.temperature

    def bias_of(self, item: torch.Tensor) -> torch.Tensor | None:
        return None if self.bias is None else item @ self.bias
