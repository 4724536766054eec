"""Published models as ready-made recommenders.

Each function returns an unfitted :class:`skrec.ContentRecommender` with the three operators of the
model, in the sizes of the paper. Keyword arguments are parameters of the recommender, and an
operator among them replaces that of the model. Width, loss and learning rate have the
recommender's defaults. For example, ``zoo.DeepFM(loss="bce")`` trains on single clicks, as papers
on click-through rates do, and ``zoo.NRMS().set_params(behavior__dropout=0.1)`` changes a parameter
of an operator.
"""

from skrec.zoo._clicks import BST, DIN
from skrec.zoo._crosses import DCN, GDCN, PNN, AutoInt, DCNv2, DeepFM, FinalMLP, MaskNet
from skrec.zoo._interests import CAUM, CROWN, MINS
from skrec.zoo._language_models import IISAN, MINER, ONCE, PLMNR, UniSRec
from skrec.zoo._news import LSTUR, NAML, NPA, NRMS, TANR, Fastformer, LateFusion
from skrec.zoo._sequences import GRU4Rec, SASRec

__all__ = [
    "BST",
    "CAUM",
    "CROWN",
    "DCN",
    "DIN",
    "GDCN",
    "IISAN",
    "LSTUR",
    "MINER",
    "MINS",
    "NAML",
    "NPA",
    "NRMS",
    "ONCE",
    "PLMNR",
    "PNN",
    "TANR",
    "AutoInt",
    "DCNv2",
    "DeepFM",
    "Fastformer",
    "FinalMLP",
    "GRU4Rec",
    "LateFusion",
    "MaskNet",
    "SASRec",
    "UniSRec",
]
