"""EASE: weights of pairs of items in closed form."""

from __future__ import annotations

from typing import Any

from skrec._common.checks import check_int, check_real
from skrec._data.co_clicks import click_matrix, ease
from skrec._data.coded import CodedInteractions
from skrec._data.items import Items
from skrec._inference.history_ranker import BySimilarity, Matcher, extended
from skrec.baselines._base import Baseline


class EASE(Baseline):
    r"""Recommend by a linear model from the clicked items to all items, in closed form [1]_.

    The weights of all pairs of items are learned together, so that a click is not credited to an
    item that another click already explains. It is often the best model of co-clicks. Use it to
    see how far clicks go without content.

    Do not use it if the catalogue is large: it needs a matrix of items by items. With m items,
    fitting takes ``4 * m ** 2`` bytes of memory, 1.6 GB for 20,000 items, and time of the order of
    ``m ** 3``, a few minutes on one core. `max_items` and `min_clicks` limit m, and
    :class:`ItemKNN` needs less. Items that are left out, and new items, have the score 0.

    The score of an item is the sum of the weights from the items of the history, weighted by their
    age. A history that is empty, or whose items have no weights, gets the scores of
    :class:`Popularity`.

    Parameters
    ----------
    regularization : float, default=250.0
        L2 penalty of the weights. Use more if items have many clicks.
    min_clicks : int, default=1
        Minimum number of clicks of an item that takes part.
    max_items : int or None, default=20_000
        Maximum number of items that take part: those with the most clicks. None means all.
    k : int or None, default=500
        Number of weights with the largest absolute values that are kept per item, which limits
        the memory of the fitted model. None keeps all.
    decay : float, default=1.0
        Weight of a click in the history relative to the next click: the latest click has the
        weight 1, the one before `decay`, the one before that ``decay ** 2``. Use less than 1 if
        recent clicks matter most.
    scoring : str, default="gauc"
        Metric of `score`; see :mod:`skrec.metrics`.
    calibration : {"sigmoid", None}, default="sigmoid"
        How scores become probabilities. "sigmoid" fits ``sigmoid(a * score + b)`` to held-out rows
        that a second model was not fitted to, which doubles the time. If this is None, or if X
        holds bare histories, a is 1 and b is 0.
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
        Weight of a click on an item (row) in the score of another item (column).
    popularity_ : ndarray of float32, shape (n_items,)
        Scores of the items for histories that say nothing.
    n_clicks_ : ndarray of float, shape (n_items,)
        Number of training clicks on each item.
    calibration_ : tuple of (float, float)
        a and b of ``sigmoid(a * score + b)``.

    See Also
    --------
    ItemKNN : Needs less memory and time.

    Notes
    -----
    .. math::

       P = (X^\top X + \text{regularization} \, I)^{-1}, \quad w_{i j} = - \frac{P_{i j}}{P_{j j}},
       \quad w_{j j} = 0, \quad s_i = \sum_l \text{decay}^{L - l} \, w_{h_l i}

    Here, X has a row per user and a column per item, and h_l is click l of L, oldest first.

    **Cost.** `k` numbers per item; fitting takes O(m³) time for m items, and a list O(L k) time
    for L clicks.

    References
    ----------
    .. [1] Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", arXiv 1905.03375.

    Examples
    --------
    >>> from skrec.baselines import EASE
    >>> from skrec.datasets import make_headlines
    >>> news = make_headlines(n_users=50, n_items=200, n_impressions=300, random_state=0)
    >>> model = EASE(regularization=50.0).fit(news.train, news.items)
    >>> ids, scores = model.recommend(news.test.head(2), k=3)
    >>> ids.shape
    (2, 3)
    """

    similarities_: Any

    def __init__(
        self,
        regularization: float = 250.0,
        *,
        min_clicks: int = 1,
        max_items: int | None = 20_000,
        k: int | None = 500,
        decay: float = 1.0,
        scoring: str = "gauc",
        calibration: str | None = "sigmoid",
        validation_fraction: float = 0.1,
        unknown_items: str = "raise",
        random_state: Any = None,
    ) -> None:
        self.regularization = regularization
        self.min_clicks = min_clicks
        self.max_items = max_items
        self.k = k
        self.decay = decay
        self.scoring = scoring
        self.calibration = calibration
        self.validation_fraction = validation_fraction
        self.unknown_items = unknown_items
        self.random_state = random_state

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_real("regularization", self.regularization, closed="none")
        check_int("min_clicks", self.min_clicks)
        for name in ("max_items", "k"):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name))
        check_real("decay", self.decay, 0, 1)

    def _fit_clicks(self, data: CodedInteractions, n_items: int) -> dict[str, Any]:
        weights = ease(
            click_matrix(data, n_items),
            self.regularization,
            min_clicks=self.min_clicks,
            max_items=self.max_items,
            k=self.k,
        )
        return {"similarities_": weights}

    def _matcher(self, fitted: dict[str, Any], own: Items, items: Items) -> Matcher:
        return BySimilarity(extended(fitted["similarities_"], items.n_items))
