"""Latest clicked item."""

from __future__ import annotations

import torch
from torch import nn

from skrec.behavior._base import BehaviorOperator
from skrec.nn import last_real


class LastItem(BehaviorOperator):
    """Vector of the latest click; it has no weights to learn.

    It recommends items that are similar to the one that was just clicked. Use it for short
    sessions, and as a baseline for operators that read the order of the clicks.

    Do not use it if users have lasting interests, which older clicks show.

    See Also
    --------
    GRU : Reads all clicks in their order.
    MeanPooling : Gives all clicks the same weight.

    Notes
    -----
    .. math::

       u = h_L

    **Cost.** No weights; O(D) time.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.LastItem())
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    causal = True

    def build(self, width: int) -> nn.Module:
        return LastClick()


class LastClick(nn.Module):
    """Last unmasked click of each row."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return last_real(x, mask).unsqueeze(1)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to themselves (B, L, 1, D)."""
        return x.unsqueeze(2)
