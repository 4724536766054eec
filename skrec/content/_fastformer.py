"""Fastformer over words."""

from __future__ import annotations

from typing import Any

from torch import nn

from skrec._common.checks import check_choice, check_layers
from skrec.content._columns.network import ColumnNetwork
from skrec.content._columns.operator import ColumnOperator
from skrec.content._transformer import LayersEncoder
from skrec.nn import AdditiveAttention, fastformer


class Fastformer(ColumnOperator):
    """Fastformer layers over each text, then additive attention.

    The news encoder of Fastformer [1]_: words meet through one global query and one global key a
    head, in time linear in the length of the text. Other columns than text are embedded;
    attention weighs the columns. The order of words plays no part: the authors leave positions
    out for news [2]_.

    Parameters
    ----------
    columns : list of str, default=None
        Columns to read; None reads all.
    n_layers : int, default=2
        Layers.
    n_heads : int, default=4
        Attention heads; divides the recommender's `width`.
    hidden : int, default=None
        Size of the feed-forward part's inner layer; None takes the recommender's `width`. Ignored
        where `bare` is true.
    dropout : float, default=0.2
        Of the word embeddings and of what each part of a layer gives, in training.
    bare : bool, default=False
        Leave out the layers' norms, feed-forward part and outer residuals. The authors found
        that better for news [2]_; with more than two layers, vectors may grow out of bounds.
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
    SelfAttention : Each word attends to every other; fine for usual lengths.
    Transformer : Reads words in their order.

    Notes
    -----
    As in the paper, the queries are the values too. The paper also gives all layers one set of
    weights; here, as in the authors' code, each has its own. The norms come first in a layer,
    where the authors' code has them last. The attention was compared with that of espnet.

    References
    ----------
    .. [1] Wu et al., "Fastformer: Additive Attention Can Be All You Need", arXiv 2108.09084.
    .. [2] The notes that come with the authors' code, https://github.com/wuch15/Fastformer.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.Fastformer(["title"], max_length=200))
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
        vocab_size: int = 10000,
    ):
        self.columns = columns
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.hidden = hidden
        self.dropout = dropout
        self.bare = bare
        self.max_length = max_length
        self.tokenizer = tokenizer
        self.word_vectors = word_vectors
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
