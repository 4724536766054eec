"""The input embeddings of a pretrained language model as a table of token vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from skrec.content._columns.word_pieces import load_fast_tokenizer
from skrec.content._columns.word_vectors import word_files
from skrec.content._lm.loading import load_base
from skrec.content._lm.sources import GGUF


def is_model(source: Any) -> bool:
    """Return whether a value of `word_vectors` is the path of a model, and not of word vectors."""
    if not source or not isinstance(source, str | Path):
        return False
    path = Path(source).expanduser()
    return path.is_dir() or path.suffix.lower() == GGUF


def check_sources(source: Any, tokenizer: Any) -> None:
    """Raise an error unless `word_vectors` and `tokenizer` fit together.

    Raises
    ------
    ValueError
        If `source` is neither a file of word vectors without a tokenizer, nor the name or path of
        a language model with one.
    FileNotFoundError
        If a file of word vectors does not exist.
    """
    if hasattr(source, "get_input_embeddings"):
        raise ValueError(
            f"word_vectors must be the name or path of a language model, got a "
            f"{type(source).__name__}; save it with save_pretrained(folder), and pass the folder"
        )
    if tokenizer is None and not is_model(source):
        word_files(source)
    elif tokenizer is None:
        raise ValueError(
            f"word_vectors={str(source)!r} is a language model, which needs the tokenizer that "
            "belongs to it: pass the same path as tokenizer=..., too"
        )
    elif not is_model(source) and not _may_be_name(source):
        raise ValueError(
            "tokenizer and word_vectors can't both be given, for vectors come with their own "
            "words, unless word_vectors is the name or path of a language model; got "
            f"tokenizer={tokenizer!r}, word_vectors={source!r}"
        )


def _may_be_name(source: Any) -> bool:
    """Return whether a value of `word_vectors` can be the name of a model on the hub."""
    return (
        bool(source) and isinstance(source, str | Path) and not Path(source).expanduser().is_file()
    )


def read_model_words(source: str | Path, name: str) -> tuple[Tokenizer, np.ndarray]:
    """Read the input embeddings of a language model, and the tokenizer that gives their rows.

    Parameters
    ----------
    source : str or Path
        Path of a folder or GGUF file, or name of a model on the Hugging Face Hub.
    name : str
        Name or path of the tokenizer.

    Returns
    -------
    tokenizer : tokenizers.Tokenizer
        The tokenizer.
    matrix : ndarray of float32, shape (n_tokens, d)
        Row i is the vector of token i.

    Raises
    ------
    ValueError, OSError
        If the model or the tokenizer cannot be loaded.
    """
    tokenizer = load_fast_tokenizer(name)
    table = load_base(source).model.get_input_embeddings()
    matrix = table.weight.detach().float().numpy().copy()
    return tokenizer, matrix
