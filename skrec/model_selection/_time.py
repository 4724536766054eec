"""Splits by time that keep impressions whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator, TimeSeriesSplit

from skrec._common.checks import check_int, check_real
from skrec._common.messages import warn
from skrec._data.rows import as_table
from skrec.model_selection._impressions import read_impression_of_row, read_impression_times


def split_by_time(
    X: Any, *, valid_size: float = 0.1, test_size: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split rows by time into an early training, a later validation and a latest test part.

    Rows of one impression stay in one part, as do impressions with equal times.

    Parameters
    ----------
    X : table of n_samples rows
        Table with the column `time`. Pairs with the same `impression_id` form one impression.
    valid_size, test_size : float, default=0.1
        Share of the impressions in the validation and the test part, in [0, 1). With 0 the part
        is empty. Impressions with equal times go to the earlier part, so the parts can be smaller.

    Returns
    -------
    train, valid, test : ndarray of int64
        Row numbers in ascending order, for use as in ``X.iloc[train]``.

    Raises
    ------
    ValueError
        If X has no column `time`, if a size is outside its range, or if the two sizes leave
        nothing to train on.

    Warns
    -----
    UserWarning
        If the validation or the test part is empty although its size is not 0, because there are
        few impressions or many of them have the same time.

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
    impression_of_row, time = _read_impressions(X)
    n_impressions = len(time)
    n_test, n_valid = round(test_size * n_impressions), round(valid_size * n_impressions)
    # The number of earlier impressions is equal for equal times, so they share a part.
    n_earlier = np.searchsorted(np.sort(time), time)
    part = (n_earlier >= n_impressions - n_test - n_valid).astype(int)
    part += n_earlier >= n_impressions - n_test
    part_of_row = part[impression_of_row]
    train, valid, test = (np.flatnonzero(part_of_row == number) for number in range(3))
    if not len(train):
        raise ValueError(
            f"valid_size={valid_size} and test_size={test_size} leave the training part empty: X "
            f"has {n_impressions} impressions"
        )
    for name, size, rows in (("valid", valid_size, valid), ("test", test_size, test)):
        if size and not len(rows):
            warn(_describe_empty(name, size, time))
    return train, valid, test


def _describe_empty(name: str, size: float, time: np.ndarray) -> str:
    """Return why a part is empty."""
    message = f"the {name} part is empty although {name}_size={size}: "
    if not round(size * len(time)):
        return f"{message}X has only {len(time)} impressions; pass a larger {name}_size"
    _, counts = np.unique(time, return_counts=True)
    return (
        f"{message}impressions with equal times stay together, and up to {counts.max()} of "
        f"{len(time)} impressions share a time; pass other sizes, or more precise times"
    )


class TimeSeriesImpressionSplit(BaseCrossValidator):
    """Cross-validation splitter that tests each fold on impressions later than its training part.

    In contrast to scikit-learn's ``TimeSeriesSplit``, which expects rows in temporal order, it
    sorts rows by their column `time`. The rows of an impression stay together. If many impressions
    have the same time, some of them can be in the training part and others in the test part. No
    part is empty: a ValueError is raised if there are too few impressions for the folds.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    max_train_size : int, default=None
        Maximum number of impressions to train on. The latest ones are used. If None, all earlier
        impressions are used.
    test_size : int, default=None
        Number of impressions in each test part. If None, it is ``n_impressions // (n_splits + 1)``.
    gap : int, default=0
        Number of impressions left out between the training and the test part.

    See Also
    --------
    split_by_time : One split into three parts.
    sklearn.model_selection.TimeSeriesSplit : Splitter that determines the sizes of the folds.

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
    ) -> None:
        self.n_splits = n_splits
        self.max_train_size = max_train_size
        self.test_size = test_size
        self.gap = gap

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the training and test rows of each fold.

        Parameters
        ----------
        X : table of n_samples rows
            Table with the column `time`. Pairs with the same `impression_id` form one impression.
        y : object, default=None
            Ignored.
        groups : object, default=None
            Ignored. Rows are grouped by the column `impression_id` of X, if there is one.

        Yields
        ------
        train, test : ndarray of int64
            Row numbers in ascending order.

        Raises
        ------
        ValueError
            If X has no column `time`, if there are too few impressions for the folds, or if a
            parameter is out of its range.
        """
        check_int("n_splits", self.n_splits, 2)
        check_int("gap", self.gap, 0)
        for name in ("max_train_size", "test_size"):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name))
        impression_of_row, time = _read_impressions(X)
        order = np.argsort(time, kind="stable")  # impressions by time
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        place_of_row = place[impression_of_row]
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
            Number of folds.
        """
        return self.n_splits


def _read_impressions(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the impression of each row (n_rows,) and the time of each impression."""
    table = as_table(X)
    impression_of_row = read_impression_of_row(table)
    time = read_impression_times(table, impression_of_row)
    if time is None:
        raise ValueError("X has no column 'time', so there is no order to split it by")
    return impression_of_row, time
