"""Tokens of items, for behavior operators that read them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skrec._data.packed import Column


def tokens_of(
    module: nn.Module, columns: dict[str, Column]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the item vectors and the tokens of items.

    Parameters
    ----------
    module : torch.nn.Module
        Module built by a content operator. If it has no method `tokens`, the item vector is the
        only token of an item.
    columns : dict of str to (values, mask)
        Columns of U items, as returned by ``Packed.take``.

    Returns
    -------
    vectors : tensor of shape (U, D)
        Item vectors, equal to ``module(columns)``.
    x : tensor of shape (U, T, D)
        Tokens of the items. Real tokens come before padding.
    mask : bool tensor of shape (U, T)
        True for real tokens.
    """
    tokens: Any = getattr(module, "tokens", None)
    if tokens is not None:
        return tokens(columns)
    vectors = module(columns)
    return vectors, vectors.unsqueeze(1), vectors.new_ones((len(vectors), 1), dtype=torch.bool)
