"""Embedding tables whose gradients have only the rows of a step if the table is large."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

# numbers in a table above which a step must not touch all of them: 262,144 rows of 64
LARGE_TABLE = 1 << 24


def embedding_table(n_rows: int, width: int, **options: Any) -> nn.Embedding:
    """Create an embedding table, with sparse gradients if it is large.

    The gradient of a large table is a sparse tensor with the rows that were looked up. Such tables
    are trained by `TableAdam`, and processes exchange their rows only.

    Parameters
    ----------
    n_rows, width : int
        Shape of the table.
    **options : object
        Other parameters of ``torch.nn.Embedding``.

    Returns
    -------
    torch.nn.Embedding
    """
    return nn.Embedding(n_rows, width, sparse=n_rows * width > LARGE_TABLE, **options)


def sparse_tables(network: nn.Module) -> list[nn.Parameter]:
    """Return the trained weights of a network whose gradients are sparse, in a fixed order."""
    found: dict[int, Any] = {
        id(module.weight): module.weight
        for module in network.modules()
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse
    }
    return [weight for weight in found.values() if weight.requires_grad]


def rows_of_gradient(grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rows of a sparse gradient that are not zero, each once.

    Items that dropout left out, and padding, have a gradient of zero.

    Parameters
    ----------
    grad : sparse tensor of shape (N, D)
        The gradient of a table.

    Returns
    -------
    rows : int64 tensor of shape (k,)
        Numbers of the rows, ascending.
    values : tensor of shape (k, D)
        Their gradients.
    """
    grad = grad.coalesce()
    rows, values = grad.indices()[0], grad.values()
    kept = values.ne(0).any(dim=1)
    return rows[kept], values[kept]
