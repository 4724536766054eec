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
    r"""Transformer layers with learned positions over each text, followed by additive attention.

    Words are read in their order and in the context of all other words, as in language models [1]_.
    The layers start from random weights and therefore need more training data than `CNN` or
    `SelfAttention`. Columns of other roles are embedded, and additive attention combines the
    vectors of all columns. Use it for large data sets with texts that a pretrained language model
    does not cover.

    Do not use it if clicks are few: a `LanguageModel` already knows the language, and `CNN` has
    fewer weights.

    Parameters
    ----------
    columns : list of str, default=None
        Names of the columns to read. None reads all columns.
    n_layers : int, default=2
        Number of layers. Each consists of an attention and a feed-forward part.
    n_heads : int, default=4
        Number of attention heads. Must divide the recommender's `width`.
    hidden : int, default=None
        Size of the inner layer of the feed-forward part. None uses the recommender's `width`.
    dropout : float, default=0.2
        Dropout rate of the word embeddings and of the output of each part of a layer during
        training.
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
    SelfAttention : One layer of attention, without positions.
    LanguageModel : Layers that are pretrained on a large corpus.

    Notes
    -----
    .. math::

       v = \operatorname{pool}\left(\operatorname{Transformer}([x_1 + p_1, \ldots, x_T +
       p_T])\right)

    **Cost.** D weights per word piece and O(D²) more per layer; O(T² D + T D²) time per item with T
    word pieces, per layer.

    A layer norm comes before each part of a layer [2]_. The tests compare the layers with those of
    ``torch.nn``.

    References
    ----------
    .. [1] Vaswani et al., "Attention Is All You Need", arXiv 1706.03762.
    .. [2] Xiong et al., "On Layer Normalization in the Transformer Architecture",
       arXiv 2002.04745.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.Transformer(["title"], n_layers=1))
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
        n_layers: int = 2,
        n_heads: int = 4,
        hidden: int | None = None,
        dropout: float = 0.2,
        max_length: int = 32,
        tokenizer: str | None = None,
        word_vectors: Any = None,
        trainable: bool = True,
        vocab_size: int = 10000,
    ) -> None:
        self.columns = columns
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.hidden = hidden
        self.dropout = dropout
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.trainable = trainable
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
    """Stack of layers and additive attention over one text column."""

    def __init__(self, layers: LayerStack, width: int, positions: Positions | None = None) -> None:
        super().__init__()
        self.positions = positions
        self.layers = layers
        self.attention = AdditiveAttention(width, width)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map embeddings x (U, L, D) with mask (U, L) to states (U, L, D)."""
        if self.positions is not None:
            x = self.positions(x, torch.arange(x.shape[1], device=x.device))
        return self.layers(x, mask)

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map states x (U, L, D) with mask (U, L) to vectors (U, D)."""
        return self.attention(x, mask)
