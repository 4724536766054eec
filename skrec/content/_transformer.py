"""Transformer layers over words."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skrec._common.checks import check_layers
from skrec.content._columns.network import ColumnNetwork, TextEncoder
from skrec.content._columns.operator import ColumnOperator
from skrec.nn import AdditiveAttention, LayerStack, Positions, transformer


class Transformer(ColumnOperator):
    """Transformer layers over each text, with learned positions, then additive attention.

    It reads words in their order and in the light of each other, as language models do [1]_, but
    is trained from nothing: it takes more data than `CNN` or `SelfAttention` do. Other columns
    than text are embedded; attention weighs the columns.

    Parameters
    ----------
    columns : list of str, default=None
        Columns to read; None reads all.
    n_layers : int, default=2
        Layers of attention and feed-forward part.
    n_heads : int, default=4
        Attention heads; divides the recommender's `width`.
    hidden : int, default=None
        Size of the feed-forward part's inner layer; None takes the recommender's `width`.
    dropout : float, default=0.2
        Of the word embeddings and of what each part of a layer gives, in training.
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
    SelfAttention : One layer of attention, without positions.
    LanguageModel : Layers that know the language already.

    Notes
    -----
    A layer norm comes before each part of a layer [2]_. Compared with ``torch.nn`` layers in
    tests.

    References
    ----------
    .. [1] Vaswani et al., "Attention Is All You Need", arXiv 1706.03762.
    .. [2] Xiong et al., "On Layer Normalization in the Transformer Architecture",
       arXiv 2002.04745.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.Transformer(["title"], n_layers=1))
    """

    def __init__(
        self,
        columns: list[str] | None = None,
        *,
        n_layers: int = 2,
        n_heads: int = 4,
        hidden: int | None = None,
        dropout: float = 0.2,
        max_length: int = 32,
        tokenizer: str | None = None,
        word_vectors: Any = None,
        vocab_size: int = 10000,
    ):
        self.columns = columns
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.hidden = hidden
        self.dropout = dropout
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.vocab_size = vocab_size

    def check(self, width: int) -> None:
        super().check(width)
        check_layers(self, width)

    def build(self, schema: Any, width: int) -> nn.Module:
        def encoder() -> nn.Module:
            layers = transformer(width, self.n_layers, self.n_heads, self.hidden, self.dropout)
            return LayersEncoder(layers, width, Positions(self.max_length, width))

        return ColumnNetwork(
            schema, width, encoder, lambda n_columns: AdditiveAttention(width, width)
        )


class LayersEncoder(TextEncoder):
    """Layers and additive attention over one text column."""

    def __init__(self, layers: LayerStack, width: int, positions: Positions | None = None):
        super().__init__()
        self.positions = positions
        self.layers = layers
        self.attention = AdditiveAttention(width, width)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map embeddings x (U, L, D) under mask (U, L) to states (U, L, D)."""
        if self.positions is not None:
            x = self.positions(x, torch.arange(x.shape[1], device=x.device))
        return self.layers(x, mask)

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map states x (U, L, D) under mask (U, L) to (U, D)."""
        return self.attention(x, mask)
