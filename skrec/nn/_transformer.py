"""Transformer layers: a mixer of places and a feed-forward part, each with a residual."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from skrec.nn._attention import MultiHeadSelfAttention
from skrec.nn._mlp import MLP

# as embeddings of words and categories, to which positions are added
INITIAL_SCALE = 0.1


class ResidualLayer(nn.Module):
    """A mixer of places, then a feed-forward part on each, with residuals and layer norms.

    ::

        norm_first:  x = x + mix(norm(x));   x = x + feed_forward(norm(x))
        otherwise:   x = norm(x + mix(x));   x = norm(x + feed_forward(x))

    Parameters
    ----------
    mix : torch.nn.Module
        Maps x (B, L, D) under mask (B, L) to (B, L, D); padding must not change what stands in
        real places.
    width : int
        D.
    hidden : int
        Size of the inner layer of the feed-forward part.
    dropout : float, default=0.0
        Of what both parts give and of the inner layer, in training.
    norm_first : bool, default=True
        Where the norms stand. The first way is the stable one: what came in passes through.
    activation : str, default="relu"
        Inside the feed-forward part, a key of ``ACTIVATIONS``.
    """

    def __init__(
        self,
        mix: nn.Module,
        width: int,
        hidden: int,
        dropout: float = 0.0,
        norm_first: bool = True,
        activation: str = "relu",
    ):
        super().__init__()
        self.mix = mix
        self.feed_forward = MLP(width, (hidden,), width, activation, dropout)
        self.mix_norm = nn.LayerNorm(width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map x (B, L, D) under mask (B, L) to (B, L, D); masked places give zeros."""
        if self.norm_first:
            x = x + self.dropout(self.mix(self.mix_norm(x), mask))
            x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        else:
            x = self.mix_norm(x + self.dropout(self.mix(x, mask)))
            x = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return x * mask.unsqueeze(-1)


class TransformerLayer(ResidualLayer):
    """The encoder layer of a Transformer, with multi-head self-attention as the mixer.

    Parameters
    ----------
    width : int
        D; the number of heads divides it.
    n_heads : int
        H.
    hidden : int
        Size of the inner layer of the feed-forward part.
    dropout : float, default=0.0
        See `ResidualLayer`. Attention weights are not dropped: on a CPU that costs a fifth.
    norm_first : bool, default=True
        See `ResidualLayer`.
    causal : bool, default=False
        Whether a place sees itself and those before it only.
    activation : str, default="relu"
        See `ResidualLayer`.

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
    ):
        mix = MultiHeadSelfAttention(width, n_heads, causal=causal)
        super().__init__(mix, width, hidden, dropout, norm_first, activation)


class LayerStack(nn.Module):
    """Layers on top of each other, with dropout of their input and a norm of their output.

    Parameters
    ----------
    layers : iterable of torch.nn.Module
        Each maps x (B, L, D) under mask (B, L) to (B, L, D).
    width : int
        D.
    dropout : float, default=0.0
        Of the input, in training.
    norm : bool, default=True
        Whether a layer norm ends the stack, as layers with ``norm_first`` need it.
    """

    def __init__(
        self,
        layers: Iterable[nn.Module],
        width: int,
        dropout: float = 0.0,
        norm: bool = True,
    ):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width) if norm else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map x (B, L, D) under mask (B, L) to (B, L, D); masked places give zeros."""
        # a weight of zero would not keep out what is not finite
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
    """Make a stack of `TransformerLayer` with norms first; `hidden` is D where it is None."""
    layers = [
        TransformerLayer(width, n_heads, hidden or width, dropout, causal=causal)
        for _ in range(n_layers)
    ]
    return LayerStack(layers, width, dropout)


class Positions(nn.Module):
    """Adds a learned vector for each place; those beyond the last one share its vector.

    Parameters
    ----------
    n_positions : int
        Places with a vector.
    width : int
        D.
    """

    def __init__(self, n_positions: int, width: int):
        super().__init__()
        self.table = nn.Embedding(n_positions, width)
        nn.init.normal_(self.table.weight, std=INITIAL_SCALE)

    def forward(self, x: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """Add to x (..., L, D) the vectors of places (..., L), counted from 0."""
        return x + self.table(place.clamp_max(self.table.num_embeddings - 1))


def recency(mask: torch.Tensor) -> torch.Tensor:
    """Count real places from the end of each row: 0 is the last one, as in padding.

    Counted so, a place stays what it is whatever came long before it.

    Parameters
    ----------
    mask : bool tensor of shape (B, L)

    Returns
    -------
    int64 tensor of shape (B, L)
    """
    return (mask.flip(1).cumsum(1).flip(1) - 1).clamp_min(0)
