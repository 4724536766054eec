"""Content operators: an item's columns become its vector.

A new operator is one file and one line here; its alias follows from its name.
"""

from skrec._operators import aliases
from skrec.content._base import ContentOperator
from skrec.content._cnn import CNN
from skrec.content._id import ID
from skrec.content._mean_pooling import MeanPooling
from skrec.content._packed import Packed
from skrec.content._self_attention import SelfAttention

ALIASES = aliases(globals(), ContentOperator)

__all__ = ["CNN", "ID", "ContentOperator", "MeanPooling", "Packed", "SelfAttention"]
