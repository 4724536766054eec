"""Tokens of all clicks of a history as one sequence."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from skrec.nn._transformer import recency


def latest_tokens(
    x: torch.Tensor, mask: torch.Tensor, limit: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lay the tokens of all clicks out as one sequence a history, without padding between them.

    Parameters
    ----------
    x : tensor of shape (B, L, T, D)
        Tokens of the clicks, oldest click first.
    mask : bool tensor of shape (B, L, T)
        True where a token is real.
    limit : int
        Real tokens to keep of a history; the last ones are kept.

    Returns
    -------
    x : tensor of shape (B, N, D)
        The tokens in their order, then padding; N <= `limit`.
    age : int64 tensor of shape (B, N)
        How many clicks came after the token's.
    mask : bool tensor of shape (B, N)
        True where a token is real.
    """
    B, L, T, D = x.shape
    ages = recency(mask.any(dim=2)).unsqueeze(2).expand(B, L, T).flatten()  # (B * L * T,)
    flat = mask.flatten(1)  # (B, L * T)
    keep = flat & (recency(flat) < limit)
    lengths = keep.sum(dim=1, keepdim=True)  # (B, 1)
    place = torch.arange(max(1, int(lengths.max())), device=x.device)  # (N,)
    real = place < lengths  # (B, N)
    at = torch.zeros_like(real, dtype=torch.long)  # rows of the tokens of the whole batch
    at[real] = keep.flatten().nonzero().squeeze(1)  # both run row by row
    return F.embedding(at, x.reshape(-1, D)), ages[at], real
