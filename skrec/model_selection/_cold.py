"""Splits by item: what is tested was in no row of training, be it clicked, shown or remembered."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import Bunch

from skrec._common.checks import check_choice, check_int, check_real
from skrec._common.random import as_generator
from skrec.model_selection._appearances import Appearances, read_appearances

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
    """Choose cold items, and split rows into those without them and those that click them.

    It asks what a model makes of items that it never met. A row trains only if no cold item is in
    its history or among its candidates, for what a model learns as a negative or as a past click
    is known to it. Rows are long, so that even a few cold items are in many: those that neither
    train nor test are left out, and counted. :func:`without_items` keeps them for training.

    Parameters
    ----------
    X : table or list of n_samples rows
        Impressions or pairs with clicks, or bare histories. Pairs with `impression_id` stay
        together.
    y : array-like of shape (n_samples,), default=None
        Labels 0/1 of pairs, where X has no column `clicked`.
    valid_size, test_size : float, default=0.05, 0.05
        Share of the items clicked at least once that are cold for a part, in [0, 1), and at least
        one item; 0 leaves the part empty. Items that nobody clicked would test nothing and are
        never cold.
    choice : {"random", "latest"}, default="random"
        Which items are cold. "latest" takes those that appear last in rows of X, by `time`: the
        very last test, those before validate. Of items that appear together, the one with the
        higher id is later. Needs the column `time`.
    random_state : int, RandomState instance, Generator or None, default=0
        Seed of the random choice. Ignored if `choice` is "latest".

    Returns
    -------
    split : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        train : ndarray of int64
            Rows in which no cold item occurs; numbers of rows, ascending: ``X.iloc[train]``.
        valid : ndarray of int64
            Rows whose clicked candidates are all of `valid_items`, and which name no item of
            `test_items`.
        test : ndarray of int64
            Rows whose clicked candidates are all of `test_items`. What else was shown, and the
            history, may be warm or cold. A pair without `impression_id` tests its candidate,
            clicked or not; a bare history its last click.
        valid_items, test_items : ndarray of shape (n,)
            Ids of the cold items, ascending.
        n_left_out : int
            Rows in none of the parts.

    Raises
    ------
    ValueError
        Where nothing says what was clicked, where fewer items were clicked than are to be cold,
        where `time` is missing, and for a parameter out of its range.

    Warns
    -----
    UserWarning
        Where no row is left to train on.

    See Also
    --------
    without_items : Take the cold items out of rows, so that they can train.
    ColdItemSplit : Folds of cold items, for `cv=`.

    Notes
    -----
    Train on a catalogue without the cold items, and give them to ``evaluate`` with ``items=``:
    then they are no sampled negatives, and no vocabulary or scaler knows them.

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
    seen = read_appearances(X, y)
    n_valid, n_test = (_count(size, len(seen.clicked)) for size in (valid_size, test_size))
    if n_valid + n_test > len(seen.clicked):
        raise ValueError(
            f"valid_size={valid_size} and test_size={test_size} make {n_valid + n_test} items "
            f"cold, but only {len(seen.clicked)} were clicked"
        )
    if choice == "latest":
        ordered = seen.by_first_time()
    else:
        ordered = as_generator(random_state).permutation(seen.clicked)
    start = len(ordered) - n_test
    test_items, valid_items = ordered[start:], ordered[start - n_valid : start]
    names_test = seen.names_any(test_items)
    train = seen.rows(~names_test & ~seen.names_any(valid_items))
    valid = seen.rows(seen.tests_only(valid_items) & ~names_test)
    test = seen.rows(seen.tests_only(test_items))
    n_rows = len(seen.unit_of_row)
    if not len(train):
        warnings.warn(
            f"no row of {n_rows} is free of the {n_valid + n_test} cold items; {ADVICE}",
            UserWarning,
            stacklevel=2,
        )
    return Bunch(
        train=train,
        valid=valid,
        test=test,
        valid_items=seen.ids_of(valid_items),
        test_items=seen.ids_of(test_items),
        n_left_out=n_rows - len(train) - len(valid) - len(test),
    )


def _count(size: float, n_items: int) -> int:
    """Return a share of the items, and at least one unless it is 0."""
    return max(1, round(size * n_items)) if size else 0


class ColdItemSplit(BaseCrossValidator):
    """Folds of items: each tests on clicks on items that no row of its training names.

    In each fold other items are cold. A row trains only if no cold item is in its history or among
    its candidates, and tests only if all that it clicks is cold; the others are left out. The
    longer the rows, the fewer are free of the cold items: with histories and candidates of 50 items
    in all, one in 13 where a twentieth of the items are cold, and none to speak of where a fifth
    are. Make `test_size` small then, or see :func:`without_items`.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    test_size : float, default=None
        Share of the items clicked at least once that are cold in each fold, at most
        ``1 / n_splits``. None takes ``1 / n_splits``, so that each item is cold once.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of which items are cold together.

    See Also
    --------
    split_cold_items : One split into three, with the cold items, for training without them in the
        catalogue.

    Notes
    -----
    A search hands one catalogue to all folds, with the cold items in it. They have no clicks there,
    but training may draw them as negatives: where impressions have fewer than `n_negatives` of
    their own, and for pairs and bare histories. What learns by id, such as
    :class:`skrec.content.ID`, then ranks them too low.

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
    ):
        self.n_splits = n_splits
        self.test_size = test_size
        self.random_state = random_state

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of each fold.

        Parameters
        ----------
        X : table or list of n_samples rows
            Impressions or pairs with clicks, or bare histories.
        y : array-like of shape (n_samples,), default=None
            Labels 0/1 of pairs, where X has no column `clicked`.
        groups : object, default=None
            Ignored: an impression is its `impression_id`, else its row.

        Yields
        ------
        train, test : ndarray of int64
            Numbers of rows, ascending.

        Raises
        ------
        ValueError
            Where a fold has no row to train on or to test on, and where fewer items were clicked
            than there are folds.

        Warns
        -----
        UserWarning
            Where a fold leaves out more than half of the rows; of the first such fold.
        """
        check_int("n_splits", self.n_splits, 2)
        if self.test_size is not None:
            check_real("test_size", self.test_size, 0, 1 / self.n_splits)
        seen = read_appearances(X, y)
        has_warned = False
        for number, cold in enumerate(self._folds(seen)):
            train = seen.rows(~seen.names_any(cold))
            test = seen.rows(seen.tests_only(cold))
            n_rows = len(seen.unit_of_row)
            n_left_out = n_rows - len(train) - len(test)
            found = (
                f"fold {number} makes {len(cold)} items cold and has {len(train)} rows to train on "
                f"and {len(test)} to test on, of {n_rows}"
            )
            if not len(test):
                raise ValueError(f"{found}: take a larger test_size")
            if not len(train):
                raise ValueError(f"{found}; {ADVICE}")
            if n_left_out > n_rows / 2 and not has_warned:
                has_warned = True
                warnings.warn(
                    f"{found}; the others name a cold item: {ADVICE}", UserWarning, stacklevel=2
                )
            yield train, test

    def _folds(self, seen: Appearances) -> list[np.ndarray]:
        """Return the cold items of each fold."""
        n_items = len(seen.clicked)
        if n_items < self.n_splits:
            raise ValueError(
                f"n_splits={self.n_splits} needs as many items that were clicked; X has {n_items}"
            )
        shuffled = as_generator(self.random_state).permutation(seen.clicked)
        if self.test_size is None:
            return np.array_split(shuffled, self.n_splits)
        size = min(_count(self.test_size, n_items), n_items // self.n_splits)
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
        """
        return self.n_splits
