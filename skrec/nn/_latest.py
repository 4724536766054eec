"""The tokens of all clicks of a history as one sequence."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from skrec.nn._item_rows import longest
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
    N = longest(lengths, min(limit, L * T))
    real = torch.arange(N, device=x.device) < lengths  # (B, N)
    place = torch.where(keep, keep.cumsum(dim=1) - 1, N)  # (B, L * T): N for tokens left out
    source = torch.arange(B * L * T, device=x.device).view_as(place)
    at = source.new_zeros((B, N + 1)).scatter_(1, place, source)[:, :N]  # (B, N)
    at = at.masked_fill(~real, 0)
    return F.embedding(at, x.reshape(-1, D)), ages[at], real
