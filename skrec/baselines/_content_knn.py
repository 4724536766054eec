"""Items with similar content, without training on clicks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.base import clone

from skrec._common.checks import check_real
from skrec._common.unit_vectors import normalized
from skrec._data.items import Items
from skrec._data.table import Table
from skrec._inference.history_ranker import ByVectors, Matcher
from skrec._training.processes import resolve_device
from skrec.baselines._base import Baseline
from skrec.baselines._texts import fit_default, input_of
from skrec.content import ContentOperator, LanguageModel, Resources
from skrec.content._columns.dense import DenseOperator
from skrec.content._columns.operator import chosen_roles
from skrec.content._lm.windows import mean_of_windows

ITEM_BLOCK = 4096  # items whose stored states are pooled at a time


class ContentKNN(Baseline):
    r"""Recommend the items whose content is most similar to the history, without training.

    Items become vectors by TF-IDF, by any other transformer of scikit-learn, or by a frozen
    language model. The vectors are divided by their lengths. A user is the mean of the vectors of
    the history, weighted by their age, and the score of an item is its cosine with the user. New
    items are scored like all others. Clicks are used only for the calibration, and for histories
    without content, which get the scores of :class:`Popularity`.

    Use it to see whether a trained recommender learns more than the content says by itself.

    Do not use it if clicks say more than texts: similar items are not always what users want next.

    Parameters
    ----------
    vectorizer : transformer or content operator, default=None
        Turns items into vectors. A transformer of scikit-learn, or a pipeline, is cloned, fitted
        to the catalogue, and may return sparse vectors. Content operators that need no training
        are ``content.LanguageModel(..., trainable_layers=0)``, whose last hidden states are
        pooled by their mean unless it has another fixed pooling, ``content.Features`` and
        ``content.Vectors``. None uses TF-IDF of words, with logarithmic counts.
    columns : list of str, default=None
        Names of the columns to read; ignored for content operators. If None, a transformer
        receives one text per item, which joins the texts, categories and multi-categories. If a
        list, a transformer receives a pandas DataFrame of these columns; the default joins them to
        one text per item.
    decay : float, default=1.0
        Weight of a click in the history relative to the next click: the latest click has the
        weight 1, the one before `decay`, the one before that ``decay ** 2``. Use less than 1 if
        recent clicks matter most.
    memory : str or Path, default=None
        Folder in which language models store the vectors of items; see
        :class:`~skrec.ContentRecommender`. Ignored by other vectorizers.
    device : str or torch.device, default=None
        Device on which language models run. None selects a CUDA GPU if there is one, and the CPU
        otherwise.
    scoring : str, default="gauc"
        Metric of `score`; see :mod:`skrec.metrics`.
    calibration : {"sigmoid", None}, default="sigmoid"
        How scores become probabilities. "sigmoid" fits ``sigmoid(a * score + b)`` to held-out
        rows. If this is None, or if X holds bare histories, a is 1 and b is 0.
    validation_fraction : float, default=0.1
        Fraction of impressions that is held out for the calibration: the latest ones if X has a
        column `time`, and random ones otherwise.
    unknown_items : {"raise", "ignore"}, default="raise"
        What to do with ids that are missing from the catalogue; see
        :class:`~skrec.ContentRecommender`.
    random_state : int, RandomState or None, default=None
        Seed of the held-out rows.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        0 (not clicked) and 1 (clicked).
    items_ : Items
        The catalogue.
    vectorizer_ : transformer or content operator
        Fitted clone of `vectorizer`.
    columns_ : dict of str to str
        Roles of the columns that a transformer reads.
    popularity_ : ndarray of float32, shape (n_items,)
        Scores of the items for histories that say nothing.
    n_clicks_ : ndarray of float, shape (n_items,)
        Number of training clicks on each item.
    calibration_ : tuple of (float, float)
        a and b of ``sigmoid(a * score + b)``.

    See Also
    --------
    skrec.content.Features : Reads the output of a transformer in a trained recommender.

    Notes
    -----
    .. math::

       u = \sum_l \text{decay}^{L - l} \, v_{h_l}, \quad s_i = \frac{u^\top v_i}{\lVert u \rVert}

    Here, v_i is the vector of item i, of length 1, and h_l is click l of L, oldest first.

    **Cost.** The vectors of the items; a list takes O(N S) time for N items and vectors of S
    numbers, of which TF-IDF reads those that are not 0.

    Examples
    --------
    >>> from skrec.baselines import ContentKNN
    >>> from skrec.datasets import make_headlines
    >>> news = make_headlines(n_users=50, n_items=200, n_impressions=300, random_state=0)
    >>> similar = ContentKNN(columns=["title"], decay=0.8).fit(news.train, news.items)
    >>> ids, scores = similar.recommend(news.test.head(2), k=3)
    >>> ids.shape
    (2, 3)
    """

    vectorizer_: Any
    columns_: dict[str, str]
    _vectors: Any

    def __init__(
        self,
        vectorizer: Any = None,
        *,
        columns: list[str] | None = None,
        decay: float = 1.0,
        memory: Any = None,
        device: Any = None,
        scoring: str = "gauc",
        calibration: str | None = "sigmoid",
        validation_fraction: float = 0.1,
        unknown_items: str = "raise",
        random_state: Any = None,
    ) -> None:
        self.vectorizer = vectorizer
        self.columns = columns
        self.decay = decay
        self.memory = memory
        self.device = device
        self.scoring = scoring
        self.calibration = calibration
        self.validation_fraction = validation_fraction
        self.unknown_items = unknown_items
        self.random_state = random_state

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_real("decay", self.decay, 0, 1)
        given = self.vectorizer
        if isinstance(given, type):
            raise TypeError(
                f"vectorizer must be an instance, write {given.__name__}() with parentheses"
            )
        if isinstance(given, ContentOperator):
            is_frozen = isinstance(given, LanguageModel) and given.trainable_layers == 0
            if not (is_frozen or isinstance(given, DenseOperator)):
                raise ValueError(
                    "vectorizer must be a content operator that needs no training: "
                    "content.LanguageModel(..., trainable_layers=0), content.Features() or "
                    f"content.Vectors(), got {given!r}"
                )
            given.check(1)
            return
        lacking = [name for name in ("fit", "transform", "get_params") if not hasattr(given, name)]
        if given is not None and lacking:
            raise TypeError(
                "vectorizer must be a scikit-learn transformer with fit and transform, a content "
                f"operator or None, got {given!r}, which has no {' and no '.join(lacking)}"
            )

    def _fit_items(self, table: Table, items: Items) -> dict[str, Any]:
        columns: dict[str, str] = {}
        if isinstance(self.vectorizer, ContentOperator):
            vectorizer = clone(self.vectorizer)
            vectorizer.use(self._resources())
            vectorizer.fit(items)
        else:
            if not items.roles:
                raise ValueError(
                    "ContentKNN compares the content of items, and the catalogue has no column "
                    f"besides {items.id!r}; add texts or other content, or use ItemKNN()"
                )
            columns = chosen_roles(items, self.columns)
            given = input_of(items, columns, self._reads_frame)
            if self.vectorizer is None:
                vectorizer = fit_default(given, columns)
            else:
                vectorizer = clone(self.vectorizer).fit(given)
        vectors = self._vectors_of(vectorizer, columns, items)
        return {"vectorizer_": vectorizer, "columns_": columns, "_vectors": vectors}

    @property
    def _reads_frame(self) -> bool:
        """Whether the transformer receives a DataFrame instead of texts."""
        return self.columns is not None and self.vectorizer is not None

    def _resources(self) -> Resources:
        return Resources(self.memory, resolve_device(self.device))

    def _vectors_of(self, vectorizer: Any, columns: dict[str, str], items: Items) -> Any:
        """Return vectors (n_items, D) of length 1, as an array or a csr_array of float32."""
        if isinstance(vectorizer, ContentOperator):
            vectorizer.use(self._resources())
            return normalized(_pooled(vectorizer, items))
        made = vectorizer.transform(input_of(items, columns, self._reads_frame))
        if len(np.shape(made)) != 2 or np.shape(made)[0] != items.n_items:
            raise ValueError(
                f"the vectorizer must give one vector per item, of shape ({items.n_items}, "
                f"n_numbers), got shape {np.shape(made)}"
            )
        if sparse.issparse(made):
            vectors = sparse.csr_array(made, dtype=np.float32)
            numbers = vectors.data
        else:
            vectors = numbers = np.asarray(made, dtype=np.float32)
        if not np.isfinite(numbers).all():
            raise ValueError("the vectorizer gave NaN or infinite numbers")
        return normalized(vectors)

    def _own_vectors(self, fitted: dict[str, Any], own: Items) -> Any:
        """Return the vectors of the catalogue; pickles and saved folders do not contain them."""
        if "_vectors" in fitted:
            return fitted["_vectors"]
        with self._writing():
            if self.__dict__.get("items_") is not own or not hasattr(self, "_vectors"):
                found = self._vectors_of(fitted["vectorizer_"], fitted["columns_"], own)
                if self.__dict__.get("items_") is not own:
                    return found  # another thread has fitted another model
                self._vectors = found
            return self._vectors

    def _matcher(self, fitted: dict[str, Any], own: Items, items: Items) -> Matcher:
        vectors = self._own_vectors(fitted, own)
        if items is not own:
            same = items.hashes()[: own.n_items] == own.hashes()
            new = np.arange(own.n_items, items.n_items)
            changed = np.concatenate([np.flatnonzero(~same), new])
            if len(changed):
                part = items.take(changed)
                with self._writing():
                    found = self._vectors_of(fitted["vectorizer_"], fitted["columns_"], part)
                place = np.arange(items.n_items)
                place[changed] = own.n_items + np.arange(len(changed))
                if sparse.issparse(vectors):
                    vectors = sparse.vstack([vectors, found], format="csr")[place]
                else:
                    vectors = np.concatenate([vectors, found])[place]
        return ByVectors(vectors)

    def _check_fitted(self) -> None:
        if not isinstance(self.vectorizer_, LanguageModel):  # it is loaded when it is needed
            try:
                self._vectors_of(self.vectorizer_, self.columns_, self.items_.take([0]))
            except Exception as error:  # any part of the vectorizer may be of a wrong type
                raise ValueError(f"vectorizer_ can't read the catalogue: {error!r}") from error

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_vectors", None)
        return state


def _pooled(operator: ContentOperator, items: Items) -> np.ndarray:
    """Return the vectors (n_items, D) of a content operator that needs no training."""
    packed = operator.prepare(items)
    parts = []
    for codes in torch.arange(items.n_items).split(ITEM_BLOCK):
        columns = packed.take(codes)
        if isinstance(operator, LanguageModel):
            vectors = mean_of_windows(columns)[:, : operator.truncate_dim]
        else:
            [(vectors, _)] = columns.values()
        parts.append(vectors.float().cpu())
    return torch.cat(parts).numpy()
