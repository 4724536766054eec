"""Additive attention over the words of all columns."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from skrec._common.checks import check_int, check_real
from skrec._data.packed import Column
from skrec.content._columns.network import ColumnEmbeddings
from skrec.content._columns.operator import ColumnOperator, ColumnSchema
from skrec.nn import AdditiveAttention as AdditiveAttentionLayer
from skrec.nn import encode_by_length


class AdditiveAttention(ColumnOperator):
    """A weighted mean of the words of all columns, with weights ``softmax(w tanh(W x + b))``.

    All columns are one sequence: the word pieces of texts, each value of a multi-category, and
    one token for a category, a number or a vector. So a telling word of one column can outweigh
    another column altogether, where `CNN` and `SelfAttention` weigh word against word within a
    column, then column against column. The order of words and columns plays no part. An item
    without any token has a vector of zeros.

    Parameters
    ----------
    columns : list of str, default=None
        Columns to read; None reads all.
    hidden : int, default=None
        Rows of W; None takes the recommender's `width`.
    dropout : float, default=0.0
        Of the tokens' embeddings, in training.
    max_length : int, default=32
        Word pieces that are read of each text.
    tokenizer : str, default=None
        A pretrained tokenizer's name or path. None trains a word-piece tokenizer on the
        catalogue.
    word_vectors : str, Path or pair of these, default=None
        A file of pretrained word vectors that embeddings start from, in place of word pieces: the
        text of word2vec or GloVe, also gzipped; or a ``.npy`` matrix, with its words, one a line,
        in ``<name>.vocab`` or ``<name>.txt`` beside it or as ``(matrix, words)``. Texts are split
        at white space and marks; a word is looked up as it is written, then in lower case, and
        those without a vector share one. Vectors of another size than `width` pass a linear
        layer; all is trained further. Not with `tokenizer`. Ignored where there is no text.
    vocab_size : int, default=10000
        Size of the vocabulary to train. Ignored where `tokenizer` is given. With `word_vectors`:
        how many words from the top of the file are kept for items to come, beside those of the
        catalogue.

    Attributes
    ----------
    schema_ : tuple
        Columns with their roles and sizes.

    See Also
    --------
    MeanPooling : The same without weights to learn.
    CNN : Reads words in their order.

    References
    ----------
    .. [1] Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and
       Translate", arXiv 1409.0473.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.AdditiveAttention(hidden=32))
    """

    def __init__(
        self,
        columns: list[str] | None = None,
        *,
        hidden: int | None = None,
        dropout: float = 0.0,
        max_length: int = 32,
        tokenizer: str | None = None,
        word_vectors: Any = None,
        vocab_size: int = 10000,
    ):
        self.columns = columns
        self.hidden = hidden
        self.dropout = dropout
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.vocab_size = vocab_size

    def check(self, width: int) -> None:
        super().check(width)
        if self.hidden is not None:
            check_int("hidden", self.hidden)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, schema: Any, width: int) -> nn.Module:
        return AttentionOverTokens(schema, width, self.hidden or width, self.dropout)


class AttentionOverTokens(ColumnEmbeddings):
    """Additive attention over the tokens of all columns as one sequence."""

    def __init__(
        self, schema: tuple[ColumnSchema, ...], width: int, hidden: int, dropout: float = 0.0
    ):
        super().__init__(schema, width)
        self.attention = AdditiveAttentionLayer(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return the item vectors (U, D)."""
        x, place, mask = self.embed_sequence(columns)  # (n + 1, D), (U, T), (U, T)
        look_up = partial(F.embedding, weight=self.dropout(x))
        return encode_by_length(look_up, self.attention, place, mask)

    def tokens(self, columns: dict[str, Column]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the item vectors (U, D), their tokens (U, T, D), and which are real (U, T)."""
        x, place, mask = self.embed_sequence(columns)
        x = F.embedding(place, self.dropout(x))  # (U, T, D)
        return self.attention(x, mask), x, mask
