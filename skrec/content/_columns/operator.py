"""Base class of operators that read columns of every role."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from skrec._common.checks import check_choice, check_int
from skrec._common.messages import did_you_mean, preview
from skrec._data.items import Items
from skrec._data.packed import Dense, Packed, Ragged
from skrec.content._base import ContentOperator
from skrec.content._columns.model_words import check_sources, read_model_words
from skrec.content._columns.scales import mean_and_scale, standardized
from skrec.content._columns.word_pieces import (
    encode_texts,
    load_fast_tokenizer,
    train_word_pieces,
    words_of_text,
)
from skrec.content._columns.words import fit_word_tokenizer
from skrec.content._texts import ColumnTexts
from skrec.content._words import GivenTokens, ReadWords

N_SAMPLED = 200_000  # items on whose texts a tokenizer is trained


@dataclass(frozen=True)
class ColumnSchema:
    """Name, role and size of one column.

    The size is that of the vocabulary, or the number of values per item for numbers and vectors.

    If words have pretrained vectors, `vector_size` is the size of these vectors, and the embeddings
    of the last codes are initialized with `vectors`, of shape (n, vector_size). A file has vectors
    of the codes from 1 up, a language model of all codes. `trainable` says whether the embeddings
    are trained. Pickles leave `vectors` out, because they contain the weights instead.
    """

    name: str
    role: str
    size: int
    vector_size: int | None = None
    vectors: np.ndarray | None = field(default=None, compare=False, repr=False)
    trainable: bool = True

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "vectors": None}


class ColumnOperator(ContentOperator):
    """Base class of operators that read columns of every role.

    A subclass has the parameter `columns`. If it reads texts, it also has the parameters
    `max_length`, `tokenizer`, `word_vectors`, `trainable` and `vocab_size`.
    """

    columns: Any
    max_length: int
    tokenizer: Any
    word_vectors: Any = None
    trainable: bool = True
    vocab_size: int

    def check(self, width: int) -> None:
        check_int("max_length", self.max_length)
        check_int("vocab_size", self.vocab_size, minimum=2)
        check_choice("trainable", self.trainable, (True, False))
        if self.word_vectors is None:
            if not self.trainable:
                raise ValueError(
                    "trainable=False keeps the vectors of words as they are, so it needs "
                    "word_vectors=...; got word_vectors=None"
                )
        else:
            check_sources(self.word_vectors, self.tokenizer)

    def fit(self, items: Items, y: Any = None) -> ColumnOperator:
        """Train or load the tokenizer or the word vectors, and learn vocabularies and scales.

        Parameters
        ----------
        items : Items
            The training catalogue.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        roles = self._roles(items)
        texts = [name for name, role in roles.items() if role == "text"]
        text_size = self._fit_texts(items, texts) if texts else []
        self.vocabularies_ = {
            name: _vocabulary(items.column(name))
            for name, role in roles.items()
            if role in ("category", "multi-category")
        }
        self.scales_ = {
            name: mean_and_scale(items.column(name).to_numpy())
            for name, role in roles.items()
            if role == "number"
        }
        self.schema_ = tuple(
            ColumnSchema(
                name, role, *(text_size if role == "text" else [self._size(name, role, items)])
            )
            for name, role in roles.items()
        )
        return self

    def _roles(self, items: Items) -> dict[str, str]:
        """Return the columns to read and their roles."""
        return chosen_roles(items, self.columns)

    def _fit_texts(self, items: Items, names: list[str]) -> list[Any]:
        """Set the tokenizer, and return the size fields of the schema of text columns.

        These are the size of the vocabulary and, with word vectors, their size, the vectors and
        whether they are trained.
        """
        texts = ColumnTexts({name: items.column(name) for name in names})
        if self.word_vectors is not None and self.tokenizer is not None:
            self.tokenizer_: Any
            self.tokenizer_, vectors = read_model_words(self.word_vectors, self.tokenizer)
            return [len(vectors), vectors.shape[1], vectors, self.trainable]
        if self.word_vectors is not None:
            words, vectors = fit_word_tokenizer(self.word_vectors, texts, self.vocab_size)
            self.tokenizer_ = words
            return [len(vectors) + 1, vectors.shape[1], vectors, self.trainable]
        if self.tokenizer is not None:
            self.tokenizer_ = load_fast_tokenizer(self.tokenizer)
        else:
            some = ColumnTexts({name: _sample(items.column(name)) for name in names})
            self.tokenizer_ = train_word_pieces(some, self.vocab_size)
        # not the number of tokens: a pretrained tokenizer may skip ids
        return [max(self.tokenizer_.get_vocab().values()) + 1]

    def _size(self, name: str, role: str, items: Items) -> int:
        """Return the size of a column that is not text."""
        if role in ("category", "multi-category"):
            return len(self.vocabularies_[name]) + 1
        return 1 if role == "number" else items.column(name).type.list_size

    def prepare(self, items: Items) -> Packed:
        """Convert items to packed tensors.

        Parameters
        ----------
        items : Items
            A catalogue with the columns of the training catalogue.

        Returns
        -------
        Packed
        """
        return Packed({column.name: self._prepare_column(column, items) for column in self.schema_})

    def read_words(self, items: Items, module: Any) -> ReadWords | None:
        texts = [column.name for column in self.schema_ if column.role == "text"]
        if not texts:
            return None
        ids: list[int] = []
        columns: list[str] = []
        words: list[str] = []
        word_of_token, spans = [], {}
        for name in texts:
            own_ids, own_words, word = words_of_text(
                self.tokenizer_, items.column(name)[0].as_py(), self.max_length
            )
            spans[name] = slice(len(ids), len(ids) + len(own_ids))
            word_of_token.append(word + len(words))
            columns += [name] * len(own_words)
            words += own_words
            ids += own_ids
        given = GivenTokens()
        embed = module.read_texts_from(given)
        device = next(embed.parameters()).device
        with torch.no_grad():
            x = embed(torch.from_numpy(np.asarray(ids, dtype=np.int64)).to(device))
        return ReadWords(
            columns, words, np.concatenate(word_of_token), spans, x, torch.zeros_like(x), given
        )

    def _prepare_column(self, column: ColumnSchema, items: Items) -> Ragged | Dense:
        """Convert one column of a catalogue to tensors."""
        values = items.column(column.name)
        if column.role == "text":
            texts = ColumnTexts({column.name: values})
            what = f"column {column.name!r}"
            offsets, ids = encode_texts(self.tokenizer_, texts, self.max_length, what)
            if ids.max(initial=0) >= column.size:
                raise ValueError(
                    f"the tokenizer gave the id {ids.max()}, but word_vectors has the embeddings "
                    f"of {column.size} tokens; give the tokenizer that belongs to the model"
                )
            return _ragged(offsets, ids)
        if column.role == "multi-category":
            codes = _category_codes(values.flatten(), self.vocabularies_[column.name])
            offsets = values.offsets.to_numpy().astype(np.int64)
            return _ragged(offsets - offsets[0], codes)
        if column.role == "category":
            codes = _category_codes(values, self.vocabularies_[column.name])
            return Dense(torch.from_numpy(codes)[:, None])
        if column.role == "number":
            mean, scale = self.scales_[column.name]
            scaled = standardized(values.to_numpy(), mean, scale, f"column {column.name!r}")
            return Dense(torch.from_numpy(scaled)[:, None])
        flat = values.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        return Dense(torch.from_numpy(flat.reshape(len(values), column.size)))


