"""Cosine of the user and item vectors."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_real
from skrec.nn import unit
from skrec.predictor._base import DotLikePredictor, Predictor


class Cosine(Predictor):
    r"""Cosine of the user and item vectors, divided by a temperature.

    The length of a vector has no effect. Use it when long item vectors should have no advantage.
    If one of the vectors is zero, the score is 0.

    Do not use it if popular items should rank higher: the length of their vectors is ignored.

    Parameters
    ----------
    temperature : float, default=0.1
        The t in ``cos(u, v) / t``. Cosines range from -1 to 1, which makes the softmax almost
        uniform, so the temperature should be well below 1.

    See Also
    --------
    Dot : Also depends on the lengths, which can express the popularity of items.

    Notes
    -----
    .. math::

       s = \frac{u^\top v}{\lVert u \rVert \, \lVert v \rVert \, t}

    **Cost.** No weights; O(N D) time per user for N items.

    Examples
    --------
    >>> from skrec import ContentRecommender, predictor
    >>> rec = ContentRecommender(predictor=predictor.Cosine(temperature=0.05))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.decision_function([[0]]).shape
    (1, 3)
    """

    is_fast = True

    def __init__(self, temperature: float = 0.1) -> None:
        self.temperature = temperature

    def check(self, width: int) -> None:
        check_real("temperature", self.temperature, 0, closed="none")

    def build(self, width: int) -> nn.Module:
        return CosineProduct(self.temperature)


class CosineProduct(DotLikePredictor):
    """Dot product of unit vectors, ``cos(u, v) / t``."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def of_users(self, user: torch.Tensor) -> torch.Tensor:
        return unit(user) / self.temperature

    def of_items(self, item: torch.Tensor) -> torch.Tensor:
        return unit(item)
