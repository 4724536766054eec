"""A Transformer over all tokens of a history."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int, check_layers
from skrec.behavior._base import BehaviorOperator
from skrec.nn import AdditiveAttention, LayerStack, Positions, latest_tokens, transformer


class TokenTransformer(BehaviorOperator):
    """A Transformer over the tokens of all clicked items, as one sequence; then attention.

    Words of one click meet words of another before anything is pooled, where other operators see
    one vector an item. The user vector is the additive attention over all states. Take it for
    short texts and histories: time and memory grow with the square of the number of tokens.

    An operator such as ``content.Vectors``, which knows no tokens, gives each item's vector as
    its one token.

    Parameters
    ----------
    n_layers : int, default=1
        Layers of attention and feed-forward part.
    n_heads : int, default=4
        Attention heads; divides the recommender's `width`.
    hidden : int, default=None
        Size of the feed-forward part's inner layer; None takes the recommender's `width`.
    dropout : float, default=0.2
        Of the tokens and of what each part of a layer gives, in training.
    max_tokens : int, default=512
        Tokens that are read of a history, the last of the latest clicks.
    n_positions : int, default=50
        Latest clicks that have a position of their own; those before share the farthest. The
        recommender's `max_history` is a good value. A longer history is no error.

    See Also
    --------
    TokenFastformer : In linear time, for long texts and histories.
    Transformer : One vector an item.

    Notes
    -----
    A token's position is its click's, counted from the latest. The order of the words within a
    text is what the content operator made of it: ``content.Transformer``, ``content.GRU``
    and ``content.CNN`` put it into the states, ``content.MeanPooling`` does not.

    References
    ----------
    .. [1] Vaswani et al., "Attention Is All You Need", arXiv 1706.03762.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior, content
    >>> rec = ContentRecommender(content=content.CNN(), behavior=behavior.TokenTransformer())
    """

    reads_tokens = True

    def __init__(
        self,
        n_layers: int = 1,
        *,
        n_heads: int = 4,
        hidden: int | None = None,
        dropout: float = 0.2,
        max_tokens: int = 512,
        n_positions: int = 50,
    ):
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.hidden = hidden
        self.dropout = dropout
        self.max_tokens = max_tokens
        self.n_positions = n_positions

    def check(self, width: int) -> None:
        check_layers(self, width)
        check_int("max_tokens", self.max_tokens)
        check_int("n_positions", self.n_positions)

    def build(self, width: int) -> nn.Module:
        layers = transformer(width, self.n_layers, self.n_heads, self.hidden, self.dropout)
        return LayersOverTokens(layers, width, self.max_tokens, Positions(self.n_positions, width))


class LayersOverTokens(nn.Module):
    """Layers and additive attention over the tokens of all clicks as one sequence."""

    def __init__(
        self,
        layers: LayerStack,
        width: int,
        max_tokens: int,
        positions: Positions | None = None,
    ):
        super().__init__()
        self.max_tokens = max_tokens
        self.positions = positions
        self.layers = layers
        self.attention = AdditiveAttention(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map tokens x (B, L, T, D) of clicks under mask (B, L, T) to (B, 1, D)."""
        x, age, mask = latest_tokens(x, mask, self.max_tokens)  # (B, N, D), (B, N), (B, N)
        if self.positions is not None:
            x = self.positions(x, age)
        return self.attention(self.layers(x, mask), mask).unsqueeze(1)
