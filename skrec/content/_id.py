"""One learned vector an item: no content at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from skrec._data.items import Items
from skrec._data.packed import Column, Dense, Packed
from skrec.content._base import ContentOperator


class ID(ContentOperator):
    """One learned vector an item, looked up by its id.

    The baseline that content is measured against: it knows nothing of an item that training
    never met. Items outside the training catalogue get the mean of all vectors.

    Attributes
    ----------
    schema_ : int
        Number of items in the training catalogue.
    items_ : Items
        Their ids.

    See Also
    --------
    MeanPooling : Reads the columns instead.
    WithID : Both.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.ID())
    """

    def fit(self, items: Items, y: Any = None) -> ID:
        """Remember the ids.

        Parameters
        ----------
        items : Items
            The training catalogue.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self.items_ = ids_only(items)
        self.schema_ = items.n_items
        return self

    def prepare(self, items: Items) -> Packed:
        """Turn items into their positions in the training catalogue, -1 for others.

        Parameters
        ----------
        items : Items
            Any catalogue.

        Returns
        -------
        Packed
        """
        return Packed({"id": id_codes(self.items_, items)})

    def build(self, schema: Any, width: int) -> nn.Module:
        return IDTable(schema, width)


def ids_only(items: Items) -> Items:
    """Return a catalogue without its columns."""
    return Items({items.id: items.ids}, id=items.id)


def id_codes(known: Items, items: Items) -> Dense:
    """Return where the ids of `items` are among the known ones, and -1 for others."""
    codes = known.codes(items.ids, "the items' ids").astype(np.int64)
    return Dense(torch.from_numpy(codes)[:, None])


class IDTable(nn.Module):
    """Looks vectors up; -1 reads the mean of all."""

    def __init__(self, n_items: int, width: int):
        super().__init__()
        self.table = nn.Embedding(n_items, width)
        nn.init.normal_(self.table.weight, std=0.1)

    def forward(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return the item vectors (U, D)."""
        codes = columns["id"][0].squeeze(1)  # (U,)
        vectors = self.table(codes.clamp_min(0))
        unseen = codes < 0
        if unseen.any():
            mean = self.table.weight.mean(dim=0)
            vectors = torch.where(unseen.unsqueeze(1), mean, vectors)
        return vectors
