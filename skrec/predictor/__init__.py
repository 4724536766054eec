"""Predictors, which compute a score from a user vector and an item vector.

To add a predictor, write it in a new file and import it here. Its alias is derived from its
class name.
"""

from skrec._operators import aliases
from skrec.predictor._autoint import AutoInt
from skrec.predictor._base import DotLikePredictor, OneVectorPredictor, Predictor
from skrec.predictor._bilinear import Bilinear
from skrec.predictor._cosine import Cosine
from skrec.predictor._dcn import DCN
from skrec.predictor._dcnv2 import DCNv2
from skrec.predictor._deepfm import DeepFM
from skrec.predictor._dot import Dot
from skrec.predictor._finalmlp import FinalMLP
from skrec.predictor._gdcn import GDCN
from skrec.predictor._masknet import MaskNet
from skrec.predictor._miner import MINER
from skrec.predictor._mlp import MLP
from skrec.predictor._pnn import PNN

ALIASES = aliases(globals(), Predictor)

__all__ = [
    "AutoInt",
    "Bilinear",
    "Cosine",
    "DCN",
    "DCNv2",
    "DeepFM",
    "Dot",
    "DotLikePredictor",
    "FinalMLP",
    "GDCN",
    "MINER",
    "MLP",
    "MaskNet",
    "OneVectorPredictor",
    "PNN",
    "Predictor",
]
