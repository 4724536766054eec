"""Layers that operators share: plain ``torch.nn`` modules and functions."""

from skrec.nn._attention import AdditiveAttention, MultiHeadSelfAttention, masked_softmax
from skrec.nn._buckets import encode_by_length, in_parts, micro_batches
from skrec.nn._cross import CrossNetwork, FullCross, LowRankCross
from skrec.nn._gates import SideBlocks
from skrec.nn._mlp import ACTIVATIONS, MLP
from skrec.nn._pooling import last_real, masked_mean

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "AdditiveAttention",
    "CrossNetwork",
    "FullCross",
    "LowRankCross",
    "MultiHeadSelfAttention",
    "SideBlocks",
    "encode_by_length",
    "in_parts",
    "last_real",
    "masked_mean",
    "masked_softmax",
    "micro_batches",
]
