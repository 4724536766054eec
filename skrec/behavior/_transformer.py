"""A causal Transformer over the clicked items."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int, check_layers
from skrec.behavior._base import BehaviorOperator
from skrec.nn import LayerStack, Positions, last_real, recency, transformer


class Transformer(BehaviorOperator):
    """A Transformer that reads the clicks, oldest first; the state of the last is the user.

    SASRec [1]_, on item vectors that the content operator makes: learned positions, layers of
    causal self-attention and a feed-forward part, and the last state. It knows the order, and
    sees how each click followed from those before it.

    Parameters
    ----------
    n_layers : int, default=2
        Layers of attention and feed-forward part.
    n_heads : int, default=1
        Attention heads; divides the recommender's `width`.
    hidden : int, default=None
        Size of the feed-forward part's inner layer; None takes the recommender's `width`.
    dropout : float, default=0.2
        Of the clicks' vectors and of what each part of a layer gives, in training.
    n_positions : int, default=50
        Latest clicks that have a position of their own; those before share the farthest. The
        recommender's `max_history` is a good value. A longer history is no error.

    See Also
    --------
    GRU : Knows the order too, and has fewer weights.
    SelfAttention : Reads clicks in the light of each other, without their order.

    Notes
    -----
    Positions count from the latest click, so neither padding nor `max_history` moves them. As in
    the paper, a layer norm comes before each part. Compared with ``torch.nn`` layers in tests.

    References
    ----------
    .. [1] Kang and McAuley, "Self-Attentive Sequential Recommendation", arXiv 1808.09781.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior
    >>> rec = ContentRecommender(behavior=behavior.Transformer(n_layers=1, n_heads=4))
    """

    def __init__(
        self,
        n_layers: int = 2,
        *,
        n_heads: int = 1,
        hidden: int | None = None,
        dropout: float = 0.2,
        n_positions: int = 50,
    ):
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
    """The state of the last real click after causal layers."""

    def __init__(self, layers: LayerStack, positions: Positions):
        super().__init__()
        self.positions = positions
        self.layers = layers

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map clicks x (B, L, D) under mask (B, L) to (B, 1, D)."""
        x = self.positions(x, recency(mask))
        return last_real(self.layers(x, mask), mask).unsqueeze(1)
