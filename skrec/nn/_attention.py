"""Attention with masks that never lets padding in and never gives NaN."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def masked_softmax(scores: torch.Tensor, mask: torch.Tensor, dim: int = -1) -> torch.Tensor:
    """Softmax over the entries where `mask` is true; a wholly masked row gives zeros.

    Parameters
    ----------
    scores : tensor
        Any finite scores, however large.
    mask : bool tensor, broadcastable to `scores`
        True where an entry counts.
    dim : int, default=-1
        The axis that sums to one.

    Returns
    -------
    tensor of the shape of `scores`
    """
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, dim=dim) * mask


class AdditiveAttention(nn.Module):
    """Weighted mean of a sequence with weights ``softmax(w tanh(W x + b))``.

    Parameters
    ----------
    width : int
        D, the size of each vector.
    hidden : int
        Rows of W.

    References
    ----------
    .. [1] Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and
       Translate", arXiv 1409.0473; as pooling: NAML, arXiv 1907.05576.
    """

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.project = nn.Linear(width, hidden)
        self.query = nn.Linear(hidden, 1, bias=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pool x (B, L, D) under mask (B, L) to (B, D)."""
        scores = self.query(torch.tanh(self.project(x))).squeeze(-1)  # (B, L)
        weights = masked_softmax(scores, mask)  # (B, L)
        return torch.bmm(weights.unsqueeze(1), x).squeeze(1)  # (B, D)


class MultiHeadSelfAttention(nn.Module):
    """Scaled dot-product self-attention with several heads.

    Parameters
    ----------
    width : int
        D; the number of heads divides it.
    n_heads : int
        H.
    dropout : float, default=0.0
        Of the attention weights, in training.
    causal : bool, default=False
        Whether a place sees itself and those before it only.

    References
    ----------
    .. [1] Vaswani et al., "Attention Is All You Need", arXiv 1706.03762.
    """

    def __init__(self, width: int, n_heads: int, dropout: float = 0.0, causal: bool = False):
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.causal = causal
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Mix x (B, L, D) under mask (B, L) to (B, L, D); masked places give zeros."""
        B, L, D = x.shape
        q, k, v = self.project(x).view(B, L, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(
            q, k, v, attn_mask=self._seen(mask), dropout_p=self.dropout * self.training
        )  # (B, H, L, D / H)
        mixed = mixed.transpose(1, 2).reshape(B, L, D)
        return self.out(mixed) * mask.unsqueeze(-1)

    def _seen(self, mask: torch.Tensor) -> torch.Tensor:
        """Say which keys a query attends to: (B, 1, 1, L), or (B, 1, L, L) where causal.

        None attends to nothing, which would give NaN; what masked queries read is zeroed.
        """
        if not self.causal:
            return (mask | ~mask.any(dim=1, keepdim=True))[:, None, None, :]
        square = torch.ones(mask.shape[1:] * 2, dtype=torch.bool, device=mask.device)  # (L, L)
        itself = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
        return ((mask.unsqueeze(1) & square.tril()) | itself).unsqueeze(1)
