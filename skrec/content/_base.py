"""The contract of content operators."""

from __future__ import annotations

from typing import Any

from torch import nn

from skrec._items import Items
from skrec._operators import Operator
from skrec.content._packed import Packed


class ContentOperator(Operator):
    """Turns an item's columns into its vector.

    A subclass defines `fit`, `prepare` and `build`. `fit` learns what the columns hold
    (vocabularies, scales) and sets ``schema_``; `build` makes the module that the recommender
    trains from that schema alone; `prepare` turns items into the tensors that it reads.
    """

    def fit(self, items: Items, y: Any = None) -> ContentOperator:
        """Learn vocabularies and scales from the training catalogue.

        Parameters
        ----------
        items : Items
            The catalogue.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        raise NotImplementedError

    def prepare(self, items: Items) -> Packed:
        """Turn items into packed tensors, with what `fit` learned.

        Parameters
        ----------
        items : Items
            Any catalogue with the columns of the training catalogue.

        Returns
        -------
        Packed
        """
        raise NotImplementedError

    def build(self, schema: Any, width: int) -> nn.Module:
        """Make the module that maps the columns of U items to vectors (U, width).

        Parameters
        ----------
        schema : object
            The ``schema_`` that `fit` set.
        width : int
            D, the size of an item vector.

        Returns
        -------
        torch.nn.Module
            Its ``forward`` takes what ``Packed.take`` returns.
        """
        raise NotImplementedError


def refuse_nested(operator: Operator, name: str, params: dict[str, Any], example: str) -> None:
    """Raise a ValueError for a key such as operator__max_length where that is no object."""
    target = params.get(name, getattr(operator, name))
    for key in params:
        if key.startswith(f"{name}__") and (target is None or isinstance(target, str)):
            raise ValueError(
                f"{key} can't be set on {name}={target!r}; pass {example} with its parameters"
            )
