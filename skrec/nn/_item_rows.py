"""An item's vector and its tokens as one row of numbers, which is gathered like a vector.

::

    vector (D) | token (D), 1 | token (D), 1 | zeros ...

A row may have any length: zeros at its end are tokens that are not real.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def join_tokens(vectors: torch.Tensor, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Make rows of vectors and tokens; an item without any token has one, its vector.

    Parameters
    ----------
    vectors : tensor of shape (U, W)
        The first D of W entries are the items' vectors.
    x : tensor of shape (U, T, D)
        Tokens, the real ones first.
    mask : bool tensor of shape (U, T)

    Returns
    -------
    tensor of shape (U, W + T * (D + 1))
    """
    empty = ~mask[:, :1]  # (U, 1)
    vector = F.pad(vectors[:, None, : x.shape[2]], (0, 0, 0, x.shape[1] - 1))  # (U, T, D)
    x = torch.where(empty.unsqueeze(2), vector, x * mask.unsqueeze(2))
    real = torch.cat([mask[:, :1] | empty, mask[:, 1:]], dim=1).to(x.dtype)
    tokens = torch.cat([x, real.unsqueeze(2)], dim=2)  # (U, T, D + 1)
    return torch.cat([vectors, tokens.flatten(1)], dim=1)


def split_tokens(tokens: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tokens (..., T, D) of the ends of rows (..., T * (D + 1)), and their mask."""
    tokens = tokens.unflatten(-1, (-1, width + 1))  # (..., T, D + 1)
    return tokens[..., :width], tokens[..., width] > 0


def real_first(x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Move the real tokens of x (U, T, D) to the front, in their order; also of the mask (U, T)."""
    order = torch.argsort(~mask, dim=1, stable=True)  # (U, T)
    x = x.gather(1, order.unsqueeze(2).expand(-1, -1, x.shape[2]))
    length = max(1, int(mask.sum(dim=1).max()))
    return x[:, :length], mask.gather(1, order)[:, :length]


def stack_rows(parts: list[torch.Tensor]) -> torch.Tensor:
    """Put rows of several lengths below each other, with zeros at the ends of the shorter."""
    longest = max(part.shape[1] for part in parts)
    return torch.cat([F.pad(part, (0, longest - part.shape[1])) for part in parts])
