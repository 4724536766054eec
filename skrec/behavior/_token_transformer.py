"""Transformer over all tokens of a history."""

from __future__ import annotations

import torch
from torch import nn

from skrec._common.checks import check_int, check_layers
from skrec.behavior._base import BehaviorOperator
from skrec.nn import AdditiveAttention, LayerStack, Positions, latest_tokens, transformer


class TokenTransformer(BehaviorOperator):
    r"""Transformer over the tokens of all clicked items, followed by additive attention.

    The tokens of all clicks form one sequence, so words of one click attend to words of
    another before anything is pooled [1]_. Other operators read one vector per item. Use it when
    words recur across items and texts and histories are short: time and memory are quadratic in
    the number of tokens.

    If the content operator has no tokens, as ``content.Vectors``, the vector of an item is its only
    token.

    Do not use it if histories or texts are long: `TokenFastformer` is linear.

    Parameters
    ----------
    n_layers : int, default=1
        Number of Transformer layers.
    n_heads : int, default=4
        Number of attention heads. It must divide the recommender's `width`.
    hidden : int, default=None
        Size of the hidden layer of the feed-forward parts. None uses the recommender's `width`.
    dropout : float, default=0.2
        Dropout rate of the tokens and of the output of each part of a layer.
    max_tokens : int, default=512
        Maximum number of tokens per history. The last tokens of the latest clicks are kept.
    n_positions : int, default=50
        Number of latest clicks that have their own position. Older clicks share the last position,
        so longer histories raise no error. The recommender's `max_history` is a good value.

    See Also
    --------
    TokenFastformer : Linear time, for long texts and histories.
    Transformer : Reads one vector per item.

    Notes
    -----
    .. math::

       u = \operatorname{pool}\left(\operatorname{Transformer}([x_{1,1} + p_1, \ldots, x_{L,T} +
       p_L])\right)

    **Cost.** 32,768 weights with ``width=64``; O(T² D + T D²) time and memory for T tokens in all
    clicks.

    The position of a token is that of its click, counted from the latest click. The order of words
    within a text is known only if the content operator encodes it in the tokens.
    ``content.Transformer``, ``content.GRU`` and ``content.CNN`` do, ``content.MeanPooling`` does
    not.

    References
    ----------
    .. [1] Vaswani et al., "Attention Is All You Need", arXiv 1706.03762.

    Examples
    --------
    >>> from skrec import ContentRecommender, behavior, content
    >>> rec = ContentRecommender(content=content.CNN(), behavior=behavior.TokenTransformer())
    >>> texts = ["red fox", "blue sea", "red sun"]
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items=texts)
    >>> rec.transform([[0, 1], []]).shape
    (2, 8)
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
    ) -> None:
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
    """Layers and additive attention over the tokens of all clicks, as one sequence."""

    def __init__(
        self,
        layers: LayerStack,
        width: int,
        max_tokens: int,
        positions: Positions | None = None,
    ) -> None:
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
