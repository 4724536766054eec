"""Each user's last rows, split off."""

from __future__ import annotations

from typing import Any

import numpy as np

from skrec._common.checks import check_int
from skrec._data.rows import as_table
from skrec.model_selection._impressions import read_unit_times, read_unit_users, read_units


def split_last(
    X: Any, *, n_valid: int = 1, n_test: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split each user's last impressions off: the very last test, those before validate.

    It asks what users do next, all of them alike. Other users' rows of the same days do train, so
    that a model may know what becomes popular: :func:`split_by_time` is stricter.

    Parameters
    ----------
    X : table of n_samples rows
        With the column `user_id`, and `time` where there are times; else rows are in the order of
        time. Impressions of one user and one time are in the order of their rows. Pairs with
        `impression_id` stay together, and count as one.
    n_valid, n_test : int, default=1, 1
        Number of each user's impressions in the later parts.

    Returns
    -------
    train, valid, test : ndarray of int64
        Numbers of rows, ascending: ``X.iloc[train]``. All rows of users with no more than
        `n_valid` + `n_test` impressions are in `train`: of whom nothing else is known there is
        nothing to test.

    Raises
    ------
    ValueError
        Where X has no `user_id`, where an `impression_id` has rows of two users, where no user
        has enough impressions, and for a number below 0.

    See Also
    --------
    split_by_time : The latest rows of all users.
    skrec.datasets.impressions_from_clicks : Does the same with clicks that are no rows yet.

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
    unit_of_row = read_units(table)
    user = read_unit_users(table, unit_of_row)
    time = read_unit_times(table, unit_of_row)
    n_impressions = np.bincount(user)
    enough = n_impressions > n_valid + n_test
    if not enough.any():
        raise ValueError(
            f"no user has more impressions than n_valid + n_test = {n_valid + n_test}; the most "
            f"is {n_impressions.max(initial=0)}"
        )
    # both sorts are stable, and impressions are numbered by their rows
    order = np.argsort(user, kind="stable") if time is None else np.lexsort((time, user))
    from_the_end = np.empty(len(user), dtype=np.int64)
    from_the_end[order] = np.cumsum(n_impressions)[user[order]] - np.arange(len(user)) - 1
    part = (from_the_end < n_valid + n_test).astype(int) + (from_the_end < n_test)
    part_of_row = (part * enough[user])[unit_of_row]
    train, valid, test = (np.flatnonzero(part_of_row == number) for number in range(3))
    return train, valid, test
