"""Encode variable-length sequences in length-sorted parts, which need little padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.nn import functional as F

from skrec.nn._item_rows import stack_rows

# maximum number of padded tokens per part: small parts have similar lengths and need little
# padding; large parts keep a CPU core busy
PART = 1 << 11


def micro_batches(lengths: np.ndarray, token_budget: int) -> Iterator[slice]:
    """Cut items, sorted by length, into parts of at most `token_budget` padded tokens.

    Parameters
    ----------
    lengths : ndarray of int, shape (U,)
        Number of tokens of each item, in ascending order.
    token_budget : int
        Maximum size of a part: the number of its items times the length of the longest one. A
        part with a single item may exceed it.

    Yields
    ------
    slice
    """
    start = 0
    lengths = np.maximum(lengths, 1)
    while start < len(lengths):
        cost = lengths[start:] * np.arange(1, len(lengths) - start + 1)  # ascending
        stop = start + max(1, int(np.searchsorted(cost, token_budget, side="right")))
        yield slice(start, stop)
        start = stop


def in_parts(
    encode: Callable[[torch.Tensor, int], torch.Tensor],
    lengths: torch.Tensor,
    token_budget: int,
) -> torch.Tensor:
    """Encode sequences in parts of similar length and return the results in the original order.

    Parameters
    ----------
    encode : callable
        Maps row numbers (n,) on the CPU and the length of the longest of these rows to vectors
        (n, D). If parts differ in D, the shorter vectors are padded with zeros.
    lengths : int tensor of shape (U,), on the CPU
        Number of tokens of each sequence.
    token_budget : int
        Maximum number of padded tokens per part; see `micro_batches`.

    Returns
    -------
    tensor of shape (U, D)
    """
    sizes = lengths.numpy()
    order = np.argsort(sizes, kind="stable")
    sizes = sizes[order]
    cuts = list(micro_batches(sizes, token_budget))
    if len(cuts) == 1:
        return encode(torch.arange(len(sizes)), max(1, int(sizes[-1])))
    rows = torch.from_numpy(order)
    parts = stack_rows([encode(rows[cut], max(1, int(sizes[cut.stop - 1]))) for cut in cuts])
    return F.embedding(torch.from_numpy(np.argsort(order)).to(parts.device), parts)


def encode_by_length(
    embed: Callable[[torch.Tensor], torch.Tensor],
    encoder: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ids: torch.Tensor,
    mask: torch.Tensor,
) -> torch.Tensor:
    """Embed each unmasked token once, then encode the sequences in parts of similar length.

    On a GPU, all sequences are encoded at once with their padding, because the CPU would have to
    wait for their lengths.

    Parameters
    ----------
    embed : callable
        Maps ids (...) to vectors (..., D).
    encoder : callable
        Maps x (B, L, D) and mask (B, L) to (B, D). Padding must not change its output.
    ids : int64 tensor of shape (U, L)
        Token ids.
    mask : bool tensor of shape (U, L)
        True for the tokens of each row and False for the padding behind them.

    Returns
    -------
    tensor of shape (U, D)
    """
    if mask.device.type != "cpu":
        return encoder(embed(ids), mask)
    lengths = mask.sum(dim=1).numpy()
    order = np.argsort(lengths, kind="stable")
    lengths = lengths[order]
    rows = torch.from_numpy(order)
    mask = mask[rows]
    cuts = list(micro_batches(lengths, PART))
    tokens = embed(ids[rows][mask]).split([int(lengths[cut].sum()) for cut in cuts])  # (T, D) each
    parts = [
        _encode_part(encoder, part, mask[cut, : max(1, lengths[cut.stop - 1])])
        for part, cut in zip(tokens, cuts, strict=True)
    ]
    return F.embedding(torch.from_numpy(np.argsort(order)), torch.cat(parts))


def _encode_part(
    encoder: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    tokens: torch.Tensor,
    mask: torch.Tensor,
) -> torch.Tensor:
    """Arrange tokens (T, D) in padded rows under mask (B, L) and encode them."""
    place = mask.ravel().cumsum(0).view_as(mask) * mask  # (B, L), 0 for padding
    return encoder(F.embedding(place, F.pad(tokens, (0, 0, 1, 0))), mask)
