"""Items that stay in the catalogue, because histories refer to them, but are in no list."""

from __future__ import annotations

from typing import Any

import numpy as np

from skrec._data.items import Items, codes_of, ids_of


def removed_codes(removed: np.ndarray, known: Items, passed: Any = None) -> np.ndarray | None:
    """Return the codes of removed items.

    Parameters
    ----------
    removed : ndarray of ids
        Ids of the removed items.
    known : Items
        The catalogue, with the items that are passed again.
    passed : Items or DataFrame-like, default=None
        Items that are passed again, and hence no longer removed.

    Returns
    -------
    ndarray of int64, or None
        Ascending codes; None if there are none.
    """
    if not len(removed):
        return None
    codes = np.unique(known.codes(removed, "removed_").astype(np.int64))
    if passed is not None:
        codes = np.setdiff1d(codes, known.codes(known.conform(passed).ids))
    return codes if len(codes) else None


def after_removal(removed: np.ndarray, known: Items, ids: Any) -> np.ndarray:
    """Return the ids of removed items after some more are removed, in catalogue order."""
    codes = np.union1d(codes_of(known, ids, "ids"), known.codes(removed, "removed_"))
    return ids_of(known, codes.astype(np.int64))


def after_return(removed: np.ndarray, known: Items, passed: Any) -> np.ndarray:
    """Return the ids of removed items after some are passed again; see `removed_codes`."""
    codes = removed_codes(removed, known, passed)
    return ids_of(known, np.empty(0, np.int64) if codes is None else codes)
