"""Additive attention over the tokens of all columns."""

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
    r"""Weighted mean of the tokens of all columns, with learned attention weights.

    The tokens of all columns form one sequence x: the word pieces of each text, the values of each
    multi-category, and one token per category, number or vector. The weights of the tokens are
    ``softmax(w tanh(W x + b))`` [1]_. One informative word can therefore outweigh all other
    columns, whereas `CNN` and `SelfAttention` first weigh the words within each column, then the
    columns. Use it if single words matter more than the column that contains them.

    The order of words and columns has no influence. The vector of an item without tokens is zero.

    Do not use it if phrases or the order of words matter.

    Parameters
    ----------
    columns : list of str, default=None
        Names of the columns to read. None reads all columns.
    hidden : int, default=None
        Number of rows of W. None uses the recommender's `width`.
    dropout : float, default=0.0
        Dropout rate of the token embeddings during training.
    max_length : int, default=32
        Maximum number of word pieces read from each text. With `word_vectors`, the maximum
        number of words.
    tokenizer : str, default=None
        Name or path of a pretrained tokenizer. None trains a word-piece tokenizer on the
        catalogue.
    word_vectors : str, Path or pair of these, default=None
        File of pretrained word vectors that initialize the embeddings. Texts are then split into
        words instead of word pieces. The file is a text file in the format of word2vec or GloVe,
        optionally gzipped, or a ``.npy`` matrix. The words of a matrix, one per line, are read
        from ``<name>.vocab`` or ``<name>.txt`` in the same folder, or from the second file of a
        pair ``(matrix, words)``. Texts are split at white space and punctuation. A word is looked
        up as written, then in lower case; all words without a vector share one embedding. If the
        size of the vectors differs from `width`, a linear layer projects them. With `tokenizer`,
        this is the name, the folder or the GGUF file of a language model. Its input embeddings
        initialize those of the tokens, and the tokenizer must belong to it. Ignored if no text
        column is read.
    trainable : bool, default=True
        Whether `word_vectors` are trained further. If False, they stay as they are, words without
        a vector are read as zeros, and the layers after them are trained. Requires `word_vectors`.
    vocab_size : int, default=10000
        Size of the vocabulary of the trained tokenizer. Ignored if `tokenizer` is given. With
        `word_vectors`, the number of words from the top of the file that are kept for future
        items, in addition to the words of the catalogue.

    Attributes
    ----------
    schema_ : tuple
        Name, role and size of each column that is read.

    See Also
    --------
    MeanPooling : Gives equal weights to the tokens of a column.
    CNN : Takes the order of words into account.

    Notes
    -----
    .. math::

       v = \sum_t \alpha_t x_t, \quad \alpha = \operatorname{softmax}_t(w^\top \tanh(W x_t + b))

    **Cost.** D weights per word piece and O(D²) more; O(T D²) time per item with T tokens.

    References
    ----------
    .. [1] Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and
       Translate", arXiv 1409.0473.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.AdditiveAttention(hidden=32))
    >>> items = {"item_id": [0, 1, 2], "title": ["red fox", "blue sea", "red sun"]}
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items)
    >>> rec.item_vectors().shape
    (3, 8)
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
        trainable: bool = True,
        vocab_size: int = 10000,
    ) -> None:
        self.columns = columns
        self.hidden = hidden
        self.dropout = dropout
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.trainable = trainable
        self.vocab_size = vocab_size

    def check(self, width: int) -> None:
        super().check(width)
        if self.hidden is not None:
            check_int("hidden", self.hidden)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, schema: Any, width: int) -> nn.Module:
        return AttentionOverTokens(schema, width, self.hidden or width, self.dropout)


class AttentionOverTokens(ColumnEmbeddings):
    """Module that attends over the tokens of all columns as one sequence."""

    def __init__(
        self, schema: tuple[ColumnSchema, ...], width: int, hidden: int, dropout: float = 0.0
    ) -> None:
        super().__init__(schema, width)
        self.attention = AdditiveAttentionLayer(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, columns: dict[str, Column]) -> torch.Tensor:
        """Return item vectors (U, D)."""
        x, place, mask = self.embed_sequence(columns)  # (n + 1, D), (U, T), (U, T)
        look_up = partial(F.embedding, weight=self.dropout(x))
        return encode_by_length(look_up, self.attention, place, mask)

    def tokens(self, columns: dict[str, Column]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return item vectors (U, D), tokens (U, T, D) and the mask (U, T) of real tokens."""
        x, place, mask = self.embed_sequence(columns)
        x = F.embedding(place, self.dropout(x))  # (U, T, D)
        return self.attention(x, mask), x, mask
