"""Published models as ready-made recommenders.

Each function returns an unfitted :class:`skrec.ContentRecommender` with the model's three
operators and the paper's sizes of them. Keyword arguments go to the recommender; an operator
among them takes the place of the model's. Width, loss and learning rate are the recommender's
defaults: ``zoo.DeepFM(loss="bce")`` trains on single clicks, as papers on click-through rates do.
``zoo.NRMS().set_params(behavior__dropout=0.1)`` changes a part.
"""

from skrec.zoo._clicks import BST, DIN
from skrec.zoo._crosses import DCN, GDCN, PNN, AutoInt, DCNv2, DeepFM, FinalMLP, MaskNet
from skrec.zoo._language_models import IISAN, MINER, ONCE, PLMNR
from skrec.zoo._news import LSTUR, NAML, NRMS, Fastformer, LateFusion

__all__ = [
    "BST",
    "DCN",
    "DIN",
    "GDCN",
    "IISAN",
    "LSTUR",
    "MINER",
    "NAML",
    "NRMS",
    "ONCE",
    "PLMNR",
    "PNN",
    "AutoInt",
    "DCNv2",
    "DeepFM",
    "Fastformer",
    "FinalMLP",
    "LateFusion",
    "MaskNet",
]
