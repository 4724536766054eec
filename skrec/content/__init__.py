"""Content operators, which map the columns of an item to its item vector.

Each operator is defined in one module and imported here. Its alias follows from its class name.
"""

from skrec._data.packed import Packed
from skrec._operators import aliases
from skrec.content._additive_attention import AdditiveAttention
from skrec.content._base import ALIASES, ContentOperator, Resources
from skrec.content._cnn import CNN
from skrec.content._fastformer import Fastformer
from skrec.content._features import Features
from skrec.content._gru import GRU
from skrec.content._id import ID
from skrec.content._intents import Intents
from skrec.content._language_model import LanguageModel
from skrec.content._lm.moved import base_at
from skrec.content._max_pooling import MaxPooling
from skrec.content._mean_pooling import MeanPooling
from skrec.content._mixture_of_experts import MixtureOfExperts
from skrec.content._self_attention import SelfAttention
from skrec.content._side_network import SideNetwork
from skrec.content._static_words import StaticWords
from skrec.content._tabular import Tabular
from skrec.content._topic_aware import TopicAware
from skrec.content._transformer import Transformer
from skrec.content._vectors import Vectors
from skrec.content._with_id import WithID

ALIASES.update(aliases(globals(), ContentOperator))

__all__ = [
    "CNN",
    "GRU",
    "ID",
    "AdditiveAttention",
    "ContentOperator",
    "Fastformer",
    "Features",
    "Intents",
    "LanguageModel",
    "MaxPooling",
    "MeanPooling",
    "MixtureOfExperts",
    "Packed",
    "Resources",
    "SelfAttention",
    "SideNetwork",
    "StaticWords",
    "Tabular",
    "TopicAware",
    "Transformer",
    "Vectors",
    "WithID",
    "base_at",
]
