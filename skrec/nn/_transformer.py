"""Transformer layers: attention and a feed-forward part, each with a residual connection."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from skrec.nn._attention import MultiHeadSelfAttention
from skrec.nn._mlp import MLP

# the scale of word and category embeddings, to which positions are added
INITIAL_SCALE = 0.1


class ResidualLayer(nn.Module):
    """Mixer and feed-forward part, each with a residual connection and a layer norm.

    The mixer exchanges information between positions, and the feed-forward part processes each
    position on its own::

        norm_first:  x = x + mix(norm(x));   x = x + feed_forward(norm(x))
        otherwise:   x = norm(x + mix(x));   x = norm(x + feed_forward(x))

    Parameters
    ----------
    mix : torch.nn.Module
        Mixer that maps x (B, L, D) under mask (B, L) to (B, L, D). Padding must not change the
        output at unmasked positions.
    width : int
        Size of each vector, D.
    hidden : int
        Size of the hidden layer of the feed-forward part.
    dropout : float, default=0.0
        Dropout rate of the output of both parts and of the hidden layer.
    norm_first : bool, default=True
        Whether the layer norms come before the parts instead of after the residual connections.
        Norms that come first make training more stable, because the input passes through
        unchanged.
    activation : str, default="relu"
        Activation of the feed-forward part, a key of ``ACTIVATIONS``.
    """

    def __init__(
        self,
        mix: nn.Module,
        width: int,
        hidden: int,
        dropout: float = 0.0,
        norm_first: bool = True,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.mix = mix
        self.feed_forward = MLP(width, (hidden,), width, activation, dropout)
        self.mix_norm = nn.LayerNorm(width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map x (B, L, D) under mask (B, L) to (B, L, D); masked positions become zero."""
        if self.norm_first:
            x = x + self.dropout(self.mix(self.mix_norm(x), mask))
            x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        else:
            x = self.mix_norm(x + self.dropout(self.mix(x, mask)))
            x = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return x * mask.unsqueeze(-1)


class TransformerLayer(ResidualLayer):
    """Encoder layer of a Transformer, with multi-head self-attention as the mixer.

    Parameters
    ----------
    width : int
        Size of each vector, D. It must be divisible by `n_heads`.
    n_heads : int
        Number of heads, H.
    hidden : int
        Size of the hidden layer of the feed-forward part.
    dropout : float, default=0.0
        Dropout rate; see `ResidualLayer`. It does not apply to attention weights, because that
        slows a CPU down by a fifth.
    norm_first : bool, default=True
        Whether layer norms come first; see `ResidualLayer`.
    causal : bool, default=False
        Whether each position attends only to itself and to earlier positions.
    activation : str, default="relu"
        Activation of the feed-forward part; see `ResidualLayer`.

    References
    ----------
    .. [1] Vaswani et al., "Attention Is All You Need", arXiv 1706.03762.
    .. [2] Xiong et al., "On Layer Normalization in the Transformer Architecture",
       arXiv 2002.04745.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        hidden: int,
        dropout: float = 0.0,
        norm_first: bool = True,
        causal: bool = False,
        activation: str = "relu",
    ) -> None:
        mix = MultiHeadSelfAttention(width, n_heads, causal=causal)
        super().__init__(mix, width, hidden, dropout, norm_first, activation)


class LayerStack(nn.Module):
    """Stack of layers, with dropout of the input and a layer norm of the output.

    Parameters
    ----------
    layers : iterable of torch.nn.Module
        Layers that map x (B, L, D) under mask (B, L) to (B, L, D).
    width : int
        Size of each vector, D.
    dropout : float, default=0.0
        Dropout rate of the input.
    norm : bool, default=True
        Whether to end the stack with a layer norm, which layers with ``norm_first=True`` need.
    """

    def __init__(
        self,
        layers: Iterable[nn.Module],
        width: int,
        dropout: float = 0.0,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width) if norm else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map x (B, L, D) under mask (B, L) to (B, L, D); masked positions become zero."""
        # zero weights do not remove masked values that are NaN or infinite
        x = self.dropout(x.masked_fill(~mask.unsqueeze(-1), 0.0))
        for layer in self.layers:
            x = layer(x, mask)  # (B, L, D)
        return x if self.norm is None else self.norm(x) * mask.unsqueeze(-1)


def transformer(
    width: int,
    n_layers: int,
    n_heads: int,
    hidden: int | None = None,
    dropout: float = 0.0,
    causal: bool = False,
) -> LayerStack:
    """Build a stack of `TransformerLayer` with norms first; `hidden` defaults to `width`."""
    layers = [
        TransformerLayer(width, n_heads, hidden or width, dropout, causal=causal)
        for _ in range(n_layers)
    ]
    return LayerStack(layers, width, dropout)


class Positions(nn.Module):
    """Learned position embeddings; positions beyond the last one share its vector.

    Parameters
    ----------
    n_positions : int
        Number of positions that have a vector.
    width : int
        Size of each vector, D.
    """

    def __init__(self, n_positions: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(n_positions, width)
        nn.init.normal_(self.table.weight, std=INITIAL_SCALE)

    def forward(self, x: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """Add to x (..., L, D) the vectors of positions `place` (..., L), counted from 0."""
        return x + self.table(place.clamp_max(self.table.num_embeddings - 1))


def recency(mask: torch.Tensor) -> torch.Tensor:
    """Count unmasked positions from the end of each row; the last one is 0, and so is padding.

    Counted from the end, a position keeps its number however many positions come before it.

    Parameters
    ----------
    mask : bool tensor of shape (B, L)
        Whether each position is real.

    Returns
    -------
    int64 tensor of shape (B, L)
    """
    return (mask.flip(1).cumsum(1).flip(1) - 1).clamp_min(0)
