"""Language models: loading, splitting into a frozen and a trained part, adapters, stored states."""

from skrec.content._lm.loading import Base, load_base
from skrec.content._lm.lora import add_adapters, check_lora, whole_model
from skrec.content._lm.network import POOLINGS, LanguageModelNetwork, finished, part_size
from skrec.content._lm.prefix import Prefix
from skrec.content._lm.saved_reading import SavedReading, read_saved, write_saved
from skrec.content._lm.side import PooledLayers, SideTower
from skrec.content._lm.sizes import DTYPES, check_padding, max_tokens, output_size
from skrec.content._lm.sources import quiet
from skrec.content._lm.split import (
    Replay,
    Top,
    checkpoint_activations,
    in_float32,
    layer_list,
    split_top,
)
from skrec.content._lm.text import check_template, render, token_ids
from skrec.content._lm.tokenizers import load_tokenizer, tokenizer_hash

__all__ = [
    "DTYPES",
    "POOLINGS",
    "Base",
    "LanguageModelNetwork",
    "PooledLayers",
    "Prefix",
    "Replay",
    "SavedReading",
    "SideTower",
    "Top",
    "add_adapters",
    "check_lora",
    "checkpoint_activations",
    "check_padding",
    "check_template",
    "finished",
    "in_float32",
    "layer_list",
    "load_base",
    "load_tokenizer",
    "max_tokens",
    "output_size",
    "part_size",
    "quiet",
    "read_saved",
    "render",
    "split_top",
    "token_ids",
    "tokenizer_hash",
    "whole_model",
    "write_saved",
]
