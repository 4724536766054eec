"""Features computed by a scikit-learn transformer."""

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
from skrec.content._columns.dense import DenseOperator, describe_roles
from skrec.content._columns.operator import chosen_roles
from skrec.content._scripts import UNSPACED, marks

N_COMPONENTS = 128  # maximum number of components of the default SVD
DENSE_CELLS = 10**8  # maximum number of cells of a dense copy of a sparse matrix: 400 MB
WORD_ROLES = ("text", "category", "multi-category")  # roles of columns that consist of words


class Features(DenseOperator):
    r"""Features from a scikit-learn transformer or pipeline, followed by a linear layer.

    The transformer is cloned and fitted once per `fit`, on the training catalogue. The linear layer
    is trained together with the other operators. Use it for TF-IDF features or any other features
    that scikit-learn or skrub can compute.

    All features are divided by one number, so that their mean square over the training catalogue
    is 1. Otherwise, the small features of TF-IDF and SVD would be learned slowly.

    The parameters of the transformer can be searched, for example as
    ``content__transformer__tfidfvectorizer__min_df``.

    Do not use it if the meaning of the features must change with the clicks: only the linear layer
    is trained.

    Parameters
    ----------
    transformer : scikit-learn transformer, default=None
        Transformer that maps a list of texts, one per item, or a data frame (see `columns`) to
        one vector per item. Sparse output of up to 1e8 cells is converted to a dense array. None
        uses TF-IDF of words and a truncated SVD with at most 128 components.
    columns : list of str, default=None
        Names of the columns to read. If None, the transformer receives one text per item, which
        joins the texts, categories and multi-categories in the order of the columns by ``". "``.
        The values of a multi-category are joined by ``", "``, and empty values are omitted. If a
        list, the transformer receives a pandas DataFrame of these columns, as expected by
        ``ColumnTransformer`` or ``skrub.TableVectorizer``. Its categories are strings, and its
        numbers are not standardized. If `transformer` is None, the columns in the list are joined
        to one text per item.
    hidden : sequence of int, default=()
        Sizes of hidden layers before the linear layer.
    dropout : float, default=0.0
        Dropout rate after each hidden layer during training. Ignored without hidden layers.

    Attributes
    ----------
    transformer_ : transformer
        Fitted clone of `transformer`.
    schema_ : int
        Number of features per item.
    scale_ : float
        Root mean square of all features in the training catalogue. Features are divided by it.
    columns_ : dict of str to str
        Roles of the columns that are read.

    See Also
    --------
    Vectors : Reads vectors that are already in the catalogue.
    MeanPooling : Learns word embeddings from the clicks.

    Notes
    -----
    .. math::

       v = W \, \operatorname{transformer}(\text{columns}) + b

    **Cost.** D weights per feature; the transformer runs once per item, and a step takes O(F D)
    time per item with F features.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skrec import ContentRecommender, content
    >>> words = make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0))
    >>> rec = ContentRecommender(content=content.Features(words))
    >>> rec = rec.set_params(content__transformer__tfidfvectorizer__lowercase=False)
    >>> items = {"item_id": [0, 1, 2], "title": ["red fox", "blue sea", "red sun"]}
    >>> rec = rec.set_params(width=8, max_epochs=1, early_stopping=False, random_state=0)
    >>> rec = rec.fit([[0, 1, 2], [2, 0]], items)
    >>> rec.item_vectors().shape
    (3, 8)
    """

    is_fast = True

    def __init__(
        self,
        transformer: Any = None,
        *,
        columns: list[str] | None = None,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
    ) -> None:
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
            If there is no text to join, or if the transformer does not return one finite vector per
            item.
        """
        self.columns_ = chosen_roles(items, self.columns)
        self._as_frame = self.columns is not None and self.transformer is not None
        given = self._input(items)
        if not self._as_frame:
            self._check_words(given)
        if self.transformer is None:
            self.transformer_, made = _fit_default(given)
        else:
            self.transformer_ = clone(self.transformer)
            with np.errstate(all="ignore"):  # numbers that are not finite are reported below
                if hasattr(self.transformer_, "fit_transform"):
                    made = self.transformer_.fit_transform(given)
                else:
                    made = self.transformer_.fit(given).transform(given)
        self._fit_scale(_as_vectors(made, items, self._as_frame))
        return self

    def _input(self, items: Items) -> Any:
        """Return the input of the transformer: a DataFrame or a list of texts."""
        if self._as_frame:
            return pa.table({name: items.column(name) for name in self.columns_}).to_pandas()
        return joined_texts(items, self.columns_)

    def _check_words(self, texts: list[str]) -> None:
        """Raise a ValueError if all texts are empty."""
        if not any(texts):
            raise ValueError(
                f"content.Features found no words to join in {describe_roles(self.columns_)}; give "
                "columns=[...] and a transformer that reads a DataFrame of them, or take "
                "content.Vectors() or content.MeanPooling()"
            )

    def _read(self, items: Items) -> np.ndarray:
        with np.errstate(all="ignore"):
            made = self.transformer_.transform(self._input(items))
        vectors = _as_vectors(made, items, self._as_frame)
        if vectors.shape[1] != self.schema_:
            raise ValueError(
                f"the transformer gave {vectors.shape[1]} numbers an item, but {self.schema_} for "
                "the training catalogue"
            )
        return vectors


def _fit_default(texts: list[str]) -> tuple[Any, Any]:
    """Fit TF-IDF and an SVD with at most as many components as there are words and items."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    # keep words of one letter, as in "vitamin C"; in some languages whole titles consist of them
    tfidf = TfidfVectorizer(token_pattern=word_pattern(), sublinear_tf=True)
    counts = tfidf.fit_transform(texts)
    if counts.shape[1] == 1:  # an SVD needs at least two words
        return make_pipeline(tfidf), counts
    svd = TruncatedSVD(min(N_COMPONENTS, *counts.shape), random_state=0)
    with np.errstate(invalid="ignore"):  # the explained variance of equal texts is 0 / 0
        made = svd.fit_transform(counts)
    return make_pipeline(tfidf, svd), made


