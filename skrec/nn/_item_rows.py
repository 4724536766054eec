"""An item's vector and its tokens as one row of numbers, which can be gathered like a vector.

::

    vector (D) | token (D), 1 | token (D), 1 | zeros ...

The number after each token is 1 if the token is real and 0 if it is padding. Zeros at the end of
a row are therefore padding tokens, and a row may have any length.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def join_tokens(vectors: torch.Tensor, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Join vectors and tokens into rows; an item without tokens gets its vector as its only token.

    Parameters
    ----------
    vectors : tensor of shape (U, W)
        Rows whose first D of W entries are the item vectors.
    x : tensor of shape (U, T, D)
        Tokens of each item, followed by padding.
    mask : bool tensor of shape (U, T)
        Whether each token is real.

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
    """Split the token part of rows (..., T * (D + 1)) into tokens (..., T, D) and their mask."""
    tokens = tokens.unflatten(-1, (-1, width + 1))  # (..., T, D + 1)
    return tokens[..., :width], tokens[..., width] > 0


def real_first(x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Move the unmasked tokens of x (U, T, D) to the front, keeping their order.

    Return the tokens and their mask, both cut to the length of the longest row on the CPU.
    """
    order = torch.argsort(~mask, dim=1, stable=True)  # (U, T)
    x = x.gather(1, order.unsqueeze(2).expand(-1, -1, x.shape[2]))
    length = longest(mask.sum(dim=1), mask.shape[1])
    return x[:, :length], mask.gather(1, order)[:, :length]


def longest(lengths: torch.Tensor, limit: int) -> int:
    """Return the largest length, but at least 1; the limit on a GPU, which would be waited for."""
    return max(1, int(lengths.max())) if lengths.device.type == "cpu" else limit


def stack_rows(parts: list[torch.Tensor]) -> torch.Tensor:
    """Concatenate rows of different lengths, padding the shorter ones with zeros."""
    width = max(part.shape[1] for part in parts)
    return torch.cat([F.pad(part, (0, width - part.shape[1])) for part in parts])
