"""Maximal marginal relevance: lists of items that are unlike each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse

from skrec._inference.quotas import Counts

Cosines = Callable[[torch.Tensor], torch.Tensor]


def cosines_of(vectors: Any, codes: torch.Tensor) -> Cosines:
    """Return a function that compares items with one other item per row.

    Parameters
    ----------
    vectors : tensor or csr_array of shape (N, D)
        Vectors of length 1, or 0.
    codes : int64 tensor of shape (r, n)
        Codes of the items of each row.

    Returns
    -------
    callable
        Function of the codes (r,) of other items that returns cosines (r, n).
    """
    if not sparse.issparse(vectors):
        own = F.embedding(codes.to(vectors.device), vectors).transpose(1, 2)  # (r, D, n)

        def dense(others: torch.Tensor) -> torch.Tensor:
            other = F.embedding(others.to(vectors.device), vectors).unsqueeze(1)  # (r, 1, D)
            return torch.bmm(other, own).squeeze(1).to(codes.device)

        return dense
    flat = vectors[codes.cpu().numpy().ravel()]

    def products(others: torch.Tensor) -> torch.Tensor:
        repeated = vectors[np.repeat(others.cpu().numpy(), codes.shape[1])]
        found = np.asarray(flat.multiply(repeated).sum(axis=1)).reshape(codes.shape)
        return torch.from_numpy(found).to(codes.device)

    return products


def relevance(scores: torch.Tensor) -> torch.Tensor:
    """Scale the finite scores (r, n) of each row to the interval from 0 to 1; others are 0.

    If all scores of a row are equal, they become 0.
    """
    is_there = scores > -torch.inf
    low = scores.masked_fill(~is_there, torch.inf).amin(dim=1, keepdim=True)
    span = scores.amax(dim=1, keepdim=True) - low
    scaled = (scores - low) / torch.where(span > 0, span, 1.0)
    return scaled.masked_fill(~is_there, 0.0)


def marginal(
    scores: torch.Tensor,
    codes: torch.Tensor,
    earlier: torch.Tensor,
    n_wanted: torch.Tensor,
    diversity: float,
    cosines: Cosines,
    rows: torch.Tensor,
    counts: Counts | None,
) -> torch.Tensor:
    """Choose items one by one by their maximal marginal relevance.

    Each step takes the item with the highest ``(1 - diversity) * relevance - diversity * s``, where
    s is the greatest cosine with an item of the list, and 0 while the list is empty.

    Parameters
    ----------
    scores : tensor of shape (r, n)
        Scores in descending order; -inf where there is no item.
    codes : int64 tensor of shape (r, n)
        Codes of the items.
    earlier : int64 tensor of shape (r, e)
        Codes of the items that are already in the lists, followed by -1.
    n_wanted : int64 tensor of shape (r,)
        Number of items to choose.
    diversity : float
        Weight of the cosine.
    cosines : callable
        Function that compares the items; see `cosines_of`.
    rows : int64 tensor of shape (r,)
        The rows in `counts`.
    counts : Counts or None
        Counts of the lists, which are updated.

    Returns
    -------
    int64 tensor of shape (r, max(n_wanted))
        Positions of the chosen items in their order, followed by -1.
    """
    gain = (1 - diversity) * relevance(scores)
    is_open = scores > -torch.inf
    nearest = torch.full_like(scores, -torch.inf)
    for other in earlier.unbind(1):
        found = cosines(other.clamp(min=0)).to(scores.dtype)
        is_there = (other >= 0).unsqueeze(1)
        nearest = torch.where(is_there, torch.maximum(nearest, found), nearest)
    values = None if counts is None else counts.quotas.values_of(codes)
    local = torch.arange(len(scores), device=scores.device)
    chosen = []
    n_steps = int(n_wanted.max())
    for step in range(n_steps):
        if counts is not None and values is not None:
            is_open &= ~counts.are_full(rows, values)
        loss = diversity * nearest.masked_fill(nearest == -torch.inf, 0.0)
        at = (gain - loss).masked_fill(~is_open, -torch.inf).argmax(dim=1)
        taken = is_open[local, at] & (step < n_wanted)
        chosen.append(torch.where(taken, at, -1))
        is_open[local, at] = False
        if counts is not None and values is not None:
            counts.add(rows, values[local, at], taken)
        if step == n_steps - 1:
            break
        found = cosines(codes[local, at]).to(scores.dtype)
        nearest = torch.where(taken.unsqueeze(1), torch.maximum(nearest, found), nearest)
    return torch.stack(chosen, dim=1)
