"""Items that the same users clicked, by their cosine."""

from __future__ import annotations

from typing import Any

from skrec._common.checks import check_int, check_real
from skrec._data.co_clicks import click_matrix, cosine
from skrec._data.coded import CodedInteractions
from skrec._data.items import Items
from skrec._inference.history_ranker import BySimilarity, Matcher, extended
from skrec.baselines._base import Baseline


class ItemKNN(Baseline):
    r"""Recommend the items whose users also clicked the items of the history [1]_.

    The similarity of two items is ``c_ij / (sqrt(c_i * c_j) + shrinkage)``, where c_i and c_j are
    the numbers of users who clicked them, and c_ij is the number of users who clicked both. The
    score of an item is the sum of its similarities to the items of the history, weighted by their
    age. It is fitted in seconds and hard to beat where items have many clicks. Use it as the first
    model of co-clicks.

    Do not use it if many items are new: their score is 0.

    A history that is empty, or whose items have no similar items, gets the scores of
    :class:`Popularity`.

    Parameters
    ----------
    k : int, default=100
        Number of similar items that are kept per item.
    shrinkage : float, default=10.0
        Lowers the similarities of items with few clicks, which are often due to chance.
    decay : float, default=1.0
        Weight of a click in the history relative to the next click: the latest click has the
        weight 1, the one before `decay`, the one before that ``decay ** 2``. Use less than 1 if
        recent clicks matter most.
    scoring : str, default="gauc"
        Metric of `score`; see :mod:`skrec.metrics`.
    calibration : {"sigmoid", None}, default="sigmoid"
        How scores become probabilities. "sigmoid" fits ``sigmoid(a * score + b)`` to held-out rows
        that a second model was not fitted to. If this is None, or if X holds bare histories, a is
        1 and b is 0.
    validation_fraction : float, default=0.1
        Fraction of impressions that is held out for the calibration: the latest ones if X has a
        column `time`, and random ones otherwise. The final model is fitted to all rows.
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
    similarities_ : csr_array of float32, shape (n_items, n_items)
        Similarity of each item (row) to its `k` most similar items.
    popularity_ : ndarray of float32, shape (n_items,)
        Scores of the items for histories that say nothing.
    n_clicks_ : ndarray of float, shape (n_items,)
        Number of training clicks on each item.
    calibration_ : tuple of (float, float)
        a and b of ``sigmoid(a * score + b)``.

    See Also
    --------
    EASE : Learns the weights of pairs of items together.

    Notes
    -----
    .. math::

       w_{i j} = \frac{c_{i j}}{\sqrt{c_i c_j} + \text{shrinkage}}, \quad s_i = \sum_l
       \text{decay}^{L - l} \, w_{h_l i}

    Here, h_l is click l of L, oldest first.

    **Cost.** `k` numbers per item; fitting takes time in proportion to the pairs of clicks of each
    user, and a list O(L k) time for L clicks.

    References
    ----------
    .. [1] Sarwar et al., "Item-Based Collaborative Filtering Recommendation Algorithms",
       WWW 2001.

    Examples
    --------
    >>> from skrec.baselines import ItemKNN
    >>> from skrec.datasets import make_headlines
    >>> news = make_headlines(n_users=50, n_items=200, n_impressions=300, random_state=0)
    >>> knn = ItemKNN(k=50, decay=0.8).fit(news.train, news.items)
    >>> ids, scores = knn.recommend(news.test.head(2), k=3)
    >>> ids.shape
    (2, 3)
    """

    similarities_: Any

    def __init__(
        self,
        k: int = 100,
        *,
        shrinkage: float = 10.0,
        decay: float = 1.0,
        scoring: str = "gauc",
        calibration: str | None = "sigmoid",
        validation_fraction: float = 0.1,
        unknown_items: str = "raise",
        random_state: Any = None,
    ) -> None:
        self.k = k
        self.shrinkage = shrinkage
        self.decay = decay
        self.scoring = scoring
        self.calibration = calibration
        self.validation_fraction = validation_fraction
        self.unknown_items = unknown_items
        self.random_state = random_state

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_int("k", self.k)
        check_real("shrinkage", self.shrinkage)
        check_real("decay", self.decay, 0, 1)

    def _fit_clicks(self, data: CodedInteractions, n_items: int) -> dict[str, Any]:
        clicks = click_matrix(data, n_items)
        return {"similarities_": cosine(clicks, self.shrinkage, self.k)}

    def _matcher(self, fitted: dict[str, Any], own: Items, items: Items) -> Matcher:
        return BySimilarity(extended(fitted["similarities_"], items.n_items))
