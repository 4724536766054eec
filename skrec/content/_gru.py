"""Recurrent network over words."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skrec._common.checks import check_real
from skrec.content._columns.network import ColumnNetwork, TextEncoder
from skrec.content._columns.operator import ColumnOperator
from skrec.nn import AdditiveAttention, last_real


class GRU(ColumnOperator):
    r"""Gated recurrent unit over each text; its state after the last word represents the text.

    The unit [1]_ reads words in their order. Columns of other roles are embedded, and additive
    attention combines the vectors of all columns. Use it if the meaning depends on the order of the
    words in the whole text. Words are processed one after another, so long texts are slow.

    Do not use it if texts are long, or training time matters.

    Parameters
    ----------
    columns : list of str, default=None
        Names of the columns to read. None reads all columns.
    dropout : float, default=0.0
        Dropout rate of the word embeddings during training.
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
    CNN : Also reads words in their order, but all positions in parallel.

    Notes
    -----
    .. math::

       z_t = \sigma(W_z x_t + U_z s_{t-1}), \quad s_t = z_t * s_{t-1} + (1 - z_t) * \tanh(W x_t +
       r_t * U s_{t-1})

    **Cost.** D weights per word piece and about 6 D² more per text column; O(T D²) time per item, T
    steps in sequence.

    References
    ----------
    .. [1] Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for
       Statistical Machine Translation", arXiv 1406.1078.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.GRU(["title"]))
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
        dropout: float = 0.0,
        max_length: int = 32,
        tokenizer: str | None = None,
        word_vectors: Any = None,
        trainable: bool = True,
        vocab_size: int = 10000,
    ) -> None:
        self.columns = columns
        self.dropout = dropout
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.trainable = trainable
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
    """GRU over one text column. Its state after the last word is the vector of the column."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.gru = nn.GRU(width, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def states(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map embeddings x (U, L, D) with mask (U, L) to states (U, L, D)."""
        # padding comes after the words, so it cannot influence their states
        states, _ = self.gru(self.dropout(x))
        return states

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map states x (U, L, D) with mask (U, L) to vectors (U, D)."""
        return last_real(x, mask)
