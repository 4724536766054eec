"""Items as one vector of numbers each, through a perceptron: `Features` and `Vectors`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from skrec._common.checks import check_hidden, check_real
from skrec._data.items import Items
from skrec._data.packed import Column, Dense, Packed
from skrec.content._base import ContentOperator
from skrec.nn import MLP


class DenseOperator(ContentOperator):
    """Base of operators that read an item as one vector.

    A subclass has the parameters `columns`, `hidden` and `dropout`, a method `_read`, and a
    `fit` that ends in `_measure`.
    """

    columns: Any
    hidden: Any
    dropout: float

    def check(self, width: int) -> None:
        check_hidden(self.hidden, minimum=0)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def _read(self, items: Items) -> np.ndarray:
        """Return the vectors of items, of shape (n_items, n_numbers)."""
        raise NotImplementedError

    def _measure(self, vectors: np.ndarray) -> None:
        """Learn size and scale from the vectors of the training catalogue.

        One scale for all numbers leaves angles and the relative weights of directions, as an
        encoder or an SVD meant them, as they are.
        """
        mean_square = float(np.mean(np.square(vectors, dtype=np.float64)))
        self.scale_ = float(np.sqrt(mean_square)) or 1.0
        self.schema_ = vectors.shape[1]

    def prepare(self, items: Items) -> Packed:
        """Turn items into scaled vectors.

        Parameters
        ----------
        items : Items
            Any catalogue with the columns of the training catalogue.

        Returns
        -------
        Packed
        """
        vectors = (self._read(items) / self.scale_).astype(np.float32)
        return Packed({"vector": Dense(torch.from_numpy(vectors))})

    def build(self, schema: Any, width: int) -> nn.Module:
        return DenseNetwork(schema, self.hidden, width, self.dropout)


def describe(roles: dict[str, str], most: int = 20) -> str:
    """Name columns with their roles, for error messages."""
    shown = [f"{name!r} ({role})" for name, role in roles.items()]
    return ", ".join(shown[:most] + ["..."] * (len(shown) > most))


class DenseNetwork(nn.Module):
    """A perceptron on one vector an item."""

    def __init__(self, n_numbers: int, hidden: Sequence[int], width: int, dropout: float):
        super().__init__()
        self.mlp = MLP(n_numbers, hidden, width, dropout=dropout)

    def forward(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return the item vectors (U, D)."""
        values, _ = columns["vector"]  # (U, n_numbers)
        return self.mlp(values.to(next(self.parameters()).dtype))
