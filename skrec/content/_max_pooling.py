"""Maximum of token embeddings."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skrec.content._columns.network import ColumnNetwork, TextEncoder
from skrec.content._columns.operator import ColumnOperator
from skrec.nn import masked_max


class MaxPooling(ColumnOperator):
    r"""Maximum of the token embeddings of each column, then of the columns, entry by entry.

    The strongest signal of any word is kept, however long the text is, whereas a mean dilutes it.
    The order of words has no influence. Use it for long texts in which few words matter.

    Do not use it if all words of a text count, as in short titles.

    Parameters
    ----------
    columns : list of str, default=None
        Names of the columns to read. None reads all columns.
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
    MeanPooling : Gives equal weights to all words.
    AdditiveAttention : Learns the weights of words.

    Notes
    -----
    .. math::

       v_d = \max_c \max_t x_{c t d}

    **Cost.** D weights per word piece; O(T D) time per item with T word pieces.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.MaxPooling(max_length=16))
    >>> items = {"item_id": [0, 1, 2], "title": ["red fox", "blue sea", "red sun"]}
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items)
    >>> rec.item_vectors().shape
    (3, 8)
    """

    is_fast = True

    def __init__(
        self,
        columns: list[str] | None = None,
        *,
        max_length: int = 32,
        tokenizer: str | None = None,
        word_vectors: Any = None,
        trainable: bool = True,
        vocab_size: int = 10000,
    ) -> None:
        self.columns = columns
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.trainable = trainable
        self.vocab_size = vocab_size

    def build(self, schema: Any, width: int) -> nn.Module:
        return ColumnNetwork(
            schema, width, MaxEncoder, lambda n_columns: MaxEncoder(), list_encoder=MaxEncoder
        )


class MaxEncoder(TextEncoder):
    """Masked maximum of the tokens of a column."""

    def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map tokens x (U, L, D) with mask (U, L) to vectors (U, D)."""
        return masked_max(x, mask)
