"""Layers and functions shared by the operators, built on plain ``torch.nn``."""

from skrec.nn._attention import (
    AdditiveAttention,
    MultiHeadSelfAttention,
    causal_pooling,
    masked_softmax,
)
from skrec.nn._buckets import encode_by_length, in_parts, micro_batches
from skrec.nn._convolution import Convolution
from skrec.nn._cross import CrossNetwork, FullCross, GatedCross, LowRankCross, VectorCross
from skrec.nn._dice import Dice
from skrec.nn._fastformer import FastAttention, FastformerLayer, fastformer
from skrec.nn._gates import SideBlocks
from skrec.nn._isometry import isometric
from skrec.nn._item_rows import join_tokens, real_first, split_tokens, stack_rows
from skrec.nn._latest import latest_tokens
from skrec.nn._masks import MaskBlock
from skrec.nn._mlp import ACTIVATIONS, MLP
from skrec.nn._pooling import last_real, masked_max, masked_mean
from skrec.nn._principal import start_at_principal_directions
from skrec.nn._table import embedding_table, rows_of_gradient, sparse_tables
from skrec.nn._transformer import (
    LayerStack,
    Positions,
    ResidualLayer,
    TransformerLayer,
    recency,
    transformer,
)
from skrec.nn._unit import unit

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "AdditiveAttention",
    "Convolution",
    "CrossNetwork",
    "Dice",
    "FastAttention",
    "FastformerLayer",
    "FullCross",
    "GatedCross",
    "LayerStack",
    "LowRankCross",
    "MaskBlock",
    "MultiHeadSelfAttention",
    "Positions",
    "ResidualLayer",
    "SideBlocks",
    "TransformerLayer",
    "VectorCross",
    "causal_pooling",
    "embedding_table",
    "encode_by_length",
    "fastformer",
    "in_parts",
    "isometric",
    "join_tokens",
    "last_real",
    "latest_tokens",
    "masked_max",
    "masked_mean",
    "masked_softmax",
    "micro_batches",
    "real_first",
    "recency",
    "rows_of_gradient",
    "sparse_tables",
    "split_tokens",
    "stack_rows",
    "start_at_principal_directions",
    "transformer",
    "unit",
]
