"""Base class of operators that read one vector per item, and their module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from skrec._common.checks import check_hidden, check_real
from skrec._common.messages import preview
from skrec._data.items import Items
from skrec._data.packed import Column, Dense, Packed
from skrec.content._base import ContentOperator
from skrec.content._columns.scales import standardized
from skrec.nn import MLP, isometric, start_at_principal_directions


class DenseOperator(ContentOperator):
    """Base class of operators that map one vector per item to the item vector by a perceptron.

    A subclass has the parameters `columns`, `hidden` and `dropout`, and a method `_read`. Its `fit`
    sets `columns_` and ends with a call of `_fit_scale`.
    """

    columns: Any
    columns_: Any
    hidden: Any
    dropout: float

    def check(self, width: int) -> None:
        check_hidden(self.hidden, minimum=0)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def _read(self, items: Items) -> np.ndarray:
        """Return the vectors of items, of shape (n_items, n_features)."""
        raise NotImplementedError

    def _describe(self) -> str:
        """Return where the vectors come from, for error messages."""
        return f"a vector of content.{type(self).__name__} (columns {preview(self.columns_, 20)})"

    def _fit_scale(self, vectors: np.ndarray) -> None:
        """Set the size and the scale from the vectors of the training catalogue.

        All numbers have one common scale, so that scaling preserves the angles between vectors and
        the relative weights of directions.
        """
        mean_square = float(np.mean(np.square(vectors, dtype=np.float64)))
        self.scale_ = float(np.sqrt(mean_square)) or 1.0
        self.schema_ = vectors.shape[1]

    def prepare(self, items: Items) -> Packed:
        """Convert items to scaled vectors.

        Parameters
        ----------
        items : Items
            A catalogue with the columns of the training catalogue.

        Returns
        -------
        Packed
        """
        vectors = standardized(self._read(items), 0.0, self.scale_, self._describe())
        return Packed({"vector": Dense(torch.from_numpy(vectors))})

    def build(self, schema: Any, width: int) -> nn.Module:
        return DenseNetwork(schema, self.hidden, width, self.dropout)


def describe_roles(roles: dict[str, str], most: int = 20) -> str:
    """Return the names and roles of columns as text for error messages."""
    shown = [f"{name!r} ({role})" for name, role in roles.items()]
    return ", ".join(shown[:most] + ["..."] * (len(shown) > most))


class DenseNetwork(nn.Module):
    """Perceptron on one vector per item."""

    def __init__(self, n_features: int, hidden: Sequence[int], width: int, dropout: float) -> None:
        super().__init__()
        self.mlp = MLP(n_features, hidden, width, dropout=dropout)

    def start_from(self, columns: dict[str, Column]) -> None:
        """Let a network without hidden layers start from the vectors of some items.

        It starts as an isometry if it is large enough, and otherwise at the principal directions.
        """
        first = self.mlp.layers[0]
        if len(self.mlp.layers) > 1 or not isinstance(first, nn.Linear):
            return
        if first.out_features >= first.in_features:
            isometric(first)
        else:
            start_at_principal_directions(first, columns["vector"][0])

    def forward(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return item vectors (U, D)."""
        values, _ = columns["vector"]  # (U, n_features)
        return self.mlp(values.to(next(self.parameters()).dtype))
