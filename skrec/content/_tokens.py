"""The tokens of items, for behavior operators that read them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skrec._data.packed import Column


def tokens_of(
    module: nn.Module, columns: dict[str, Column]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what a content module's method `tokens` gives; without one, items have one token.

    Parameters
    ----------
    module : torch.nn.Module
        What a content operator built.
    columns : dict of str to (values, mask)
        What ``Packed.take`` returns of U items.

    Returns
    -------
    vectors : tensor of shape (U, D)
        The item vectors, as ``module(columns)`` gives them.
    x : tensor of shape (U, T, D)
        The items' tokens, the real ones first; their vectors where the module has no tokens.
    mask : bool tensor of shape (U, T)
        True where a token is real.
    """
    tokens: Any = getattr(module, "tokens", None)
    if tokens is not None:
        return tokens(columns)
    vectors = module(columns)
    return vectors, vectors.unsqueeze(1), vectors.new_ones((len(vectors), 1), dtype=torch.bool)
