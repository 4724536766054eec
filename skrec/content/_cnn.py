"""Convolution over words, and attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from skrec._operators import check_choice, check_int, check_real
from skrec.content._column_network import ColumnNetwork
from skrec.content._columns import ColumnOperator
from skrec.nn import AdditiveAttention


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
    vocab_size : int, default=10000
        Size of the vocabulary to train. Ignored where `tokenizer` is given.

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
        vocab_size: int = 10000,
    ):
        self.columns = columns
        self.kernel_size = kernel_size
        self.fusion = fusion
        self.dropout = dropout
        self.max_length = max_length
        self.tokenizer = tokenizer
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


class ConvolutionEncoder(nn.Module):
    """Conv1d, ReLU and additive attention over one text column."""

    def __init__(self, width: int, kernel_size: int, dropout: float):
        super().__init__()
        self.convolve = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2)
        self.attention = AdditiveAttention(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map x (U, L, D) under mask (U, L) to (U, D)."""
        # zeros in the padding read like the convolution's own border
        x = self.dropout(x) * mask.unsqueeze(-1)
        x = torch.relu(self._convolve(x))  # (U, L, D)
        return self.attention(self.dropout(x), mask)

    def _convolve(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the convolution as one matrix product, which is faster on short texts."""
        length, size = x.shape[1], self.convolve.kernel_size[0]
        padded = F.pad(x, (0, 0, size // 2, size // 2))
        windows = torch.cat([padded[:, i : i + length] for i in range(size)], dim=2)
        weight = self.convolve.weight.transpose(1, 2).flatten(1)  # (D, size * D)
        return F.linear(windows, weight, self.convolve.bias)


class Concatenate(nn.Module):
    """A linear layer over the columns' vectors laid side by side; missing ones are zeros."""

    def __init__(self, n_columns: int, width: int):
        super().__init__()
        self.project = nn.Linear(n_columns * width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map x (U, S, D) under mask (U, S) to (U, D)."""
        return self.project((x * mask.unsqueeze(-1)).flatten(1))
