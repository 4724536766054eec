"""Predictors: a user vector and an item vector become a score.

A new predictor is one file and one line here; its alias follows from its name.
"""

from skrec._operators import aliases
from skrec.predictor._base import OneVectorPredictor, Predictor
from skrec.predictor._cosine import Cosine
from skrec.predictor._dcnv2 import DCNv2
from skrec.predictor._dot import Dot
from skrec.predictor._mlp import MLP

ALIASES = aliases(globals(), Predictor)

__all__ = ["MLP", "Cosine", "DCNv2", "Dot", "OneVectorPredictor", "Predictor"]
