"""Validation of group ids of any type, and their encoding as integers."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from skrec.metrics._validation import as_column

# A sort key of 64 bits contains the group code, a score of 32 bits and a label of one bit.
_MAX_CODE = 2**31


def check_groups(groups: Any) -> np.ndarray:
    """Return group ids as a one-dimensional array, and raise if a numeric or time id is missing.

    Missing ids in object arrays are detected later, in `code_groups`.
    """
    ids = as_column("groups", groups)
    if ids.dtype.kind in "fcmM":
        missing = ids != ids  # NaN and NaT
        if missing.any():
            _raise_missing(missing.argmax())
    return ids


def code_groups(ids: np.ndarray) -> np.ndarray:
    """Encode group ids as integers below 2**31.

    Parameters
    ----------
    ids : ndarray of shape (n_rows,)
        Ids returned by `check_groups`.

    Returns
    -------
    ndarray of uint64 of shape (n_rows,)
        New array of codes. Some integers may be unused.
    """
    if ids.dtype.kind in "iub":
        if ids.dtype.kind != "u":
            ids = ids.astype(np.int64, copy=False)
        low = ids.min()
        if int(ids.max()) - int(low) < _MAX_CODE:
            return (ids - low).astype(np.uint64)
    if ids.dtype == object:
        return _encode_by_first_appearance(ids)
    # If rows of a group are adjacent, one look-up per group is enough.
    heads = run_starts(ids)
    return np.repeat(_encode_distinct(ids[heads]), np.diff(heads, append=len(ids)))


def run_starts(values: np.ndarray) -> np.ndarray:
    """Return the position at which each run of equal values starts."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    return np.insert(changes, 0, 0) if len(values) else changes


def _encode_distinct(ids: np.ndarray) -> np.ndarray:
    """Encode the ids of runs, in which few values repeat."""
    if ids.dtype.kind in "iuf":
        return np.unique(ids, return_inverse=True)[1].astype(np.uint64)
    return _encode_by_first_appearance(ids)


def _encode_by_first_appearance(ids: np.ndarray) -> np.ndarray:
    """Encode hashable ids by order of first appearance, and raise if one is missing."""
    codes: dict[Any, int] = {}
    rows = (codes.setdefault(id_, len(codes)) for id_ in ids.tolist())
    coded = np.fromiter(rows, np.uint64, len(ids))
    for id_, code in codes.items():
        if _is_missing(id_):
            _raise_missing((coded == code).argmax())
    return coded


def _is_missing(id_: Any) -> bool:
    # pandas.NA has no truth value, so its type is compared. NaN is not equal to itself.
    return id_ is None or type(id_).__name__ == "NAType" or bool(id_ != id_)


def _raise_missing(row: Any) -> NoReturn:
    raise ValueError(f"groups has a missing id at row {row}: every row needs the id of its group")
