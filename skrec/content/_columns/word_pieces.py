"""Word-piece tokenizers: trained on the catalogue or pretrained, and the encoding of texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from unicodedata import category, normalize

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from skrec.content._columns.words import WordTokenizer
from skrec.content._lm.sources import GGUF
from skrec.content._lm.tokenizers import load_tokenizer
from skrec.content._scripts import UNSPACED, character_class, is_unspaced
from skrec.content._texts import SPARE_TOKENS, beginning, first_tokens, is_failure
from skrec.content._words_of_tokens import words_of_tokens

UNKNOWN = "[UNK]"
ALPHABET_SIZE = 5000  # number of distinct characters kept; Chinese and Japanese texts use so many
MAX_CHARACTERS = 100  # a word-piece model reads longer words as unknown
# In scripts without spaces, numbers of letters, with up to three marks each, that are read as one
# word, and that one word piece has at most. Otherwise, whole sentences would become word pieces.
MAX_RUN, MAX_PIECE = 25, 4
WIDE_FORMS = range(0xFF00, 0xFFF0)  # full-width letters and digits, half-width Katakana
ENDLESS_LENGTH, PART_LENGTH = 1000, 10_000
ENDLESS = re.compile(rf"[^\s!-/:-@\[-`{{-~{UNSPACED}]{{{ENDLESS_LENGTH},}}")
ZERO_WIDTH_SPACE = "\u200b"  # separates words of scripts without visible spaces


def train_word_pieces(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a word-piece tokenizer that lower-cases and splits texts as BERT does.

    Unlike the tokenizer of BERT, it keeps combining marks and accents, which tell words apart in
    many languages. It brings texts to the normal form NFC and replaces full-width forms.

    Parameters
    ----------
    texts : iterable of str
        Texts to train on. They are read twice.
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
    alphabet, all_ascii = _alphabet(texts)
    inner = [f"##{char}" for char in alphabet if not _is_alone(char)]
    tokenizer = _word_piece({UNKNOWN: 0}, alphabet, MAX_PIECE)
    if all_ascii:
        tokenizer = for_ascii(tokenizer)
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        # By default, the trainer numbers characters in hash order, which differs between runs, and
        # uses these numbers to break ties between merges. It also uses hash order to choose among
        # rare characters, hence the limit of 0.
        special_tokens=[UNKNOWN, *alphabet, *inner],
        limit_alphabet=0,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_parts(texts), trainer)
    return _word_piece(tokenizer.get_vocab(), alphabet, MAX_RUN)


def _parts(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts in parts that can be trained on in a short time.

    Words without end, such as encoded images, are left out. They are read as unknown words.
    """
    for text in texts:
        if len(text) >= ENDLESS_LENGTH:
            text = ENDLESS.sub(" ", text)
        start = 0
        while start < len(text):
            part = beginning(text[start : start + PART_LENGTH + 1], PART_LENGTH)
            start += len(part)
            yield part


def _alphabet(texts: Iterable[str]) -> tuple[list[str], bool]:
    """Return the most frequent characters of normalized texts, and whether all texts are ASCII.

    The characters are in a fixed order.
    """
    normalizer, all_ascii = _normalizer(), True
    counts: Counter[str] = Counter()
    for text in texts:
        if text.isascii():
            counts.update(text.lower())
        else:
            all_ascii = False
            for part in _parts([text]):
                counts.update(normalizer.normalize_str(part))
    alphabet = [char for char in sorted(counts) if not char.isspace() and category(char) != "Cc"]
    alphabet.sort(key=counts.__getitem__, reverse=True)
    return alphabet[:ALPHABET_SIZE], all_ascii


def _is_alone(char: str) -> bool:
    """Return whether the normalizer puts spaces around a character, as it does for Chinese."""
    return not char.isascii() and _normalizer().normalize_str(f"a{char}").startswith("a ")


@cache
def _normalizer() -> normalizers.Normalizer:
    """Return the normalizer of texts: that of BERT, but with combining marks and accents kept."""
    wide = {chr(code): normalize("NFKC", chr(code)) for code in WIDE_FORMS}
    return normalizers.Sequence(
        [
            normalizers.Replace(ZERO_WIDTH_SPACE, " "),
            *(normalizers.Replace(char, form) for char, form in wide.items() if char != form),
            normalizers.NFC(),
            normalizers.BertNormalizer(strip_accents=False),
        ]
    )


