"""Splits by item: tested items appear in no training row, as a click or as a candidate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import Bunch

from skrec._common.checks import check_choice, check_int, check_real
from skrec._common.messages import warn
from skrec._common.random import as_generator
from skrec.model_selection._appearances import ItemAppearances, read_item_appearances

ADVICE = (
    "make fewer items cold with test_size, or take the cold ones out of lists with without_items"
)


def split_cold_items(
    X: Any,
    y: Any = None,
    *,
    valid_size: float = 0.05,
    test_size: float = 0.05,
    choice: str = "random",
    random_state: Any = 0,
) -> Bunch:
    """Choose cold items, and split rows into those without cold items and those that click them.

    Use it to measure how well a model recommends items that it has never seen. A row is in the
    training part only if no cold item is in its history or among its candidates, because a model
    also learns from past clicks and negatives. Rows contain many items, so even a few cold items
    appear in many rows. Rows that fit none of the parts are left out and counted.
    :func:`without_items` makes them usable for training.

    Parameters
    ----------
    X : table or list of n_samples rows
        Impressions or pairs with clicks, or bare histories. Pairs with the same `impression_id`
        stay together.
    y : array-like of shape (n_samples,), default=None
        Labels 0/1 of pairs, if X has no column `clicked`.
    valid_size, test_size : float, default=0.05, 0.05
        Share of the clicked items to make cold for validation and for testing, in [0, 1). At least
        one item is chosen, but with 0 the part is empty. Items without clicks are never chosen,
        because they cannot be tested.
    choice : {"random", "latest"}, default="random"
        How cold items are chosen. With "latest", they are the items with the latest first
        appearance in X, according to the column `time`. The very latest are test items, those
        before them are validation items. Among items that first appear at the same time, the one
        with the higher id counts as later.
    random_state : int, RandomState instance, Generator or None, default=0
        Seed of the random choice. Ignored if `choice` is "latest".

    Returns
    -------
    split : :class:`~sklearn.utils.Bunch`
        Dictionary with the following fields.

        train : ndarray of int64
            Rows in which no cold item appears. All rows are given as numbers in ascending order,
            for use as in ``X.iloc[train]``.
        valid : ndarray of int64
            Rows with clicks, all of them on `valid_items`, in which no item of `test_items`
            appears.
        test : ndarray of int64
            Rows with clicks, all of them on `test_items`. The history and the other candidates
            may contain any items. In both parts, the tested item of a pair without
            `impression_id` is its candidate, clicked or not. The tested item of a bare history is
            its last click.
        valid_items, test_items : ndarray of shape (n,)
            Ids of the cold items in ascending order.
        n_left_out : int
            Number of rows in none of the parts.

    Raises
    ------
    ValueError
        If impressions come without clicks, if fewer items were clicked than must be cold, if
        `choice` is "latest" and X has no column `time`, or if a parameter is outside its range.

    Warns
    -----
    UserWarning
        If no row is left to train on.

    See Also
    --------
    without_items : Remove cold items from rows, to use the rows for training.
    ColdItemSplit : Cross-validation splitter for cold items.

    Notes
    -----
    Train on a catalogue without the cold items, and pass the cold items to ``evaluate`` with
    ``items=``. Then cold items are not drawn as negatives, and vocabularies and scalers are fitted
    without them.

    Examples
    --------
    >>> from skrec.model_selection import split_cold_items
    >>> X = {
    ...     "history": [[1], [2], [1], [4]],
    ...     "candidates": [[2, 3], [1, 3], [4, 3], [1, 3]],
    ...     "clicked": [[1, 0], [1, 0], [1, 0], [1, 0]],
    ... }
    >>> split = split_cold_items(X, valid_size=0, test_size=0.4, random_state=2)
    >>> split.test_items, split.test, split.train, split.n_left_out
    (array([4]), array([2]), array([0, 1]), 1)
    """
    for name, size in (("valid_size", valid_size), ("test_size", test_size)):
        check_real(name, size, 0, 1, closed="left")
    check_choice("choice", choice, ("random", "latest"))
    seen = read_item_appearances(X, y)
    n_valid, n_test = (_n_cold(size, len(seen.clicked)) for size in (valid_size, test_size))
    if n_valid + n_test > len(seen.clicked):
        raise ValueError(
            f"valid_size={valid_size} and test_size={test_size} make {n_valid + n_test} items "
            f"cold, but only {len(seen.clicked)} were clicked"
        )
    if choice == "latest":
        ordered = seen.clicked_by_first_time()
    else:
        ordered = as_generator(random_state).permutation(seen.clicked)
    start = len(ordered) - n_test
    test_items, valid_items = ordered[start:], ordered[start - n_valid : start]
    with_test_items = seen.with_any(test_items)
    train = seen.rows_of(~with_test_items & ~seen.with_any(valid_items))
    valid = seen.rows_of(seen.with_targets_only_in(valid_items) & ~with_test_items)
    test = seen.rows_of(seen.with_targets_only_in(test_items))
    if not len(train):
        warn(
            f"no row of {seen.n_rows} is free of the {n_valid + n_test} cold items; {ADVICE}",
        )
    return Bunch(
        train=train,
        valid=valid,
        test=test,
        valid_items=seen.ids_of(valid_items),
        test_items=seen.ids_of(test_items),
        n_left_out=seen.n_rows - len(train) - len(valid) - len(test),
    )


def _n_cold(size: float, n_items: int) -> int:
    """Return the number of cold items for a share, which is at least 1 unless the share is 0."""
    return max(1, round(size * n_items)) if size else 0


class ColdItemSplit(BaseCrossValidator):
    """Cross-validation splitter that tests clicks on items that appear in no training row.

    Each fold has other cold items. A row is in the training part only if no cold item is in its
    history or among its candidates. It is in the test part only if all its clicks are on cold
    items. All other rows are left out.

    The more items a row contains, the less often it is free of cold items. With 50 items per row
    in histories and candidates, one row in 13 is free if 5 % of the items are cold, and
    practically none if 20 % are. In this case choose a small `test_size`, or see
    :func:`without_items`.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    test_size : float, default=None
        Share of the clicked items that are cold in each fold, at most ``1 / n_splits``. If None,
        it is ``1 / n_splits``, and each item is cold in one fold.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed that determines which items are cold in the same fold.

    See Also
    --------
    split_cold_items : One split into three parts that also returns the cold items, which allows
        training on a catalogue without them.

    Notes
    -----
    In a search, all folds share one catalogue, which contains the cold items. They have no clicks
    in the training part, but may be drawn as negatives for pairs, for bare histories, and for
    impressions with fewer than `n_negatives` negatives. Operators that learn per id, such as
    :class:`skrec.content.ID`, then rank cold items too low.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from skrec import ContentRecommender, Items
    >>> from skrec.datasets import make_headlines
    >>> from skrec.model_selection import ColdItemSplit
    >>> news = make_headlines(n_users=60, n_items=400, n_impressions=300, random_state=0)
    >>> rec = ContentRecommender("mean_pooling", width=16, max_epochs=1, random_state=0)
    >>> scores = cross_val_score(
    ...     rec,
    ...     news.train,
    ...     params={"items": Items(news.items)},
    ...     cv=ColdItemSplit(n_splits=3, test_size=0.03, random_state=0),
    ... )
    >>> scores.shape
    (3,)
    """

    def __init__(
        self, n_splits: int = 5, *, test_size: float | None = None, random_state: Any = None
    ) -> None:
        self.n_splits = n_splits
        self.test_size = test_size
        self.random_state = random_state

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the training and test rows of each fold.

        Parameters
        ----------
        X : table or list of n_samples rows
            Impressions or pairs with clicks, or bare histories.
        y : array-like of shape (n_samples,), default=None
            Labels 0/1 of pairs, if X has no column `clicked`.
        groups : object, default=None
            Ignored. Rows are grouped by the column `impression_id` of X, if there is one.

        Yields
        ------
        train, test : ndarray of int64
            Row numbers in ascending order.

        Raises
        ------
        ValueError
            If a fold has no training rows or no test rows, or if there are fewer clicked items
            than folds.

        Warns
        -----
        UserWarning
            If a fold leaves out more than half of the rows. Only the first such fold warns.
        """
        check_int("n_splits", self.n_splits, 2)
        if self.test_size is not None:
            check_real("test_size", self.test_size, 0, 1 / self.n_splits)
        seen = read_item_appearances(X, y)
        has_warned = False
        for number, cold in enumerate(self._cold_items_of_folds(seen)):
            train = seen.rows_of(~seen.with_any(cold))
            test = seen.rows_of(seen.with_targets_only_in(cold))
            n_left_out = seen.n_rows - len(train) - len(test)
            found = (
                f"fold {number} makes {len(cold)} items cold and has {len(train)} rows to train on "
                f"and {len(test)} to test on, of {seen.n_rows}"
            )
            if not len(test):
                raise ValueError(f"{found}: take a larger test_size")
            if not len(train):
                raise ValueError(f"{found}; {ADVICE}")
            if n_left_out > seen.n_rows / 2 and not has_warned:
                has_warned = True
                warn(f"{found}; the others name a cold item: {ADVICE}")
            yield train, test

    def _cold_items_of_folds(self, seen: ItemAppearances) -> list[np.ndarray]:
        """Return the cold items of each fold."""
        n_items = len(seen.clicked)
        if n_items < self.n_splits:
            raise ValueError(
                f"n_splits={self.n_splits} needs as many items that were clicked; X has {n_items}"
            )
        shuffled = as_generator(self.random_state).permutation(seen.clicked)
        if self.test_size is None:
            return np.array_split(shuffled, self.n_splits)
        size = min(_n_cold(self.test_size, n_items), n_items // self.n_splits)
        return np.array_split(shuffled[: size * self.n_splits], self.n_splits)

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
