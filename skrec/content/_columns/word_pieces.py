"""Word-piece tokenizers: trained on the catalogue or pretrained, and the encoding of texts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from skrec._data.ragged import offsets_of
from skrec.content._columns.words import WordTokenizer

UNKNOWN = "[UNK]"
ALPHABET_SIZE = 1000  # number of distinct characters kept; the default of the tokenizers library


def train_word_pieces(texts: list[str], vocab_size: int) -> Tokenizer:
    """Train a word-piece tokenizer that lower-cases and splits texts as BERT does.

    Parameters
    ----------
    texts : list of str
        Texts to train on.
    vocab_size : int
        Maximum number of word pieces. Single characters are kept even if there are more of them.

    Returns
    -------
    tokenizers.Tokenizer

    References
    ----------
    .. [1] Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
       Understanding", arXiv 1810.04805.
    """
    tokenizer = _word_piece({UNKNOWN: 0})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        # By default, the trainer numbers characters in hash order, which differs between runs, and
        # uses these numbers to break ties between merges. It also uses hash order to choose among
        # rare characters, hence the limit of 0.
        special_tokens=[UNKNOWN, *_single_pieces(tokenizer, texts)],
        limit_alphabet=0,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _word_piece(tokenizer.get_vocab())


def _single_pieces(tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    """Return the most frequent characters as initial and as inner word pieces, in a fixed order."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    alphabet = [char for char in sorted(counts) if not char.isspace()]
    alphabet.sort(key=counts.__getitem__, reverse=True)
    kept = alphabet[:ALPHABET_SIZE]
    return [*kept, *(f"##{char}" for char in kept)]


def _word_piece(vocab: dict[str, int]) -> Tokenizer:
    """Return a word-piece tokenizer with the vocabulary and the text normalization of BERT."""
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def load_fast_tokenizer(name: str) -> Tokenizer:
    """Load a pretrained tokenizer of the tokenizers library, without padding and truncation.

    Parameters
    ----------
    name : str
        Path of a ``tokenizer.json`` file, path of a folder that ``transformers.AutoTokenizer`` can
        read, or name of a model on the Hugging Face Hub.

    Returns
    -------
    tokenizers.Tokenizer

    Raises
    ------
    ValueError
        If there is no tokenizer, or if it has no fast version.
    """
    path = Path(name).expanduser()
    try:
        if path.is_file():
            tokenizer = Tokenizer.from_file(str(path))
        else:
            tokenizer = _from_transformers(str(path) if path.is_dir() else name)
    except Exception as error:  # tokenizers raises bare Exceptions for invalid files
        raise ValueError(
            f"no tokenizer could be loaded from {name!r}; give a tokenizer.json file, a model "
            "folder or a model's name on the hub, or None to train one on the catalogue"
        ) from error
    # a file can enable both; those of sentence-transformers do
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _from_transformers(name: str) -> Tokenizer:
    """Load the fast tokenizer of a folder or of a model on the hub."""
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(name)
    if not loaded.is_fast:
        raise ValueError("it has no fast version, which skrec needs")
    return loaded.backend_tokenizer


def encode_texts(
    tokenizer: Tokenizer | WordTokenizer, texts: list[str], max_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Encode texts without special tokens.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer or WordTokenizer
        Tokenizer to use.
    texts : list of str of length n
        Texts to encode.
    max_length : int
        Maximum number of tokens kept from each text.

    Returns
    -------
    offsets : ndarray of int64, shape (n + 1,)
        Text i has the ids from ``offsets[i]`` up to ``offsets[i + 1]``.
    ids : ndarray of int64, shape (offsets[-1],)
        Token ids of all texts, concatenated.
    """
    if isinstance(tokenizer, WordTokenizer):
        return tokenizer.encode(texts, max_length)
    encoded: list[Any] = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    ids = [np.asarray(encoding.ids[:max_length], dtype=np.int64) for encoding in encoded]
    offsets = offsets_of(np.fromiter((len(part) for part in ids), np.int64, len(ids)))
    return offsets, np.concatenate(ids) if ids else np.empty(0, np.int64)
