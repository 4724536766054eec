"""Predictors: a user vector and an item vector become a score.

A new predictor is one file and one line here; its alias follows from its name.
"""

from skrec._operators import aliases
from skrec.predictor._base import OneVectorPredictor, Predictor
from skrec.predictor._dot import Dot
from skrec.predictor._mlp import MLP

ALIASES = aliases(globals(), Predictor)

__all__ = ["MLP", "Dot", "OneVectorPredictor", "Predictor"]
