"""Causal Transformer over the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int, check_layers
from skrec.behavior._base import BehaviorOperator
from skrec.nn import LayerStack, Positions, last_real, transformer


class Transformer(BehaviorOperator):
    r"""Causal Transformer over the clicks, oldest first; the last state is the user vector.

    This is SASRec [1]_ on item vectors of the content operator: learned positions, then layers of
    causal self-attention and a feed-forward part. Each click attends to itself and to earlier
    clicks. Use it when the order of the clicks matters and many clicks are available.

    Do not use it if clicks are few: `MovingAverages` and `GRU` learn the order from fewer.

    Parameters
    ----------
    n_layers : int, default=2
        Number of Transformer layers.
    n_heads : int, default=1
        Number of attention heads. It must divide the recommender's `width`.
    hidden : int, default=None
        Size of the hidden layer of the feed-forward parts. None uses the recommender's `width`.
    dropout : float, default=0.2
        Dropout rate of the vectors of the clicks and of the output of each part of a layer.
    n_positions : int, default=50
        Number of clicks that have their own position. Later clicks share the last position, so
        longer histories raise no error. It should be at least the recommender's `max_history`.

    See Also
    --------
    GRU : Also reads the order, with fewer weights.
    SelfAttention : Lets all clicks attend to each other, without their order.

    Notes
    -----
    .. math::

       z = \operatorname{CausalTransformer}([h_1 + p_1, \ldots, h_L + p_L]), \quad u = z_L

    **Cost.** 53,760 weights with ``width=64``; O(L² D + L D²) time for a history of L clicks, per
    layer.

    Positions are counted from the oldest click that is read. The paper counts them from the latest
    click of the whole sequence, so that the same prefix has other positions in a longer sequence.
    As in the paper, a layer norm comes before each part. The tests compare the layers with those of
    ``torch.nn``.

    References
    ----------
    .. [1] Kang and McAuley, "Self-Attentive Sequential Recommendation", arXiv 1808.09781.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.Transformer(n_layers=1, n_heads=4))
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
    """

    causal = True

    def __init__(
        self,
        n_layers: int = 2,
        *,
        n_heads: int = 1,
        hidden: int | None = None,
        dropout: float = 0.2,
        n_positions: int = 50,
    ) -> None:
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.hidden = hidden
        self.dropout = dropout
        self.n_positions = n_positions

    def check(self, width: int) -> None:
        check_layers(self, width)
        check_int("n_positions", self.n_positions)

    def build(self, width: int) -> nn.Module:
        layers = transformer(
            width, self.n_layers, self.n_heads, self.hidden, self.dropout, causal=True
        )
        return LastStateOfLayers(layers, Positions(self.n_positions, width))


class LastStateOfLayers(nn.Module):
    """State of the last click after a stack of causal layers."""

    def __init__(self, layers: LayerStack, positions: Positions) -> None:
        super().__init__()
        self.positions = positions
        self.layers = layers

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        return last_real(self._all(x, mask), mask).unsqueeze(1)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to the states after each (B, L, 1, D)."""
        return self._all(x, mask).unsqueeze(2)

    def _all(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to states (B, L, D)."""
        place = torch.arange(x.shape[1], device=x.device)
        return self.layers(self.positions(x, place), mask)
