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
from skrec.content._columns.dense import DenseOperator, describe
from skrec.content._columns.operator import chosen_roles
from skrec.content._columns.word_vectors import word_files
from skrec.content._columns.words import learn_words
from skrec.content._features import WORDS, as_words


class StaticWords(DenseOperator):
    """The weighted mean of pretrained word vectors, through a multi-layer perceptron.

    What word2vec or GloVe know of words, for catalogues too small to learn it: vectors stay as
    they are, and the perceptron is trained with the rest. Cheap, for a text is read once a fit;
    blind to the order of words. An item without any known word is a vector of zeros.

    Parameters
    ----------
    word_vectors : str, Path or pair of these
        A file of pretrained word vectors: the text of word2vec or GloVe, also gzipped; or a
        ``.npy`` matrix, with its words, one a line, in ``<name>.vocab`` or ``<name>.txt`` beside
        it or as ``(matrix, words)``. Texts are split at white space and marks; a word is looked
        up as it is written, then in lower case, and those without a vector are left out.
    columns : list of str, default=None
        Columns of texts, categories or multi-categories, whose words are one bag; None reads all
        texts.
    weighting : {"sif", "uniform"}, default="sif"
        What a word weighs: with "sif" [1]_, ``a / (a + p)``, where p is its share of all words in
        the training catalogue, and at least that of a word that comes once. So rare words say
        most. With "uniform", all weigh the same.
    smoothing : float, default=1e-3
        The a of these weights; large values make them alike. Ignored with "uniform".
    vocab_size : int, default=50000
        How many words from the top of the file, which has the commonest first, are kept for items
        to come, beside those of the catalogue.
    hidden : sequence of int, default=(128,)
        Sizes of the hidden layers; ``()`` makes the perceptron one linear layer.
    dropout : float, default=0.0
        After each hidden layer, in training. Ignored where there is none.

    Attributes
    ----------
    schema_ : int
        Numbers an item.
    scale_ : float
        Root mean square of all numbers in the training catalogue, by which they are divided.
    columns_ : dict of str to str
        The columns that are read, and their roles.
    vectors_ : ndarray of float32, shape (n_words + 1, n_numbers)
        Zeros, which stand for all unknown words, then the words that were kept.
    weights_ : ndarray of float32, shape (n_words + 1,)
        What they weigh.

    See Also
    --------
    MeanPooling : Trains the vectors further, with `word_vectors`.
    Features : Vectors that a scikit-learn transformer makes.

    Notes
    -----
    The mean is divided by the sum of the weights, where [1]_ divide by the number of words: a
    long vector is not a better one here. Their last step, taking out the direction that all
    texts share, is left to the perceptron, whose first layer can do it.

    References
    ----------
    .. [1] Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence Embeddings",
       ICLR 2017.

    Examples
    --------
    >>> from skrec import ContentRecommender, content
    >>> rec = ContentRecommender(content=content.StaticWords("glove.6B.100d.txt", ["title"]))
    """

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
    ):
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
        """Read the vectors of words, and weigh them by the catalogue.

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
            Where there are no words to read, where none has a vector, and for a damaged file.
        FileNotFoundError
            Where `word_vectors` names none.

        Warns
        -----
        UserWarning
            Where less than half of the words have a vector.
        """
        self.columns_ = self._roles(items)
        texts = self._texts(items)
        if not any(map(str.strip, texts)):
            raise ValueError(
                f"content.StaticWords found no words in {describe(self.columns_)}; take "
                "content.Tabular() for a catalogue without texts"
            )
        self.tokenizer_, vectors = learn_words(self.word_vectors, texts, self.vocab_size)
        self.vectors_ = np.vstack([np.zeros_like(vectors[:1]), vectors])
        self.weights_ = self._weights(texts)
        self._measure(self._read(items))
        return self

    def _roles(self, items: Items) -> dict[str, str]:
        roles = chosen_roles(items, self.columns)
        wanted = ("text",) if self.columns is None else WORDS
        chosen = {name: role for name, role in roles.items() if role in wanted}
        if self.columns is not None and len(chosen) < len(roles):
            raise ValueError(
                "columns of content.StaticWords must be texts, categories or multi-categories, "
                f"got {describe(roles)}; another operator, such as content.MeanPooling(), reads "
                "columns of every role"
            )
        if not chosen:
            raise ValueError(
                "content.StaticWords needs a column of texts; the catalogue has "
                f"{describe(roles)}. Name categories in columns=[...] to read them as words, or "
                "take content.Tabular()"
            )
        return chosen

    def _texts(self, items: Items) -> list[str]:
        """Return the words of all columns as one text an item."""
        columns = [as_words(items.column(n), role, " ") for n, role in self.columns_.items()]
        blank = pa.scalar(" ", pa.large_string())
        return pc.binary_join_element_wise(*columns, blank).to_pylist()

    def _weights(self, texts: list[str]) -> np.ndarray:
        weights = np.ones(len(self.vectors_))
        if self.weighting == "sif":
            _, codes = self.tokenizer_.encode(texts)
            counts = np.bincount(codes, minlength=len(weights)).clip(min=1)
            weights = self.smoothing / (self.smoothing + counts / len(codes))
        weights[0] = 0.0  # unknown words
        return weights.astype(np.float32)

    def _read(self, items: Items) -> np.ndarray:
        offsets, codes = self.tokenizer_.encode(self._texts(items))
        shape = items.n_items, len(self.vectors_)
        bags = csr_array((self.weights_[codes], codes, offsets), shape=shape)
        total = bags.sum(axis=1)  # (n_items,)
        return (bags @ self.vectors_) / np.where(total, total, 1.0)[:, None]
