"""Features that a scikit-learn transformer makes of items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.base import clone

from skrec._common.messages import preview
from skrec._data.items import Items
from skrec.content._base import refuse_nested
from skrec.content._columns.dense import DenseOperator, describe
from skrec.content._columns.operator import chosen_roles

N_COMPONENTS = 128  # of the SVD that is the default
DENSE_CELLS = 10**8  # numbers of a sparse matrix that may be made dense: 400 MB
WORDS = ("text", "category", "multi-category")  # roles that are joined to one text


class Features(DenseOperator):
    """Vectors that any scikit-learn transformer or pipeline makes, through a linear layer.

    The transformer is cloned, and fitted to the catalogue once a fit; the layer on top is
    trained with the rest. All numbers are divided by one scale, so that their mean square over
    the training catalogue is 1: those of TF-IDF and an SVD are tiny, and would be learned slowly.
    A search reaches into it: ``content__transformer__tfidfvectorizer__min_df``.

    Parameters
    ----------
    transformer : scikit-learn transformer, default=None
        Gets a list of texts, one an item, or a data frame: see `columns`. It returns one vector
        an item; a sparse matrix of up to 1e8 cells is made dense. None takes TF-IDF of words and
        a truncated SVD to at most 128 numbers.
    columns : list of str, default=None
        With None, the transformer gets one text an item: texts, categories and multi-categories
        in the order of the columns, joined by ``". "``, the values of a multi-category by
        ``", "``, and what is empty left out. With a list, it gets a pandas DataFrame of these
        columns, as ``ColumnTransformer`` or ``skrub.TableVectorizer`` read it: categories are
        strings, numbers are not standardised. Where `transformer` is None, these columns are
        joined instead.
    hidden : sequence of int, default=()
        Sizes of hidden layers before the linear one.
    dropout : float, default=0.0
        After each hidden layer, in training. Ignored where there is none.

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone.
    schema_ : int
        Numbers an item.
    scale_ : float
        Root mean square of all numbers in the training catalogue, by which they are divided.
    columns_ : dict of str to str
        The columns that are read, and their roles.

    See Also
    --------
    Vectors : Vectors that the catalogue holds already.
    MeanPooling : Learns what each word says from the clicks.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skrec import ContentRecommender, content
    >>> words = make_pipeline(TfidfVectorizer(min_df=2), TruncatedSVD(64, random_state=0))
    >>> rec = ContentRecommender(content=content.Features(words))
    >>> rec = rec.set_params(content__transformer__tfidfvectorizer__min_df=3)
    """

    def __init__(
        self,
        transformer: Any = None,
        *,
        columns: list[str] | None = None,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
    ):
        self.transformer = transformer
        self.columns = columns
        self.hidden = hidden
        self.dropout = dropout

    def set_params(self, **params: Any) -> Features:
        refuse_nested(self, "transformer", params, "a transformer, such as TfidfVectorizer(...)")
        return super().set_params(**params)

    def check(self, width: int) -> None:
        super().check(width)
        given = self.transformer
        if isinstance(given, type):
            raise TypeError(
                f"transformer must be an instance, write {given.__name__}() with parentheses"
            )
        needed = ("fit", "transform", "get_params")
        lacking = [name for name in needed if not hasattr(given, name)]
        if given is not None and lacking:
            raise TypeError(
                "transformer must be a scikit-learn transformer with fit and transform, got "
                f"{given!r}, which has no {' and no '.join(lacking)}"
            )

    def fit(self, items: Items, y: Any = None) -> Features:
        """Fit a clone of the transformer to the catalogue.

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
            Where there is no text to join, or where the transformer does not give one finite
            vector an item.
        """
        self.columns_ = chosen_roles(items, self.columns)
        self._as_frame = self.columns is not None and self.transformer is not None
        given = self._input(items)
        if not self._as_frame:
            self._refuse_wordless(given)
        if self.transformer is None:
            self.transformer_, made = _fit_default(given)
        else:
            self.transformer_ = clone(self.transformer)
            if hasattr(self.transformer_, "fit_transform"):
                made = self.transformer_.fit_transform(given)
            else:
                made = self.transformer_.fit(given).transform(given)
        self._measure(_as_vectors(made, items, self._as_frame))
        return self

    def _input(self, items: Items) -> Any:
        """Return what the transformer reads: a DataFrame or a list of texts."""
        if self._as_frame:
            return pa.table({name: items.column(name) for name in self.columns_}).to_pandas()
        joined = pa.array([""] * items.n_items, pa.large_string())
        for name, role in self.columns_.items():
            if role in WORDS:
                joined = _join(joined, as_words(items.column(name), role, ", "))
        return joined.to_pylist()

    def _refuse_wordless(self, texts: list[str]) -> None:
        """Raise where no item has a word."""
        if not any(texts):
            raise ValueError(
                f"content.Features found no words to join in {describe(self.columns_)}; give "
                "columns=[...] and a transformer that reads a DataFrame of them, or take "
                "content.Vectors() or content.MeanPooling()"
            )

    def _read(self, items: Items) -> np.ndarray:
        made = self.transformer_.transform(self._input(items))
        vectors = _as_vectors(made, items, self._as_frame)
        if vectors.shape[1] != self.schema_:
            raise ValueError(
                f"the transformer gave {vectors.shape[1]} numbers an item, but {self.schema_} for "
                "the training catalogue"
            )
        return vectors


def _fit_default(texts: list[str]) -> tuple[Any, Any]:
    """Fit TF-IDF and an SVD that is no larger than words and items allow."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    # one letter is a word too: "vitamin C", and whole titles in some languages
    tfidf = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
    counts = tfidf.fit_transform(texts)
    if counts.shape[1] == 1:  # too few for an SVD
        return make_pipeline(tfidf), counts
    svd = TruncatedSVD(min(N_COMPONENTS, *counts.shape), random_state=0)
    with np.errstate(invalid="ignore"):  # equal texts have no variance to be explained
        made = svd.fit_transform(counts)
    return make_pipeline(tfidf, svd), made


