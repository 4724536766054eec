"""The classes that a saved folder may name: nothing else is ever built from one."""

from __future__ import annotations

from skrec import behavior, content, predictor
from skrec._operators import Operator
from skrec.content._columns.operator import ColumnSchema
from skrec.content._columns.words import WordTokenizer
from skrec.content._lm.pretrained import PretrainedSchema
from skrec.content._side_network import SideSchema

PARTS = (ColumnSchema, PretrainedSchema, SideSchema, WordTokenizer)


def registered() -> dict[str, type]:
    """Return the operators and their parts by the names that folders give them."""
    operators = {
        f"{family.__name__.rpartition('.')[2]}.{name}": value
        for family in (content, behavior, predictor)
        for name, value in ((name, getattr(family, name)) for name in family.__all__)
        if isinstance(value, type) and issubclass(value, Operator)
    }
    return operators | {part.__name__: part for part in PARTS}


def name_of(kind: type) -> str:
    """Return the name of a class that is not in the list: where it is defined."""
    return f"{kind.__module__}.{kind.__qualname__}"
