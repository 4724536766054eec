"""Behavior operators, which turn the vectors of clicked items into user vectors.

To add an operator, write it in a new file and import it here. Its alias is derived from its
class name.
"""

from skrec._operators import aliases
from skrec.behavior._additive_attention import AdditiveAttention
from skrec.behavior._base import BehaviorOperator
from skrec.behavior._behavior_sequence_transformer import BehaviorSequenceTransformer
from skrec.behavior._bipartite_graph import BipartiteGraph
from skrec.behavior._candidate_self_attention import CandidateSelfAttention
from skrec.behavior._cnn import CNN
from skrec.behavior._fastformer import Fastformer
from skrec.behavior._gru import GRU
from skrec.behavior._last_item import LastItem
from skrec.behavior._late_fusion import LateFusion
from skrec.behavior._max_pooling import MaxPooling
from skrec.behavior._mean_pooling import MeanPooling
from skrec.behavior._moving_averages import MovingAverages
from skrec.behavior._parallel_gru import ParallelGRU
from skrec.behavior._personalized_attention import PersonalizedAttention
from skrec.behavior._poly_attention import PolyAttention
from skrec.behavior._self_attention import SelfAttention
from skrec.behavior._target_attention import TargetAttention
from skrec.behavior._token_fastformer import TokenFastformer
from skrec.behavior._token_transformer import TokenTransformer
from skrec.behavior._transformer import Transformer

ALIASES = aliases(globals(), BehaviorOperator)

__all__ = [
    "CNN",
    "GRU",
    "AdditiveAttention",
    "BehaviorOperator",
    "BehaviorSequenceTransformer",
    "BipartiteGraph",
    "CandidateSelfAttention",
    "Fastformer",
    "LastItem",
    "LateFusion",
    "MaxPooling",
    "MeanPooling",
    "MovingAverages",
    "ParallelGRU",
    "PersonalizedAttention",
    "PolyAttention",
    "SelfAttention",
    "TargetAttention",
    "TokenFastformer",
    "TokenTransformer",
    "Transformer",
]
