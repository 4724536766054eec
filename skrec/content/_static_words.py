"""Texts as weighted means of pretrained word vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from skrec._common.checks import check_choice, check_int, check_real
from skrec._data.items import Items
from skrec.content._columns.dense import DenseOperator, describe_roles
from skrec.content._columns.operator import chosen_roles
from skrec.content._columns.word_vectors import word_files
from skrec.content._columns.words import fit_word_tokenizer
from skrec.content._features import WORD_ROLES, as_texts
from skrec.content._texts import in_batches


class StaticWords(DenseOperator):
    r"""Weighted mean of pretrained word vectors, followed by a multi-layer perceptron.

    The vectors, for example of word2vec or GloVe, stay fixed, and the perceptron is trained
    together with the other operators. Use it for catalogues that are too small to learn the meaning
    of words. It is fast, because each text is read once per `fit`. The order of words has no
    influence. For an item without known words, the perceptron reads a vector of zeros.

    Do not use it if clicks are many: trained words are better.

    Parameters
    ----------
    word_vectors : str, Path or pair of these
        File of pretrained word vectors: a text file in the format of word2vec or GloVe, optionally
        gzipped, or a ``.npy`` matrix. The words of a matrix, one per line, are read from
        ``<name>.vocab`` or ``<name>.txt`` in the same folder, or from the second file of a pair
        ``(matrix, words)``. Texts are split at white space and punctuation. A word is looked up
        as written, then in lower case; words without a vector are ignored.
    columns : list of str, default=None
        Names of text, category or multi-category columns, whose words form one bag. None reads
        all text columns.
    weighting : {"sif", "uniform"}, default="sif"
        Weights of words. With "sif" [1]_, the weight is ``a / (a + p)``, where p is the relative
        frequency of the word in the training catalogue. Words that are not in the catalogue are
        treated as if they occurred once. Rare words thus have the largest weights. With "uniform",
        all words have equal weights.
    smoothing : float, default=1e-3
        The constant a of these weights. Large values make the weights more equal. Ignored with
        ``weighting="uniform"``.
    vocab_size : int, default=50000
        Number of words from the top of the file that are kept for future items, in addition to the
        words of the catalogue. Files usually start with the most frequent words.
    hidden : sequence of int, default=(128,)
        Sizes of the hidden layers. With ``()``, the perceptron is one linear layer.
    dropout : float, default=0.0
        Dropout rate after each hidden layer during training. Ignored without hidden layers.

    Attributes
    ----------
    schema_ : int
        Size of the word vectors.
    scale_ : float
        Root mean square of all numbers in the training catalogue. Vectors are divided by it.
    columns_ : dict of str to str
        Roles of the columns that are read.
    vectors_ : ndarray of float32, shape (n_words + 1, n_features)
        Vectors of the words that are kept. Row 0 is zero and represents all unknown words.
    weights_ : ndarray of float32, shape (n_words + 1,)
        Weight of each row of `vectors_`.

    See Also
    --------
    MeanPooling : Trains the word vectors further if `word_vectors` is given.
    Features : Reads the output of a scikit-learn transformer.

    Notes
    -----
    .. math::

       v = \operatorname{MLP}\left(\frac{\sum_t a_t x_t}{\sum_t a_t}\right)

    **Cost.** The weights of the perceptron alone; texts are read once, and a step takes O(S D) time
    per item with vectors of S numbers.

    The weighted sum is divided by the sum of the weights, whereas [1]_ divides by the number of
    words. The length of an item's vector therefore does not depend on the weights of its words. The
    last step of [1]_ removes the direction that all texts share. It is omitted because the first
    layer of the perceptron can learn it.

    References
    ----------
    .. [1] Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence Embeddings",
       ICLR 2017.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.StaticWords("glove.6B.100d.txt", ["title"]))

    A small file of vectors, and an item of which no word is known:

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> words = Path(mkdtemp(), "words.txt")
    >>> _ = words.write_text("red 1 0\nfox 1 1\nblue 0 1\nsea 0 2\n")
    >>> items = {"item_id": [0, 1, 2], "title": ["red fox", "blue sea", "grey owl"]}
    >>> rec = ContentRecommender(content=content.StaticWords(words))
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items)
    >>> rec.item_vectors().shape
    (3, 8)
    """

    is_fast = True

    def __init__(
        self,
        word_vectors: Any,
        columns: list[str] | None = None,
        *,
        weighting: str = "sif",
        smoothing: float = 1e-3,
        vocab_size: int = 50000,
        hidden: Sequence[int] = (128,),
        dropout: float = 0.0,
    ) -> None:
        self.word_vectors = word_vectors
        self.columns = columns
        self.weighting = weighting
        self.smoothing = smoothing
        self.vocab_size = vocab_size
        self.hidden = hidden
        self.dropout = dropout

    def check(self, width: int) -> None:
        super().check(width)
        check_choice("weighting", self.weighting, ("sif", "uniform"))
        check_real("smoothing", self.smoothing, 0, closed="none")
        check_int("vocab_size", self.vocab_size, minimum=0)
        word_files(self.word_vectors)

    def fit(self, items: Items, y: Any = None) -> StaticWords:
        """Read the word vectors and compute the weights of words from the catalogue.

        Parameters
        ----------
        items : Items
            The training catalogue.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the catalogue has no words to read, if none of them has a vector, or if a file is
            damaged.
        FileNotFoundError
            If a file of `word_vectors` does not exist.

        Warns
        -----
        UserWarning
            If less than half of the words have a vector.
        """
        self.columns_ = self._roles(items)
        texts = self._texts(items)
        if not any(map(str.strip, texts)):
            raise ValueError(
                f"content.StaticWords found no words in {describe_roles(self.columns_)}; take "
                "content.Tabular() for a catalogue without texts"
            )
        self.tokenizer_, vectors = fit_word_tokenizer(self.word_vectors, texts, self.vocab_size)
        self.vectors_ = np.vstack([np.zeros_like(vectors[:1]), vectors])
        self.weights_ = self._weights(texts)
        self._fit_scale(self._read(items))
        return self

    def _roles(self, items: Items) -> dict[str, str]:
        """Return the columns to read and their roles, or raise a ValueError."""
        roles = chosen_roles(items, self.columns)
        wanted = ("text",) if self.columns is None else WORD_ROLES
        chosen = {name: role for name, role in roles.items() if role in wanted}
        if self.columns is not None and len(chosen) < len(roles):
            raise ValueError(
                "columns of content.StaticWords must be texts, categories or multi-categories, got "
                f"{describe_roles(roles)}; another operator, such as content.MeanPooling(), reads "
                "columns of every role"
            )
        if not chosen:
            raise ValueError(
                "content.StaticWords needs a column of texts; the catalogue has "
                f"{describe_roles(roles)}. Name categories in columns=[...] to read them as words, "
                "or take content.Tabular()"
            )
        return chosen

    def _texts(self, items: Items) -> list[str]:
        """Return the words of all columns as one text per item."""
        columns = [as_texts(items.column(n), role, " ") for n, role in self.columns_.items()]
        space = pa.scalar(" ", pa.large_string())
        return pc.binary_join_element_wise(*columns, space).to_pylist()

    def _weights(self, texts: list[str]) -> np.ndarray:
        """Return the weight of each code."""
        weights = np.ones(len(self.vectors_))
        if self.weighting == "sif":
            counts = np.zeros(len(weights), dtype=np.int64)
            for batch in in_batches(texts):
                _, codes = self.tokenizer_.encode(batch)
                counts += np.bincount(codes, minlength=len(weights))
            total = counts.sum()
            weights = self.smoothing / (self.smoothing + counts.clip(min=1) / total)
        weights[0] = 0.0  # unknown words
        return weights.astype(np.float32)

    def _read(self, items: Items) -> np.ndarray:
        parts = [self._means(batch) for batch in in_batches(self._texts(items))]
        return np.concatenate(parts) if parts else self.vectors_[:0]

    def _means(self, texts: list[str]) -> np.ndarray:
        """Return the weighted mean of the vectors of the words of each text."""
        offsets, codes = self.tokenizer_.encode(texts)
        shape = len(texts), len(self.vectors_)
        bags = csr_array((self.weights_[codes], codes, offsets), shape=shape)
        total = bags.sum(axis=1)  # (n_texts,)
        return (bags @ self.vectors_) / np.where(total, total, 1.0)[:, None]
