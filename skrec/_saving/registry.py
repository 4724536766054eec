"""The classes that `load` may build: operators of skrec and their parts."""

from __future__ import annotations

from skrec import behavior, content, predictor
from skrec._data.context import ContextFeatures
from skrec._inference.prior import Prior
from skrec._operators import Operator
from skrec.content._columns.operator import ColumnSchema
from skrec.content._columns.words import WordTokenizer
from skrec.content._lm.pretrained import PretrainedSchema
from skrec.content._side_network import SideSchema

PARTS = (ColumnSchema, ContextFeatures, PretrainedSchema, Prior, SideSchema, WordTokenizer)


def registered() -> dict[str, type]:
    """Return operators and their parts by their names in saved folders."""
    operators = {
        f"{family.__name__.rpartition('.')[2]}.{name}": value
        for family in (content, behavior, predictor)
        for name, value in ((name, getattr(family, name)) for name in family.__all__)
        if isinstance(value, type) and issubclass(value, Operator)
    }
    return operators | {part.__name__: part for part in PARTS}


def name_of(kind: type) -> str:
    """Return the dotted path of a class, which is the name of a class that is not registered."""
    return f"{kind.__module__}.{kind.__qualname__}"
