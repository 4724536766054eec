"""Items that a user names by id, as codes, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from skrec._arrow import is_list, preview, to_arrow
from skrec._items import Items


def codes_of(known: Items, ids: Any, name: str) -> np.ndarray:
    """Return the codes of ids that a user named; all must be known."""
    ids = to_arrow(ids, name).combine_chunks()
    if is_list(ids.type):
        raise TypeError(f"{name} must be a flat sequence of item ids, got {ids.type}")
    codes = known.codes(ids, name)
    if (codes < 0).any():
        missing = ids.filter(pa.array(codes < 0)).unique()
        raise ValueError(
            f"{len(missing)} ids in {name} are missing from the catalogue of {known.n_items} "
            f"items, among them {preview(missing.to_pylist(), 5)}; pass items=... with their "
            "columns"
        )
    return codes.astype(np.int64)


def codes_among(known: Items, candidates: Any) -> np.ndarray:
    """Return the ascending codes of the items to choose from."""
    codes = np.unique(codes_of(known, candidates, "candidates"))
    if not len(codes):
        raise ValueError("candidates is empty; name the items to choose from, or pass None for all")
    return codes


def ids_of(known: Items, codes: np.ndarray) -> np.ndarray:
    """Return the ids of codes (n, k), and -1 or None where there is no item."""
    ids = known.ids[np.maximum(codes, 0)]
    ids[codes < 0] = -1 if ids.dtype.kind == "i" else None
    return ids
