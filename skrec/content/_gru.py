"""A recurrent network over words."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skrec._common.checks import check_real
from skrec.content._columns.network import ColumnNetwork, TextEncoder
from skrec.content._columns.operator import ColumnOperator
from skrec.nn import AdditiveAttention, last_real


class GRU(ColumnOperator):
    """A gated recurrent unit over each text; its state after the last word is the column.

    It reads words in their order. Other columns than text are embedded; attention weighs the
    columns. Words are read one after another, which is slow where texts are long.

    Parameters
    ----------
    columns : list of str, default=None
        Columns to read; None reads all.
    dropout : float, default=0.0
        Of the word embeddings, in training.
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
    CNN : Reads words in their order too, all at once.

    References
    ----------
    .. [1] Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for
       Statistical Machine Translation", arXiv 1406.1078.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.GRU(["title"]))
    """

    def __init__(
        self,
        columns: list[str] | None = None,
        *,
        dropout: float = 0.0,
        max_length: int = 32,
        tokenizer: str | None = None,
        word_vectors: Any = None,
        vocab_size: int = 10000,
    ):
        self.columns = columns
        self.dropout = dropout
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.vocab_size = vocab_size

    def check(self, width: int) -> None:
        super().check(width)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, schema: Any, width: int) -> nn.Module:
        return ColumnNetwork(
            schema,
            width,
            lambda: GRUEncoder(width, self.dropout),
            lambda n_columns: AdditiveAttention(width, width),
        )


class GRUEncoder(TextEncoder):
    """The state of a GRU after the last word of one text column."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.gru = nn.GRU(width, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map embeddings x (U, L, D) under mask (U, L) to states (U, L, D)."""
        # words come first, so that padding can't reach their states
        states, _ = self.gru(self.dropout(x))
        return states

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map states x (U, L, D) under mask (U, L) to (U, D)."""
        return last_real(x, mask)
