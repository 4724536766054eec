"""Splits by time, in which impressions stay whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator, TimeSeriesSplit

from skrec._common.checks import check_real
from skrec._data.rows import as_table
from skrec.model_selection._impressions import read_unit_times, read_units


def split_by_time(
    X: Any, *, valid_size: float = 0.1, test_size: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split rows into an early, a later and a latest part.

    Rows of one impression, and impressions of one time, are not separated.

    Parameters
    ----------
    X : table of n_samples rows
        With the column `time`, and pairs with `impression_id` where they have one.
    valid_size, test_size : float, default=0.1
        Share of the impressions in the later parts, in [0, 1); 0 leaves a part empty.

    Returns
    -------
    train, valid, test : ndarray of int64
        Numbers of rows, ascending: ``X.iloc[train]``.

    Raises
    ------
    ValueError
        Where X has no `time`, and where the two shares leave nothing to train on.

    Examples
    --------
    >>> from skrec.model_selection import split_by_time
    >>> X = {"history": [[1]] * 5, "time": [50, 10, 20, 40, 30]}
    >>> split_by_time(X, valid_size=0.2, test_size=0.2)
    (array([1, 2, 4]), array([3]), array([0]))
    """
    for name, size in (("valid_size", valid_size), ("test_size", test_size)):
        check_real(name, size, 0, 1, closed="left")
    if valid_size + test_size >= 1:
        raise ValueError(f"valid_size + test_size must be below 1, got {valid_size} + {test_size}")
    unit_of_row, time = _units(X)
    ordered = np.sort(time)
    n_units = len(time)
    # an impression belongs to the part in which the first of its time is
    first = np.searchsorted(ordered, time)
    n_test, n_valid = round(test_size * n_units), round(valid_size * n_units)
    part = (first >= n_units - n_test - n_valid).astype(int) + (first >= n_units - n_test)
    part_of_row = part[unit_of_row]
    train, valid, test = (np.flatnonzero(part_of_row == number) for number in range(3))
    return train, valid, test


class TimeSeriesImpressionSplit(BaseCrossValidator):
    """Folds in the order of time: each tests on impressions later than those it trains on.

    scikit-learn's ``TimeSeriesSplit`` takes rows as they come. This one sorts them by their column
    `time`, whatever their order, and keeps the rows of an impression together.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    max_train_size : int, default=None
        Most impressions to train on, the latest ones; None takes all before.
    test_size : int, default=None
        Impressions in each test; None takes ``n_impressions // (n_splits + 1)``.
    gap : int, default=0
        Impressions left out between training and test.

    See Also
    --------
    split_by_time : One split into three.
    sklearn.model_selection.TimeSeriesSplit : Draws the sizes of the folds.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from skrec import ContentRecommender, Items
    >>> from skrec.datasets import make_headlines
    >>> from skrec.model_selection import TimeSeriesImpressionSplit
    >>> news = make_headlines(n_users=40, n_items=120, n_impressions=240, random_state=0)
    >>> rec = ContentRecommender("mean_pooling", width=16, max_epochs=1, random_state=0)
    >>> scores = cross_val_score(
    ...     rec,
    ...     news.train,
    ...     params={"items": Items(news.items)},
    ...     cv=TimeSeriesImpressionSplit(n_splits=3),
    ... )
    >>> scores.shape
    (3,)
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        max_train_size: int | None = None,
        test_size: int | None = None,
        gap: int = 0,
    ):
        self.n_splits = n_splits
        self.max_train_size = max_train_size
        self.test_size = test_size
        self.gap = gap

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of each fold.

        Parameters
        ----------
        X : table of n_samples rows
            With the column `time`, and pairs with `impression_id` where they have one.
        y : object, default=None
            Ignored.
        groups : object, default=None
            Ignored: an impression is its `impression_id`, else its row.

        Yields
        ------
        train, test : ndarray of int64
            Numbers of rows, ascending.
        """
        unit_of_row, time = _units(X)
        order = np.argsort(time, kind="stable")  # units by time
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        place_of_row = place[unit_of_row]
        folds = TimeSeriesSplit(
            self.n_splits,
            max_train_size=self.max_train_size,
            test_size=self.test_size,
            gap=self.gap,
        )
        for train, test in folds.split(order):
            yield (
                np.flatnonzero((place_of_row >= train[0]) & (place_of_row <= train[-1])),
                np.flatnonzero((place_of_row >= test[0]) & (place_of_row <= test[-1])),
            )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored.

        Returns
        -------
        int
        """
        return self.n_splits


def _units(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the impression of each row (n,), numbered, and the time of each impression."""
    table = as_table(X)
    unit_of_row = read_units(table)
    time = read_unit_times(table, unit_of_row)
    if time is None:
        raise ValueError("X has no column 'time', so there is no order to split it by")
    return unit_of_row, time
