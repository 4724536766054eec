"""The methods of recommenders that remember the histories of users."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Self

import pyarrow as pa
from sklearn.utils.validation import check_is_fitted

from skrec._data.click_log import describe, read_log, warn_of_rows
from skrec._data.log_columns import named_columns
from skrec._data.table import Table
from skrec._data.user_histories import (
    add_clicks,
    columns_of,
    forget,
    histories_of,
    refuse_unknown_items,
    remember,
)
from skrec._inference.explain import one_row


class UserVerbs:
    """Methods that read and change the remembered histories.

    A subclass has the fitted attributes `items_` and `histories_`, the parameter `unknown_items`,
    and the method `_writing`.
    """

    histories_: pa.Table | None
    unknown_items: str

    def _writing(self) -> AbstractContextManager[None]:
        """Let one thread at a time change the fitted attributes."""
        raise NotImplementedError

    def update(self, clicks: Any, *, columns: Mapping[str, str | None] | None = None) -> Self:
        """Add clicks to the remembered histories, without training.

        Each click is inserted at the place of its time, also if it arrives late. Repeated clicks,
        with the same user, item and time, count once. If clicks have no times, they follow those
        that are remembered. New users are remembered, too. If nothing was remembered before, this
        starts with the log that is given.

        Parameters
        ----------
        clicks : table
            The log, with one click per row; see :func:`skrec.datasets.impressions_from_clicks`.
        columns : mapping, default=None
            Names of its columns, such as ``{"user": "uid", "item": "sku", "time": "ts"}``. Names
            that are not given are those of the log that `fit` got, or else `user_id`, `item_id`
            and `time`.

        Returns
        -------
        self
            If the call fails, the histories are left unchanged.

        Raises
        ------
        ValueError
            If items are missing from the catalogue, unless ``unknown_items="ignore"``; add them by
            `add_items` first. If the log cannot be read, or its times can't be compared with those
            that are remembered.
        TypeError
            If ids have other types than before.
        """
        check_is_fitted(self, "items_")
        with self._writing():
            known = getattr(self, "histories_", None)
            table = Table(clicks)
            before = None if known is None else columns_of(known)
            names = named_columns({} if columns is None else columns, table, before)
            log = read_log(clicks, names)
            refuse_unknown_items(log, self.items_, self.unknown_items == "ignore")  # type: ignore[attr-defined]
            warn_of_rows(log.report)
            if known is None:
                self.histories_ = remember(log.in_order(), names)
            else:
                self.histories_ = add_clicks(known, log)
            if getattr(self, "verbose", 0):
                print(f"new clicks: {describe(log.full_report())}")
        return self

    def forget_users(self, users: Any) -> Self:
        """Delete the remembered histories of users.

        The model stays as it is, although it was trained on their clicks; call `fit` to train one
        without them. Folders and pickles that were saved before keep the histories.

        Parameters
        ----------
        users : array-like of ids
            The users.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If users are not remembered. Then, nothing is deleted.
        """
        check_is_fitted(self, "items_")
        with self._writing():
            self.histories_ = forget(getattr(self, "histories_", None), users)
        return self

    def _rows_of(self, X: Any, users: Any) -> Any:
        """Return X, or the remembered histories of users."""
        if (X is None) == (users is None):
            raise ValueError(
                "recommend needs either X, the histories, such as rec.recommend([[3, 8]]), or "
                "users, ids of remembered users, such as rec.recommend(users=[12])"
                + (", and got both" if X is not None else "")
            )
        if users is None:
            return X
        check_is_fitted(self, "items_")
        return histories_of(getattr(self, "histories_", None), users)

    def _row_of(self, history: Any, user: Any) -> Any:
        """Return a history as an X of one row, or the remembered history of a user."""
        if (history is None) == (user is None):
            raise ValueError(
                "explain needs either history, the clicked items, such as rec.explain([3, 8], 5), "
                "or user, the id of a remembered user, such as rec.explain(user=12, item=5)"
                + (", and got both" if history is not None else "")
            )
        if user is None:
            return one_row(history)
        if not isinstance(user, str) and hasattr(user, "__len__"):
            raise TypeError(f"user must be the id of one user, got {user!r}")
        check_is_fitted(self, "items_")
        return histories_of(getattr(self, "histories_", None), [user])
