"""The most clicked items."""

from __future__ import annotations

import datetime
from numbers import Real
from typing import Any

import numpy as np
import pyarrow as pa

from skrec._data.co_clicks import count_clicks
from skrec._data.coded import CodedInteractions
from skrec._data.items import Items
from skrec._data.table import Table
from skrec.baselines._base import Baseline


class Popularity(Baseline):
    r"""Recommend the items with the most clicks, to all users alike.

    Use it to see how much a recommender gains from the histories. It also serves users without a
    history: the other baselines score by popularity for histories that say nothing.

    The score of an item is its number of clicks, divided by that of the most clicked item. Clicks
    are counted in the histories and on the candidates, each click once: a history that several
    rows of a user share is counted once.

    Do not use it if users differ in what they like: all of them have the same list.

    Parameters
    ----------
    window : number or timedelta, default=None
        Length of the time before the latest row whose clicks are counted, in the units of the
        column `time`; a timedelta if `time` holds timestamps or dates. Because clicks in histories
        have no times, only the clicked candidates of the rows in the window are counted, and the
        last click of bare histories. None counts all clicks.
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
    popularity_ : ndarray of float32, shape (n_items,)
        Score of each item.
    n_clicks_ : ndarray of float, shape (n_items,)
        Number of training clicks on each item.
    calibration_ : tuple of (float, float)
        a and b of ``sigmoid(a * score + b)``.

    See Also
    --------
    ItemKNN : Recommends items that the same users clicked.

    Notes
    -----
    .. math::

       s_i = \frac{c_i}{\max_j c_j}

    Here, c_i is the number of clicks on item i.

    **Cost.** One number per item; fitting counts the clicks, and all users share one list.

    Examples
    --------
    >>> from skrec.baselines import Popularity
    >>> from skrec.datasets import make_headlines
    >>> news = make_headlines(n_users=50, n_items=200, n_impressions=300, random_state=0)
    >>> popular = Popularity().fit(news.train, news.items)
    >>> ids, scores = popular.recommend(news.test.head(2), k=3)
    >>> ids.shape
    (2, 3)
    """

    def __init__(
        self,
        window: Any = None,
        *,
        scoring: str = "gauc",
        calibration: str | None = "sigmoid",
        validation_fraction: float = 0.1,
        unknown_items: str = "raise",
        random_state: Any = None,
    ) -> None:
        self.window = window
        self.scoring = scoring
        self.calibration = calibration
        self.validation_fraction = validation_fraction
        self.unknown_items = unknown_items
        self.random_state = random_state

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.window is None:
            return
        length = _microseconds(self.window) if _is_timedelta(self.window) else self.window
        is_number = isinstance(length, Real) and not isinstance(length, bool)
        if not (is_number and 0 < length < float("inf")):
            raise ValueError(
                f"window must be a positive number, a timedelta or None, got {self.window!r}"
            )

    def _fit_items(self, table: Table, items: Items) -> dict[str, Any]:
        if self.window is None:
            return {}
        if "time" not in table:
            raise ValueError("window needs a column 'time' in X, which says when rows happened")
        kind = table.type("time")
        has_dates = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
        if has_dates != _is_timedelta(self.window):
            wanted = "a timedelta, for" if has_dates else "a number, in the units of"
            raise ValueError(
                f"window must be {wanted} the column 'time' of {kind}, got {self.window!r}"
            )
        return {}

    def _count_clicks(
        self, data: CodedInteractions, n_items: int, prepared: dict[str, Any]
    ) -> np.ndarray:
        if self.window is None:
            return count_clicks(data, n_items)
        assert data.time is not None
        # skrec reads timestamps as microseconds
        window = _microseconds(self.window) if _is_timedelta(self.window) else self.window
        recent = data.take(np.flatnonzero(data.time > data.time.max() - window))
        weight = np.ones(recent.n_rows) if recent.weight is None else recent.weight
        if recent.kind == "histories":
            _, last = recent.without_last_click()
            filled = np.diff(recent.history_offsets)[recent.history_of_row] > 0
            return np.bincount(last, weight[filled], minlength=n_items)
        assert recent.clicked is not None
        at = np.flatnonzero(recent.clicked)
        return np.bincount(
            recent.candidate_codes[at], weight[recent.row_of_candidate(at)], minlength=n_items
        )

    def _matcher(self, fitted: dict[str, Any], own: Items, items: Items) -> None:
        return None


def _is_timedelta(value: Any) -> bool:
    return isinstance(value, datetime.timedelta | np.timedelta64)


def _microseconds(value: Any) -> float:
    return float(np.timedelta64(value) / np.timedelta64(1, "us"))
