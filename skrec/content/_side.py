"""Side columns: item columns that a behavior operator reads, separate from the item vector."""

from __future__ import annotations

from typing import Any

from skrec._data.items import Items
from skrec._data.packed import Column, Packed, inner_columns, outer_columns
from skrec.content._base import ContentOperator
from skrec.content._mean_pooling import MeanPooling
from skrec.content._words import ReadWords

OWN, SIDE = "own.", "side."


def side_operator(reads: Any) -> ContentOperator | None:
    """Return the operator for the side columns of a behavior operator, or None if it has none."""
    return None if reads.side_columns is None else MeanPooling(list(reads.side_columns))


class WithSide:
    """Pair of fitted content operators that prepare items together.

    Parameters
    ----------
    content : ContentOperator
        Operator that yields the item vectors.
    side : ContentOperator
        Operator of the side columns.
    """

    def __init__(self, content: ContentOperator, side: ContentOperator) -> None:
        self.content, self.side = content, side

    def prepare(self, items: Items) -> Packed:
        """Convert items to the packed columns of both operators."""
        own, side = (
            outer_columns(operator.prepare(items).columns, prefix)
            for operator, prefix in ((self.content, OWN), (self.side, SIDE))
        )
        return Packed({**own, **side})

    def read_words(self, items: Items, module: Any) -> ReadWords | None:
        """Prepare the texts that the content operator reads; see `ContentOperator`."""
        found = self.content.read_words(items, module)
        return None if found is None else found.with_prefix(OWN)


def reader_of(content: ContentOperator, side: ContentOperator | None) -> Any:
    """Return the object that prepares items for the network: one content operator or a pair."""
    return content if side is None else WithSide(content, side)


def split_side(columns: dict[str, Column]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the columns of the content operator and those of the side operator."""
    return inner_columns(columns, OWN), inner_columns(columns, SIDE)
