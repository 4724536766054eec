"""Group ids of any kind turned into small integers."""

import numpy as np

from skrec.metrics._validation import as_column

# A group's code, 32 bits of score and one of label share 64 bits.
_MAX_CODE = 2**31


def check_groups(groups):
    """Return ids as a one-dimensional array; missing ids in object arrays are found later."""
    ids = as_column("groups", groups)
    if ids.dtype.kind in "fcmM":
        missing = ids != ids  # NaN and NaT
        if missing.any():
            _raise_missing(missing.argmax())
    return ids


def code_groups(ids):
    """Map ids to integers below 2**31.

    Parameters
    ----------
    ids : ndarray of shape (n_rows,)
        Checked ids.

    Returns
    -------
    ndarray of uint64 of shape (n_rows,)
        A new array. Codes need not be dense.
    """
    if ids.dtype.kind in "iub":
        if ids.dtype.kind != "u":
            ids = ids.astype(np.int64, copy=False)
        low = ids.min()
        if int(ids.max()) - int(low) < _MAX_CODE:
            return (ids - low).astype(np.uint64)
    if ids.dtype == object:
        return _look_up(ids)
    # Rows that come grouped cost one look-up a group.
    heads = run_starts(ids)
    return np.repeat(_code_heads(ids[heads]), np.diff(heads, append=len(ids)))


def run_starts(values):
    """Return the positions where runs of equal values begin."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    return np.insert(changes, 0, 0) if len(values) else changes


def _code_heads(ids):
    if ids.dtype.kind in "iuf":
        return np.unique(ids, return_inverse=True)[1].astype(np.uint64)
    return _look_up(ids)


def _look_up(ids):
    codes: dict = {}
    rows = (codes.setdefault(id_, len(codes)) for id_ in ids.tolist())
    coded = np.fromiter(rows, np.uint64, len(ids))
    for id_, code in codes.items():
        if _is_missing(id_):
            _raise_missing((coded == code).argmax())
    return coded


def _is_missing(id_):
    # pandas' NA has no truth value, so it is known by its type; NaN differs from itself.
    return id_ is None or type(id_).__name__ == "NAType" or id_ != id_


def _raise_missing(row):
    raise ValueError(f"groups has a missing id at row {row}: every row needs the id of its group")
