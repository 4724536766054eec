"""Language models: read, cut in two, adapted, and pooled to item vectors."""

from skrec.lm._loading import Base, load_base
from skrec.lm._lora import add_adapters, check_lora, whole_model
from skrec.lm._network import POOLINGS, LanguageModelNetwork, part_size
from skrec.lm._prefix import Prefix
from skrec.lm._side import PooledLayers, SideTower
from skrec.lm._sizes import DTYPES, check_padding, most_tokens, output_size
from skrec.lm._sources import quiet
from skrec.lm._split import Replay, Top, checkpoint_activations, layer_list, split_top
from skrec.lm._text import check_template, render, token_ids
from skrec.lm._tokenizers import load_tokenizer, tokenizer_hash

__all__ = [
    "DTYPES",
    "POOLINGS",
    "Base",
    "LanguageModelNetwork",
    "PooledLayers",
    "Prefix",
    "Replay",
    "SideTower",
    "Top",
    "add_adapters",
    "check_lora",
    "checkpoint_activations",
    "check_padding",
    "check_template",
    "layer_list",
    "load_base",
    "load_tokenizer",
    "most_tokens",
    "output_size",
    "part_size",
    "quiet",
    "render",
    "split_top",
    "token_ids",
    "tokenizer_hash",
    "whole_model",
]
