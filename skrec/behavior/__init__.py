"""Behavior operators: the clicked items' vectors become user vectors.

A new operator is one file and one line here; its alias follows from its name.
"""

from skrec._operators import aliases
from skrec.behavior._additive_attention import AdditiveAttention
from skrec.behavior._base import BehaviorOperator
from skrec.behavior._gru import GRU
from skrec.behavior._last_item import LastItem
from skrec.behavior._late_fusion import LateFusion
from skrec.behavior._mean_pooling import MeanPooling
from skrec.behavior._self_attention import SelfAttention

ALIASES = aliases(globals(), BehaviorOperator)

__all__ = [
    "GRU",
    "AdditiveAttention",
    "BehaviorOperator",
    "LastItem",
    "LateFusion",
    "MeanPooling",
    "SelfAttention",
]