def word_pattern() -> str:
    """Return the pattern of words, with their combining marks.

    In scripts without spaces, each letter with its marks is a word.
    """
    return rf"[{UNSPACED}][{marks()}]*|(?:(?![{UNSPACED}])[\w{marks()}])+"


def as_texts(column: pa.Array, role: str, separator: str) -> pa.Array:
    """Return a column of words as texts without nulls. The values of a list are joined."""
    if role == "multi-category":
        values = pc.fill_null(column.values, "")
        lists = pa.LargeListArray.from_arrays(column.offsets, values)
        column = pc.binary_join(lists, pa.scalar(separator, pa.large_string()))
    return pc.fill_null(column, "")


def joined_texts(items: Items, columns: dict[str, str]) -> list[str]:
    """Return one text per item, which joins its columns of words by ". "."""
    joined = pa.array([""] * items.n_items, pa.large_string())
    for name, role in columns.items():
        if role in WORD_ROLES:
            joined = _join(joined, as_texts(items.column(name), role, ", "))
    return joined.to_pylist()


def _join(first: pa.Array, second: pa.Array) -> pa.Array:
    """Join texts by ". ". An empty text is left out."""
    both = pc.binary_join_element_wise(first, second, pa.scalar(". ", pa.large_string()))
    both = pc.if_else(pc.equal(first, ""), second, both)
    return pc.if_else(pc.equal(second, ""), first, both)


def _as_vectors(made: Any, items: Items, as_frame: bool) -> np.ndarray:
    """Return a transformer's output as an array (n_items, n_features), or raise a ValueError."""
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
    with np.errstate(over="ignore"):
        vectors = np.asarray(made, dtype=np.float32)
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise ValueError(
            f"the transformer gave NaN or infinite numbers for {int(bad.sum())} items, among them "
            f"{preview(items.ids[bad].tolist())}; end it with a SimpleImputer(), or clean its input"
        )
    return vectors
