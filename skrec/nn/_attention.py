"""Attention layers that ignore padding and never return NaN."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def masked_softmax(scores: torch.Tensor, mask: torch.Tensor, dim: int = -1) -> torch.Tensor:
    """Compute a softmax over the entries where `mask` is true.

    Masked entries of the result are zero, even if all entries along `dim` are masked.

    Parameters
    ----------
    scores : tensor
        Finite scores of any magnitude.
    mask : bool tensor, broadcastable to `scores`
        Whether each entry takes part in the softmax.
    dim : int, default=-1
        Axis along which the result sums to one.

    Returns
    -------
    tensor of the shape of `scores`
    """
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, dim=dim) * mask


def causal_pooling(scores: torch.Tensor, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Pool all beginnings of a sequence with weights ``softmax(scores)``.

    Parameters
    ----------
    scores : tensor of shape (B, L)
        Logits of the weights.
    x : tensor of shape (B, L, D)
        Vectors.
    mask : bool tensor of shape (B, L)
        Whether each vector counts.

    Returns
    -------
    tensor of shape (B, L, D)
        The vector at position l is the weighted mean of the vectors up to l.
    """
    square = torch.ones(mask.shape[1:] * 2, dtype=torch.bool, device=mask.device)  # (L, L)
    seen = mask.unsqueeze(1) & square.tril()  # (B, L, L)
    return torch.bmm(masked_softmax(scores.unsqueeze(1).expand_as(seen), seen), x)


class AdditiveAttention(nn.Module):
    """Weighted mean of a sequence with weights ``softmax(w tanh(W x + b))``.

    Parameters
    ----------
    width : int
        Size of each vector, D.
    hidden : int
        Number of rows of W.

    References
    ----------
    .. [1] Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and
       Translate", arXiv 1409.0473; as pooling: NAML, arXiv 1907.05576.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, hidden)
        self.query = nn.Linear(hidden, 1, bias=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pool x (B, L, D) under mask (B, L) to (B, D)."""
        weights = masked_softmax(self.scores(x), mask)  # (B, L)
        return torch.bmm(weights.unsqueeze(1), x).squeeze(1)  # (B, D)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Map x (B, L, D) to the logits of the weights (B, L)."""
        return self.query(torch.tanh(self.project(x))).squeeze(-1)


class MultiHeadSelfAttention(nn.Module):
    """Scaled dot-product self-attention with several heads.

    Parameters
    ----------
    width : int
        Size of each vector, D. It must be divisible by `n_heads`.
    n_heads : int
        Number of heads, H.
    dropout : float, default=0.0
        Dropout rate of the attention weights.
    causal : bool, default=False
        Whether each position attends only to itself and to earlier positions.

    References
    ----------
    .. [1] Vaswani et al., "Attention Is All You Need", arXiv 1706.03762.
    """

    def __init__(
        self, width: int, n_heads: int, dropout: float = 0.0, causal: bool = False
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.causal = causal
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map x (B, L, D) under mask (B, L) to (B, L, D); masked positions become zero."""
        B, L, D = x.shape
        q, k, v = self.project(x).view(B, L, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(
            q, k, v, attn_mask=self._seen(mask), dropout_p=self.dropout * self.training
        )  # (B, H, L, D / H)
        mixed = mixed.transpose(1, 2).reshape(B, L, D)
        return self.out(mixed) * mask.unsqueeze(-1)

    def _seen(self, mask: torch.Tensor) -> torch.Tensor:
        """Return which keys each query attends to: (B, 1, 1, L), or (B, 1, L, L) if causal.

        Every query attends to at least one key, because attention to no key would give NaN. The
        outputs of masked queries are set to zero later.
        """
        if not self.causal:
            return (mask | ~mask.any(dim=1, keepdim=True))[:, None, None, :]
        square = torch.ones(mask.shape[1:] * 2, dtype=torch.bool, device=mask.device)  # (L, L)
        itself = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
        return ((mask.unsqueeze(1) & square.tril()) | itself).unsqueeze(1)
