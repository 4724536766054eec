"""Convolution over words, and attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skrec._common.checks import check_choice, check_int, check_real
from skrec.content._columns.network import ColumnNetwork, TextEncoder
from skrec.content._columns.operator import ColumnOperator
from skrec.nn import AdditiveAttention, Convolution


class CNN(ColumnOperator):
    """A convolution over each text, then attention over its places and over the columns.

    The news encoder of NAML [1]_: for each text column a one-dimensional convolution, ReLU
    and additive attention; other columns are embedded; attention weighs the columns.

    Parameters
    ----------
    columns : list of str, default=None
        Columns to read; None reads all.
    kernel_size : int, default=3
        Word pieces that one place of the convolution sees; odd.
    fusion : {"attention", "concat"}, default="attention"
        How the columns' vectors become one: a weighted mean, or a linear layer over all of
        them. Ignored where there is one column.
    dropout : float, default=0.0
        Of the word embeddings and of the convolution's output, in training. Early stopping did as
        well on what was measured, in less time.
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
    SelfAttention : Lets every word see every other.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Attentive Multi-View Learning",
       arXiv 1907.05576.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.CNN(["title"], kernel_size=5))
    """

    def __init__(
        self,
        columns: list[str] | None = None,
        *,
        kernel_size: int = 3,
        fusion: str = "attention",
        dropout: float = 0.0,
        max_length: int = 32,
        tokenizer: str | None = None,
        word_vectors: Any = None,
        vocab_size: int = 10000,
    ):
        self.columns = columns
        self.kernel_size = kernel_size
        self.fusion = fusion
        self.dropout = dropout
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.vocab_size = vocab_size

    def check(self, width: int) -> None:
        super().check(width)
        check_int("kernel_size", self.kernel_size)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {self.kernel_size}")
        check_choice("fusion", self.fusion, ("attention", "concat"))
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, schema: Any, width: int) -> nn.Module:
        def fusion(n_columns: int) -> nn.Module:
            if self.fusion == "concat":
                return Concatenate(n_columns, width)
            return AdditiveAttention(width, width)

        def encoder() -> nn.Module:
            return ConvolutionEncoder(width, self.kernel_size, self.dropout)

        return ColumnNetwork(schema, width, encoder, fusion)


class ConvolutionEncoder(TextEncoder):
    """Convolution, ReLU and additive attention over one text column."""

    def __init__(self, width: int, kernel_size: int, dropout: float):
        super().__init__()
        self.convolve = Convolution(width, kernel_size)
        self.attention = AdditiveAttention(width, width)
        self.dropout = nn.Dropout(dropout)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map embeddings x (U, L, D) under mask (U, L) to states (U, L, D)."""
        return self.dropout(torch.relu(self.convolve(self.dropout(x), mask)))

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map states x (U, L, D) under mask (U, L) to (U, D)."""
        return self.attention(x, mask)


class Concatenate(nn.Module):
    """A linear layer over the columns' vectors laid side by side; missing ones are zeros."""

    def __init__(self, n_columns: int, width: int):
        super().__init__()
        self.project = nn.Linear(n_columns * width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map x (U, S, D) under mask (U, S) to (U, D)."""
        return self.project((x * mask.unsqueeze(-1)).flatten(1))
