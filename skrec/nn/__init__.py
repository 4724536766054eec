"""Layers that operators share: plain ``torch.nn`` modules and functions."""

from skrec.nn._attention import AdditiveAttention, MultiHeadSelfAttention, masked_softmax
from skrec.nn._mlp import ACTIVATIONS, MLP
from skrec.nn._pooling import masked_mean

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "AdditiveAttention",
    "MultiHeadSelfAttention",
    "masked_mean",
    "masked_softmax",
]