def chosen_roles(items: Items, columns: Any) -> dict[str, str]:
    """Return the roles of the chosen columns, or raise a ValueError for an unknown name."""
    if columns is None:
        if not items.roles:
            raise ValueError(
                f"the catalogue has no column besides {items.id!r} to read; add text or other "
                "content, or use content.ID()"
            )
        return dict(items.roles)
    if isinstance(columns, str) or not len(columns):
        raise ValueError(f"columns must be a list of column names or None, got {columns!r}")
    for name in columns:
        if name not in items.roles:
            raise ValueError(
                f"columns names {name!r}, which the catalogue lacks"
                f"{did_you_mean(name, items.roles)}. It has {preview(items.roles, 20)}"
            )
    return {name: items.roles[name] for name in columns}


def _sample(column: pa.Array) -> pa.Array:
    """Return at most `N_SAMPLED` values of a column, at equal distances."""
    if len(column) <= N_SAMPLED:
        return column
    return column.take(pa.array(np.linspace(0, len(column) - 1, N_SAMPLED).astype(np.int64)))


def _vocabulary(column: pa.Array) -> pa.Array:
    """Return the distinct values in sorted order. The code of a value is its position plus one."""
    values = column.flatten() if pa.types.is_large_list(column.type) else column
    values = pc.drop_null(values).unique()
    return values.take(pc.sort_indices(values))


def _category_codes(values: pa.Array, vocabulary: pa.Array) -> np.ndarray:
    """Return the codes of values, from 1 up. Null and unseen values have code 0."""
    found = pc.index_in(values, value_set=vocabulary, skip_nulls=True)
    return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1


def _ragged(offsets: np.ndarray, ids: np.ndarray) -> Ragged:
    """Return offsets and ids as a ragged column of tensors."""
    return Ragged(torch.from_numpy(offsets), torch.from_numpy(ids))
