"""Columns that a behavior operator reads of items, beside what the content operator reads."""

from __future__ import annotations

from typing import Any

from skrec._data.items import Items
from skrec._data.packed import Column, Packed, inner_columns, outer_columns
from skrec.content._base import ContentOperator
from skrec.content._mean_pooling import MeanPooling

OWN, SIDE = "own.", "side."


def side_operator(reads: Any) -> ContentOperator | None:
    """Make the operator of the side columns that a behavior operator reads, if it reads any."""
    return None if reads.side_columns is None else MeanPooling(list(reads.side_columns))


class WithSide:
    """Prepares items for two content operators at once.

    Parameters
    ----------
    content, side : content operators
        Fitted ones.
    """

    def __init__(self, content: ContentOperator, side: ContentOperator):
        self.content, self.side = content, side

    def prepare(self, items: Items) -> Packed:
        """Turn items into the packed columns of both operators."""
        own, side = (
            outer_columns(operator.prepare(items).columns, prefix)
            for operator, prefix in ((self.content, OWN), (self.side, SIDE))
        )
        return Packed({**own, **side})


def reader_of(content: ContentOperator, side: ContentOperator | None) -> Any:
    """Return what prepares items for the network: the content operator, or both operators."""
    return content if side is None else WithSide(content, side)


def split_side(columns: dict[str, Column]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the columns of the content operator, and those of the side operator."""
    return inner_columns(columns, OWN), inner_columns(columns, SIDE)
