"""One learned vector per item, without any content."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from skrec._data.items import Items
from skrec._data.packed import Column, Dense, Packed
from skrec.content._base import ContentOperator
from skrec.nn import embedding_table


class ID(ContentOperator):
    r"""One learned vector per item, looked up by its id.

    The content is ignored. Use it as a baseline that shows how much content adds, or for catalogues
    in which all items have many clicks. Items outside the training catalogue get the mean of all
    vectors.

    Do not use it if items are new or rarely clicked: nothing is known about them.

    Attributes
    ----------
    schema_ : int
        Number of items in the training catalogue.
    items_ : Items
        Ids of the training catalogue.

    See Also
    --------
    MeanPooling : Reads the columns instead of the id.
    WithID : Combines content and id.

    Notes
    -----
    .. math::

       v = E_{\text{id}}

    **Cost.** D weights per item; a lookup per item.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.ID())
    >>> items = {"item_id": [0, 1, 2], "title": ["red fox", "blue sea", "red sun"]}
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items)
    >>> rec.item_vectors().shape
    (3, 8)
    """

    is_fast = True

    def fit(self, items: Items, y: Any = None) -> ID:
        """Store the ids of the training catalogue.

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
        """Convert items to their positions in the training catalogue; other items get -1.

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
    """Return a catalogue that has the ids of `items` and no columns."""
    return Items({items.id: items.ids}, id=items.id)


def id_codes(known: Items, items: Items) -> Dense:
    """Return the positions of the ids of `items` in the catalogue `known`, or -1 if not found."""
    codes = known.codes(items.ids, "the items' ids").astype(np.int64)
    return Dense(torch.from_numpy(codes)[:, None])


class IDTable(nn.Module):
    """Embedding table of ids. The code -1 gets the mean of all vectors."""

    def __init__(self, n_items: int, width: int) -> None:
        super().__init__()
        self.table = embedding_table(n_items, width)
        nn.init.normal_(self.table.weight, std=0.1)

    def forward(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return item vectors (U, D)."""
        codes = columns["id"][0].squeeze(1)  # (U,)
        vectors = self.table(codes.clamp_min(0))
        unseen = codes < 0
        if unseen.any():
            weight = self.table.weight
            if self.table.sparse:  # the mean would have a gradient in every row
                weight = weight.detach()
            mean = weight.mean(dim=0)
            vectors = torch.where(unseen.unsqueeze(1), mean, vectors)
        return vectors
