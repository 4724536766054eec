"""Self-attention over words."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skrec._common.checks import check_heads, check_real
from skrec.content._columns.network import ColumnNetwork, TextEncoder
from skrec.content._columns.operator import ColumnOperator
from skrec.nn import AdditiveAttention, MultiHeadSelfAttention


class SelfAttention(ColumnOperator):
    """Multi-head self-attention over each text, then additive attention.

    The news encoder of NRMS [1]_. Other columns than text are embedded; attention weighs the
    columns. It reads a text as a bag of words: their order plays no part.

    Parameters
    ----------
    columns : list of str, default=None
        Columns to read; None reads all.
    n_heads : int, default=4
        Attention heads; divides the recommender's `width`.
    dropout : float, default=0.2
        Of the word embeddings and of the attention's output, in training.
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
    CNN : Cheaper, and reads words in their order.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Multi-Head Self-Attention",
       EMNLP-IJCNLP 2019.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.SelfAttention(n_heads=8))
    """

    def __init__(
        self,
        columns: list[str] | None = None,
        *,
        n_heads: int = 4,
        dropout: float = 0.2,
        max_length: int = 32,
        tokenizer: str | None = None,
        word_vectors: Any = None,
        vocab_size: int = 10000,
    ):
        self.columns = columns
        self.n_heads = n_heads
        self.dropout = dropout
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.vocab_size = vocab_size

    def check(self, width: int) -> None:
        super().check(width)
        check_heads(self.n_heads, width)
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, schema: Any, width: int) -> nn.Module:
        return ColumnNetwork(
            schema,
            width,
            lambda: SelfAttentionEncoder(width, self.n_heads, self.dropout),
            lambda n_columns: AdditiveAttention(width, width),
        )


class SelfAttentionEncoder(TextEncoder):
    """Self-attention and additive attention over one text column."""

    def __init__(self, width: int, n_heads: int, dropout: float):
        super().__init__()
        self.mix = MultiHeadSelfAttention(width, n_heads)
        self.attention = AdditiveAttention(width, width)
        self.dropout = nn.Dropout(dropout)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map embeddings x (U, L, D) under mask (U, L) to states (U, L, D)."""
        return self.dropout(self.mix(self.dropout(x), mask))

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map states x (U, L, D) under mask (U, L) to (U, D)."""
        return self.attention(x, mask)