def _splitter(alphabet: list[str], max_run: int) -> pre_tokenizers.PreTokenizer:
    """Return the pre-tokenizer, which splits ASCII texts as that of BERT does.

    A word with one unknown character is an unknown word. Texts without spaces would thus become
    one unknown word. The pre-tokenizer therefore separates unknown characters other than ASCII,
    and cuts long runs of characters of scripts without spaces after `max_run` letters.
    """
    above = sorted(char for char in alphabet if not char.isascii())
    runs = [char for char in above if is_unspaced(char)]
    known = character_class(map(ord, above))
    pattern = f"[{UNSPACED}]|[^\\x00-\\x7F{known}{UNSPACED}]+"
    if runs:
        letters = character_class(map(ord, runs))
        marks = character_class(ord(char) for char in runs if category(char)[0] == "M")
        letter = f"[{letters}][{marks}]{{0,3}}" if marks else f"[{letters}]"
        pattern = f"(?:{letter}){{1,{max_run}}}|{pattern}"
    unknown = pre_tokenizers.Split(Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([unknown, pre_tokenizers.BertPreTokenizer()])


def _word_piece(vocab: dict[str, int], alphabet: list[str], max_run: int) -> Tokenizer:
    """Return a word-piece tokenizer with a vocabulary and an alphabet."""
    model = models.WordPiece(vocab, unk_token=UNKNOWN, max_input_chars_per_word=MAX_CHARACTERS)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = _splitter(alphabet, max_run)
    return tokenizer


def for_ascii(tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer that reads ASCII texts in the same way, but several times faster.

    Only BERT's steps change them. Tokenizers with another normalizer are returned as they are.
    """
    own = tokenizer.normalizer
    if own is None or own.__getstate__() != _normalizer().__getstate__():
        return tokenizer
    fast = Tokenizer(tokenizer.model)
    fast.normalizer = normalizers.BertNormalizer(strip_accents=False)
    fast.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return fast


def load_fast_tokenizer(name: str) -> Tokenizer:
    """Load a pretrained tokenizer of the tokenizers library, without padding and truncation.

    Parameters
    ----------
    name : str
        Path of a ``tokenizer.json`` or GGUF file, path of a folder that
        ``transformers.AutoTokenizer`` can read, or name of a model on the Hugging Face Hub.

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
        if path.is_file() and path.suffix.lower() != GGUF:
            tokenizer = Tokenizer.from_file(str(path))
        else:
            tokenizer = _from_transformers(str(path) if path.exists() else name)
    except BaseException as error:
        if not is_failure(error):
            raise
        raise ValueError(
            f"no tokenizer could be loaded from {name!r}; give a tokenizer.json file, a model "
            "folder or a model's name on the hub, or None to train one on the catalogue"
        ) from error
    # a file can enable both; those of sentence-transformers do
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _from_transformers(name: str) -> Tokenizer:
    """Load the fast tokenizer of a folder, of a GGUF file or of a model on the hub."""
    from transformers import AutoTokenizer

    is_file = Path(name).is_file()  # a GGUF file
    loaded = load_tokenizer(name, None) if is_file else AutoTokenizer.from_pretrained(name)
    if not loaded.is_fast:
        raise ValueError("it has no fast version, which skrec needs")
    return loaded.backend_tokenizer


def encode_texts(
    tokenizer: Tokenizer | WordTokenizer,
    texts: Iterable[str],
    max_length: int,
    what: str = "texts",
) -> tuple[np.ndarray, np.ndarray]:
    """Encode texts without special tokens. Long texts are read as far as necessary.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer or WordTokenizer
        Tokenizer to use.
    texts : iterable of str of length n
        Texts to encode.
    max_length : int
        Maximum number of tokens kept from each text.
    what : str, default="texts"
        Description of the texts in error messages.

    Returns
    -------
    offsets : ndarray of int64, shape (n + 1,)
        Text i has the ids from ``offsets[i]`` up to ``offsets[i + 1]``.
    ids : ndarray of int64, shape (offsets[-1],)
        Token ids of all texts, concatenated.

    Raises
    ------
    ValueError
        If the tokenizer fails. The message names the row.
    """
    fast = None if isinstance(tokenizer, WordTokenizer) else for_ascii(tokenizer)

    def encode(texts: list[str], cut: bool) -> list[np.ndarray | None]:
        kept = max_length + SPARE_TOKENS
        if isinstance(tokenizer, WordTokenizer):
            offsets, codes = tokenizer.encode(texts, kept)
            rows = np.split(codes, offsets[1:-1])
        else:
            chosen = fast if fast is not None and all(map(str.isascii, texts)) else tokenizer
            encoded = chosen.encode_batch_fast(texts, add_special_tokens=False)
            rows = [np.asarray(encoding.ids[:kept], dtype=np.int64) for encoding in encoded]
        return [None if cut and len(row) < kept else row[:max_length] for row in rows]

    return first_tokens(texts, encode, max_length, what)


def words_of_text(
    tokenizer: Tokenizer | WordTokenizer, text: str, max_length: int
) -> tuple[list[int], list[str], np.ndarray]:
    """Return the ids of the tokens that `encode_texts` keeps of a text, and their words.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer or WordTokenizer
        Tokenizer to use.
    text : str
        The text.
    max_length : int
        Maximum number of tokens.

    Returns
    -------
    ids : list of int of length n
        The ids.
    words : list of str
        The words that have a token.
    word_of_token : ndarray of int64, shape (n,)
        Word of each token.
    """
    if isinstance(tokenizer, WordTokenizer):
        words, codes = tokenizer.words(text)
        kept = codes[:max_length]
        return kept, words[:max_length], np.arange(len(kept))
    encoded = tokenizer.encode(text, add_special_tokens=False)
    return encoded.ids[:max_length], *words_of_tokens(text, encoded.offsets[:max_length])
