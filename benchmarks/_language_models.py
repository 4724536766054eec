"""The language models of a benchmark, and the operators that train them."""

import sys
from functools import partial
from pathlib import Path

import torch

from skrec import content
from skrec.content._lm import layer_list, load_base, load_tokenizer

HINT = "name a language model: --model FOLDER or --model FILE.gguf (--quick makes one)"


def operators(args):
    """Return the content operator of each way."""
    shared = {"template": args.template or None, "max_length": args.max_length, "dtype": args.dtype}
    model = partial(content.LanguageModel, args.folder, **shared)
    return {
        "whole": model(),
        "lora": model(lora=args.rank),
        "split-2": model(trainable_layers=2),
        "split-1": model(trainable_layers=1),
        "split-1-lora": model(trainable_layers=1, lora=args.rank),
        "frozen": model(trainable_layers=0),
        "side": content.SideNetwork(args.folder, **shared),
    }


def prepare_model(args, folder):
    """Return the folder of the model; what is no plain folder is written to the given one."""
    from transformers.utils import logging

    if not args.model and not args.quick:
        sys.exit(HINT)
    if not args.model:
        model, tokenizer = tiny_bert()
    elif Path(args.model).is_dir() and not args.layers:
        return args.model
    else:
        model = load_base(args.model).model
        tokenizer = load_tokenizer(None, args.model)
    if args.layers:
        config, (_, layers) = model.config, layer_list(model)
        del layers[args.layers :]
        config.num_hidden_layers = len(layers)
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[: len(layers)]
    logging.disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def letter_tokenizer():
    """Make a tokenizer whose tokens are characters."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = ["[PAD]", "[UNK]", *map(chr, range(32, 127))]
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({x: at for at, x in enumerate(letters)}, unk_token="[UNK]")
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")


def tiny_bert():
    """Make a random BERT of 3 layers, and a tokenizer of characters."""
    from transformers import BertConfig, BertModel

    tokenizer = letter_tokenizer()
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    return BertModel(BertConfig(vocab_size=len(tokenizer), num_hidden_layers=3, **sizes)), tokenizer