def as_words(column: pa.Array, role: str, glue: str) -> pa.Array:
    """Return a column of words as texts without null, the values of a list joined by `glue`."""
    if role == "multi-category":
        values = pc.fill_null(column.values, "")
        lists = pa.LargeListArray.from_arrays(column.offsets, values)
        column = pc.binary_join(lists, pa.scalar(glue, pa.large_string()))
    return pc.fill_null(column, "")


def _join(first: pa.Array, second: pa.Array) -> pa.Array:
    """Join texts by a full stop where neither is empty."""
    both = pc.binary_join_element_wise(first, second, pa.scalar(". ", pa.large_string()))
    both = pc.if_else(pc.equal(first, ""), second, both)
    return pc.if_else(pc.equal(second, ""), first, both)


def _as_vectors(made: Any, items: Items, as_frame: bool) -> np.ndarray:
    """Return what a transformer made as an array (n_items, n_numbers), or raise."""
    shape = np.shape(made)
    if len(shape) != 2 or not shape[1]:
        raise ValueError(
            f"the transformer must give one vector an item, of shape ({items.n_items}, n_numbers), "
            f"got shape {shape}"
        )
    if shape[0] != items.n_items:
        hint = (
            "with `columns` it gets a DataFrame, which a text vectorizer reads in a "
            "ColumnTransformer only"
            if as_frame
            else "it must not drop or add rows"
        )
        raise ValueError(f"the transformer gave {shape[0]} rows for {items.n_items} items; {hint}")
    if hasattr(made, "toarray"):
        if shape[0] * shape[1] > DENSE_CELLS:
            raise ValueError(
                f"the transformer gave a sparse matrix of shape {shape}, too large to be made "
                f"dense (at most {DENSE_CELLS:.0e} cells); end it with an SVD: "
                "make_pipeline(..., TruncatedSVD(128))"
            )
        made = made.toarray()
    vectors = np.asarray(made, dtype=np.float32)
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise ValueError(
            f"the transformer gave NaN or infinite numbers for {int(bad.sum())} items, among them "
            f"{preview(items.ids[bad].tolist())}; end it with a SimpleImputer(), or clean its input"
        )
    return vectors
