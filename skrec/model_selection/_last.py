"""Split off the last impressions of each user."""

from __future__ import annotations

from typing import Any

import numpy as np

from skrec._common.checks import check_int
from skrec._data.rows import as_table
from skrec.model_selection._impressions import (
    read_impression_of_row,
    read_impression_times,
    read_impression_users,
)


def split_last(
    X: Any, *, n_valid: int = 1, n_test: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split off the last impressions of each user: the latest for testing, earlier for validation.

    Use it to measure how well the next action of each user is predicted, with the same number of
    tested impressions per user. The training part contains impressions of other users from the
    same period, and a model can learn from them which items become popular.
    :func:`split_by_time` prevents this.

    Parameters
    ----------
    X : table of n_samples rows
        Table with the column `user_id`, and optionally `time`. Without `time`, rows are assumed to
        be in temporal order. Impressions of one user with equal times keep the order of their rows.
        Pairs with the same `impression_id` stay together and count as one impression.
    n_valid, n_test : int, default=1, 1
        Number of impressions per user in the validation and the test part.

    Returns
    -------
    train, valid, test : ndarray of int64
        Row numbers in ascending order, for use as in ``X.iloc[train]``. Users with at most
        `n_valid` + `n_test` impressions have all their rows in `train`, because no earlier
        impression would remain to learn from.

    Raises
    ------
    ValueError
        If X has no column `user_id`, if an `impression_id` has rows of two users, if no user has
        enough impressions, or if `n_valid` or `n_test` is negative.

    See Also
    --------
    split_by_time : Split off the latest rows of all users.
    skrec.datasets.impressions_from_clicks : The same split for a table of single clicks.

    Examples
    --------
    >>> from skrec.model_selection import split_last
    >>> X = {"user_id": [7, 7, 7, 8, 8, 8], "time": [3, 1, 2, 1, 2, 3]}
    >>> split_last(X)
    (array([1, 3]), array([2, 4]), array([0, 5]))
    """
    check_int("n_valid", n_valid, 0)
    check_int("n_test", n_test, 0)
    table = as_table(X)
    impression_of_row = read_impression_of_row(table)
    user = read_impression_users(table, impression_of_row)
    time = read_impression_times(table, impression_of_row)
    n_impressions = np.bincount(user)
    enough = n_impressions > n_valid + n_test
    if not enough.any():
        raise ValueError(
            f"no user has more impressions than n_valid + n_test = {n_valid + n_test}; the most "
            f"is {n_impressions.max(initial=0)}"
        )
    # Both sorts are stable and impressions are numbered by first row, so ties keep the row order.
    order = np.argsort(user, kind="stable") if time is None else np.lexsort((time, user))
    n_later = np.empty(len(user), dtype=np.int64)  # later impressions of the same user
    n_later[order] = np.cumsum(n_impressions)[user[order]] - np.arange(len(user)) - 1
    part = (n_later < n_valid + n_test).astype(int) + (n_later < n_test)
    part_of_row = (part * enough[user])[impression_of_row]
    train, valid, test = (np.flatnonzero(part_of_row == number) for number in range(3))
    return train, valid, test
