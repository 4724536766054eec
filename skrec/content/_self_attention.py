"""Self-attention over words."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skrec._common.checks import check_choice, check_heads, check_real
from skrec.content._cnn import Concatenate
from skrec.content._columns.network import ColumnNetwork, TextEncoder
from skrec.content._columns.operator import ColumnOperator
from skrec.nn import AdditiveAttention, MultiHeadSelfAttention


class SelfAttention(ColumnOperator):
    r"""Multi-head self-attention over each text, followed by additive attention.

    This is the news encoder of NRMS [1]_. Each word attends to all words of its text. Columns of
    other roles are embedded, and additive attention combines the vectors of all columns. Use it if
    the meaning of words depends on the other words of the text. The order of words has no
    influence.

    Do not use it if the order of words matters, or texts have many hundreds of words.

    Parameters
    ----------
    columns : list of str, default=None
        Names of the columns to read. None reads all columns.
    n_heads : int, default=4
        Number of attention heads. Must divide the recommender's `width`.
    fusion : {"attention", "concat"}, default="attention"
        How the vectors of the columns are combined: "attention" computes a weighted mean,
        "concat" applies a linear layer to their concatenation. Ignored if there is only one
        column.
    dropout : float, default=0.2
        Dropout rate of the word embeddings and of the output of the self-attention during
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
    CNN : Costs less, and takes the order of words into account.
    Transformer : Several layers, with positions.

    Notes
    -----
    .. math::

       z = \operatorname{softmax}\left(\frac{Q K^\top}{\sqrt{d}}\right) V, \quad v = \sum_t
       \alpha_t z_t

    **Cost.** D weights per word piece and O(D²) more per text column; O(T² D + T D²) time per item
    with T word pieces.

    References
    ----------
    .. [1] Wu et al., "Neural News Recommendation with Multi-Head Self-Attention",
       EMNLP-IJCNLP 2019.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.SelfAttention(n_heads=8))
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
        n_heads: int = 4,
        fusion: str = "attention",
        dropout: float = 0.2,
        max_length: int = 32,
        tokenizer: str | None = None,
        word_vectors: Any = None,
        trainable: bool = True,
        vocab_size: int = 10000,
    ) -> None:
        self.columns = columns
        self.n_heads = n_heads
        self.fusion = fusion
        self.dropout = dropout
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.trainable = trainable
        self.vocab_size = vocab_size

    def check(self, width: int) -> None:
        super().check(width)
        check_heads(self.n_heads, width)
        check_choice("fusion", self.fusion, ("attention", "concat"))
        check_real("dropout", self.dropout, 0, 1, closed="left")

    def build(self, schema: Any, width: int) -> nn.Module:
        return ColumnNetwork(
            schema,
            width,
            lambda: SelfAttentionEncoder(width, self.n_heads, self.dropout),
            lambda n_columns: (
                Concatenate(n_columns, width)
                if self.fusion == "concat"
                else AdditiveAttention(width, width)
            ),
        )


class SelfAttentionEncoder(TextEncoder):
    """Self-attention and additive attention over one text column."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.mix = MultiHeadSelfAttention(width, n_heads)
        self.attention = AdditiveAttention(width, width)
        self.dropout = nn.Dropout(dropout)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map embeddings x (U, L, D) with mask (U, L) to states (U, L, D)."""
        return self.dropout(self.mix(self.dropout(x), mask))

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map states x (U, L, D) with mask (U, L) to vectors (U, D)."""
        return self.attention(x, mask)
