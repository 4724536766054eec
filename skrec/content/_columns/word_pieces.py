"""Text to token ids: a word-piece tokenizer of the catalogue's own, or a pretrained one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from skrec._data.ragged import offsets_of
from skrec.content._columns.words import WordTokenizer

UNKNOWN = "[UNK]"
ALPHABET_SIZE = 1000  # characters kept, as in the tokenizers library


def train_word_pieces(texts: list[str], vocab_size: int) -> Tokenizer:
    """Train a word-piece tokenizer, lower-casing and splitting as BERT does.

    Parameters
    ----------
    texts : list of str
        The texts.
    vocab_size : int
        The most word pieces to keep, of which there may be fewer; single characters are kept
        in any case.

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
        # left to itself, the trainer numbers these in hash order, which differs from run to run,
        # and breaks ties between merges by number
        special_tokens=[UNKNOWN, *_single_pieces(tokenizer, texts)],
        limit_alphabet=0,  # no characters but these: it chooses among rare ones in hash order too
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _word_piece(tokenizer.get_vocab())


def _single_pieces(tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    """Return the commonest characters, as starts and as continuations of words, in fixed order."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    alphabet = [char for char in sorted(counts) if not char.isspace()]
    alphabet.sort(key=counts.__getitem__, reverse=True)
    kept = alphabet[:ALPHABET_SIZE]
    return [*kept, *(f"##{char}" for char in kept)]


def _word_piece(vocab: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def load_tokenizer(name: str) -> Tokenizer:
    """Load a pretrained tokenizer.

    Parameters
    ----------
    name : str
        A ``tokenizer.json`` file, a folder that ``transformers.AutoTokenizer`` reads, or the
        name of a model on the hub.

    Returns
    -------
    tokenizers.Tokenizer

    Raises
    ------
    ValueError
        Where there is none, or where it is not a fast tokenizer.
    """
    path = Path(name).expanduser()
    try:
        if path.is_file():
            tokenizer = Tokenizer.from_file(str(path))
        else:
            tokenizer = _from_transformers(str(path) if path.is_dir() else name)
    except Exception as error:  # what tokenizers raises of a bad file has no class of its own
        raise ValueError(
            f"no tokenizer could be loaded from {name!r}; give a tokenizer.json file, a model "
            "folder or a model's name on the hub, or None to train one on the catalogue"
        ) from error
    # files may ask for both, as those of sentence-transformers do
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _from_transformers(name: str) -> Tokenizer:
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(name)
    if not loaded.is_fast:
        raise ValueError("it has no fast version, which skrec needs")
    return loaded.backend_tokenizer


def encode_texts(
    tokenizer: Tokenizer | WordTokenizer, texts: list[str], max_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Encode texts, without special tokens.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer or WordTokenizer
    texts : list of str, of length n
    max_length : int
        Tokens that are kept of each text.

    Returns
    -------
    offsets : ndarray of int64, shape (n + 1,)
    ids : ndarray of int64, shape (offsets[-1],)
    """
    if isinstance(tokenizer, WordTokenizer):
        return tokenizer.encode(texts, max_length)
    encoded: list[Any] = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    ids = [np.asarray(encoding.ids[:max_length], dtype=np.int64) for encoding in encoded]
    offsets = offsets_of(np.fromiter((len(part) for part in ids), np.int64, len(ids)))
    return offsets, np.concatenate(ids) if ids else np.empty(0, np.int64)
