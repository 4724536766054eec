"""Fastformer: additive attention that mixes a sequence in linear time."""

from __future__ import annotations

import math

import torch
from torch import nn

from skrec.nn._attention import masked_softmax
from skrec.nn._transformer import LayerStack, ResidualLayer


class FastAttention(nn.Module):
    """Attention of Fastformer, which mixes positions through a global query and a global key.

    Each position i has a query q_i, a key k_i and a value v_i. In each head, of size d, the layer
    computes::

        q   = sum_i softmax_i(w_q q_i / sqrt(d)) q_i        p_i = q * k_i
        k   = sum_i softmax_i(w_k p_i / sqrt(d)) p_i        u_i = k * v_i
        out_i = W u_i + b + q_i

    where ``*`` is the elementwise product and W reads all heads. Time and memory are linear in the
    length of the sequence.

    Parameters
    ----------
    width : int
        Size of each vector, D. It must be divisible by `n_heads`.
    n_heads : int
        Number of heads, H.
    share_values : bool, default=True
        Whether the queries also serve as the values, as in the paper.

    Notes
    -----
    ``w_q`` and ``w_k`` read their own head, as in the paper. In the authors' code they read all
    heads. The tests compare this layer with the copy of that code in espnet, after its weights
    across heads are set to zero.

    References
    ----------
    .. [1] Wu et al., "Fastformer: Additive Attention Can Be All You Need", arXiv 2108.09084.
    """

    def __init__(self, width: int, n_heads: int, share_values: bool = True) -> None:
        super().__init__()
        self.n_heads = n_heads
        size = width // n_heads
        self.project = nn.Linear(width, (2 if share_values else 3) * width)
        self.query = nn.Parameter(torch.empty(n_heads, size))  # w_q of each head
        self.key = nn.Parameter(torch.empty(n_heads, size))  # w_k of each head
        for weight in (self.query, self.key):
            nn.init.uniform_(weight, -1 / math.sqrt(size), 1 / math.sqrt(size))
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map x (B, L, D) under mask (B, L) to (B, L, D); masked positions become zero."""
        B, L, D = x.shape
        parts = self.project(x).view(B, L, -1, self.n_heads, D // self.n_heads)
        q, k, *rest = parts.permute(2, 0, 3, 1, 4)  # (B, H, L, d) each
        v = rest[0] if rest else q
        pooled_q = self._pool(q, self.query.unsqueeze(0), mask)  # (B, H, d)
        # p_i is never computed, because w_k (q * k_i) = (w_k * q) k_i and the weighted mean of
        # p_i is q times that of k_i
        pooled_k = pooled_q * self._pool(k, self.key * pooled_q, mask)  # (B, H, d)
        u = (pooled_k.unsqueeze(2) * v).transpose(1, 2).reshape(B, L, D)
        q = q.transpose(1, 2).reshape(B, L, D)
        return (self.out(u) + q) * mask.unsqueeze(-1)

    def _pool(self, x: torch.Tensor, query: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pool x (B, H, L, d) to (B, H, d) with attention weights of a query (B or 1, H, d)."""
        scores = (x @ query.unsqueeze(3)).squeeze(3) / math.sqrt(x.shape[3])  # (B, H, L)
        weights = masked_softmax(scores, mask.unsqueeze(1))
        return (weights.unsqueeze(2) @ x).squeeze(2)


class FastformerLayer(ResidualLayer):
    """Transformer layer that mixes positions with `FastAttention`.

    Parameters
    ----------
    width : int
        Size of each vector, D. It must be divisible by `n_heads`.
    n_heads : int
        Number of heads, H.
    hidden : int
        Size of the hidden layer of the feed-forward part.
    dropout : float, default=0.0
        Dropout rate; see `ResidualLayer`.
    norm_first : bool, default=True
        Whether layer norms come first; see `ResidualLayer`.
    share_values : bool, default=True
        Whether the queries also serve as the values; see `FastAttention`.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        hidden: int,
        dropout: float = 0.0,
        norm_first: bool = True,
        share_values: bool = True,
    ) -> None:
        mix = FastAttention(width, n_heads, share_values)
        super().__init__(mix, width, hidden, dropout, norm_first)


def fastformer(
    width: int,
    n_layers: int,
    n_heads: int,
    hidden: int | None = None,
    dropout: float = 0.0,
    bare: bool = False,
) -> LayerStack:
    """Build a stack of `FastformerLayer` with norms first; `hidden` defaults to `width`.

    If `bare` is true, the layers are plain `FastAttention` and the stack has no final norm.
    """
    layers = [
        FastAttention(width, n_heads)
        if bare
        else FastformerLayer(width, n_heads, hidden or width, dropout)
        for _ in range(n_layers)
    ]
    return LayerStack(layers, width, dropout, norm=not bare)
