"""Fastformer layers over words."""

from __future__ import annotations

from typing import Any

from torch import nn

from skrec._common.checks import check_choice, check_layers
from skrec.content._columns.network import ColumnNetwork
from skrec.content._columns.operator import ColumnOperator
from skrec.content._transformer import LayersEncoder
from skrec.nn import AdditiveAttention, fastformer


class Fastformer(ColumnOperator):
    r"""Fastformer layers over each text, followed by additive attention.

    This is the news encoder of Fastformer [1]_. In each head, words interact only through one
    global query and one global key, so computing time grows linearly with the length of a text.
    Columns of other roles are embedded, and additive attention combines the vectors of all columns.
    Use it for long texts.

    The order of words has no influence, because the authors use no positions for news [2]_.

    Do not use it if texts are short, where `SelfAttention` is as fast.

    Parameters
    ----------
    columns : list of str, default=None
        Names of the columns to read. None reads all columns.
    n_layers : int, default=2
        Number of layers.
    n_heads : int, default=4
        Number of attention heads. Must divide the recommender's `width`.
    hidden : int, default=None
        Size of the inner layer of the feed-forward part. None uses the recommender's `width`.
        Ignored if `bare` is true.
    dropout : float, default=0.2
        Dropout rate of the word embeddings and of the output of each part of a layer during
        training.
    bare : bool, default=False
        Whether to omit the layer norms, the feed-forward part and the outer residual connections.
        The authors found this better for news [2]_. With more than two layers, the vectors may
        grow without bound.
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
    SelfAttention : Each word attends to all words; fast enough for texts of usual length.
    Transformer : Takes the order of words into account.

    Notes
    -----
    .. math::

       q = \sum_t \alpha_t q_t, \quad k = \sum_t \beta_t (q * k_t), \quad z_t = W (k * q_t) + q_t

    **Cost.** D weights per word piece and O(D²) more per layer; O(T D²) time per item with T word
    pieces, per layer.

    As in the paper, the queries also serve as values. In the paper, all layers share one set of
    weights; here, as in the authors' code, each layer has its own weights. Layer norms come first
    in a layer, whereas they come last in the authors' code. The tests compare the attention with
    the equations of the paper; it was also compared with the implementation in ESPnet.

    References
    ----------
    .. [1] Wu et al., "Fastformer: Additive Attention Can Be All You Need", arXiv 2108.09084.
    .. [2] Notes published with the authors' code, https://github.com/wuch15/Fastformer.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.Fastformer(["title"], max_length=200))
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
        bare: bool = False,
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
        self.bare = bare
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
        self.trainable = trainable
        self.vocab_size = vocab_size

    def check(self, width: int) -> None:
        super().check(width)
        check_layers(self, width)
        check_choice("bare", self.bare, (True, False))

    def build(self, schema: Any, width: int) -> nn.Module:
        def encoder() -> nn.Module:
            layers = fastformer(
                width, self.n_layers, self.n_heads, self.hidden, self.dropout, self.bare
            )
            return LayersEncoder(layers, width)

        return ColumnNetwork(
            schema, width, encoder, lambda n_columns: AdditiveAttention(width, width)
        )
