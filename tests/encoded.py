"""Encode X of any accepted type, as the estimator does."""

from typing import Any

from skrec._data import encode as encode_module
from skrec._data.coded import CodedInteractions
from skrec._data.rows import as_table


def encode(X: Any, y: Any = None, **settings: Any) -> CodedInteractions:
    """Return the rows of X as positions in the catalogue `items`."""
    return encode_module.encode(as_table(X), y, **settings)
