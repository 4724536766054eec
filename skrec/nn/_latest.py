"""The tokens of all clicks of a history as one sequence."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from skrec.nn._transformer import recency


def latest_tokens(
    x: torch.Tensor, mask: torch.Tensor, limit: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Concatenate the tokens of all clicks of each history, without padding between clicks.

    Parameters
    ----------
    x : tensor of shape (B, L, T, D)
        Tokens of the clicks, oldest click first.
    mask : bool tensor of shape (B, L, T)
        Whether each token is real.
    limit : int
        Maximum number of tokens per history. The last ones are kept.

    Returns
    -------
    x : tensor of shape (B, N, D)
        The tokens in their order, followed by padding; N <= `limit`.
    age : int64 tensor of shape (B, N)
        Number of clicks after the click of each token.
    mask : bool tensor of shape (B, N)
        Whether each token is real.
    """
    B, L, T, D = x.shape
    ages = recency(mask.any(dim=2)).unsqueeze(2).expand(B, L, T).flatten()  # (B * L * T,)
    flat = mask.flatten(1)  # (B, L * T)
    keep = flat & (recency(flat) < limit)
    lengths = keep.sum(dim=1, keepdim=True)  # (B, 1)
    place = torch.arange(max(1, int(lengths.max())), device=x.device)  # (N,)
    real = place < lengths  # (B, N)
    at = torch.zeros_like(real, dtype=torch.long)  # (B, N): indices into the tokens of the batch
    at[real] = keep.flatten().nonzero().squeeze(1)  # both sides are in row-major order
    return F.embedding(at, x.reshape(-1, D)), ages[at], real
