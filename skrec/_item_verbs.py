"""The methods of recommenders that answer for items, and change the catalogue."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skrec._common.checks import check_int
from skrec._data.items import Items, codes_of, ids_of, padded_lists
from skrec._inference.choice import read_shared_choice
from skrec._inference.frames import frame_format
from skrec._inference.removed import after_removal, after_return


class ItemVerbs:
    """Methods that list similar items, and add and remove items.

    A subclass has the fitted attributes below, and the methods `_scorer` and `_writing`.
    """

    items_: Items
    removed_: np.ndarray
    unknown_items: str

    def _writing(self) -> AbstractContextManager[None]:
        """Let one thread at a time change the fitted attributes."""
        raise NotImplementedError

    def _scorer(self, items: Any = None) -> Any:
        """Return the `Scorer` of the catalogue, extended by `items`."""
        raise NotImplementedError

    def similar_items(
        self,
        ids: Any,
        k: int = 10,
        *,
        items: Any = None,
        candidates: Any = None,
        exclude: Any = None,
        where: Any = None,
        as_frame: bool | str = False,
        columns: Any = None,
    ) -> Any:
        """Return the k items with the most similar vectors for each given item.

        Parameters
        ----------
        ids : array-like of ids, shape (n_samples,)
            Ids of the items to compare with.
        k : int, default=10
            Length of the lists.
        items : Items or DataFrame-like, default=None
            New or changed items, used in this call only.
        candidates : array-like of ids, default=None
            Ids of the items to choose from. None uses the whole catalogue.
        exclude, where : default=None
            Items to leave out, and a condition on the columns of the catalogue, for all items or
            for each one; see `recommend`.
        as_frame : bool or {"pandas", "polars"}, default=False
            Whether to return a data frame with one row per item of a list, as in `recommend`.
        columns : list of str, default=None
            Columns of the catalogue that the data frame also contains, for example ``["title"]``.

        Returns
        -------
        ids : ndarray of shape (n_samples, k)
            Ids in descending order of similarity, without the item itself. Lists with fewer than
            k items are filled with -1 (int ids) or None (str ids).
        scores : ndarray of float32, shape (n_samples, k)
            Cosine similarities of the item vectors; -inf where there is no item.
        frame : DataFrame
            Returned instead of `ids` and `scores` if `as_frame` is not False. It has the columns
            ``similar_to`` (the given id), ``rank`` (from 1), the id under the name of the
            catalogue's id column, ``score`` and `columns`. Lists with fewer than k items have
            fewer rows.
        """
        check_int("k", k)
        check_is_fitted(self, "network_")
        scorer = self._scorer(items)
        known = scorer.encoded_items.items
        form = frame_format(self, as_frame, columns, known, "similar_to")
        own = codes_of(known, ids, "ids")
        choice = read_shared_choice(
            known,
            len(own),
            candidates=candidates,
            exclude=exclude,
            where=where,
            removed=scorer.removed,
            drop_unknown=self.unknown_items == "ignore",
        )
        codes, scores = scorer.similar(own, min(k, known.n_items), choice)
        if form is not None:
            return form.frame(ids_of(known, own), codes, scores)
        return padded_lists(known, codes, scores, k)

    def add_items(self, items: Any) -> Self:
        """Add new items and new versions of known items to the catalogue, without training.

        All later calls know these items. An item that `remove_items` has removed is listed again
        if it is added.

        Parameters
        ----------
        items : Items or DataFrame-like
            Items with the columns of the catalogue. Other columns are ignored.

        Returns
        -------
        self
            If the call fails, the catalogue is left unchanged.
        """
        check_is_fitted(self, "network_")
        with self._writing():
            scorer = self._scorer(items)
            encoded = scorer.encoded_items
            removed = after_return(self.removed_, encoded.items, items)
            self.__dict__.update(
                _encoded_items=encoded,
                items_=encoded.items,
                prior_=scorer.prior,
                n_clicks_=scorer.n_clicks,
                removed_=removed,
            )
        return self

    def remove_items(self, ids: Any) -> Self:
        """Remove items from all later lists of `recommend` and `similar_items`.

        The items stay in the catalogue, because histories refer to them: `items_`, the columns of
        `decision_function` and the metrics do not change, and the items may be scored as
        candidates. `add_items` and `partial_fit` list an item again if it is passed to them, and
        each method does so for one call if it is passed as `items`. `fit` begins without removed
        items, unless it continues a previous fit.

        Parameters
        ----------
        ids : array-like of ids
            Ids of the items. Repeated ids, and ids that are already removed, are allowed.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ids are missing from the catalogue. No item is removed then.
        """
        check_is_fitted(self, "network_")
        with self._writing():
            self.removed_ = after_removal(self.removed_, self.items_, ids)
        return self
