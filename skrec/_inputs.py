"""What fit was given beside X: labels or a catalogue in y's place, the catalogue, the device."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from skrec._arrow import Table, is_table, preview
from skrec._items import Items

NO_CATALOGUE = (
    "fit needs the catalogue of items: rec.fit(histories, items), or items=Items(df) in a search "
    "or pipeline, where df is a DataFrame with a column 'item_id' and the items' content"
)


def labels_and_catalogue(y: Any, items: Any) -> tuple[Any, Any]:
    """Read a catalogue in y's place as `items`."""
    if not _looks_like_catalogue(y):
        if items is None and is_table(y) and len(Table(y).names) > 1:
            raise ValueError(
                f"the table in y's place has no id column 'item_id', only "
                f"{preview(Table(y).names, 20)}; name it with items=Items(df, id='...')"
            )
        return y, items
    if items is not None:
        raise ValueError("there are two catalogues: one in y's place and one in items=; give one")
    return None, y


def _looks_like_catalogue(y: Any) -> bool:
    if isinstance(y, Items):
        return True
    if isinstance(y, Mapping) and y and all(isinstance(text, str) for text in y.values()):
        return True
    return is_table(y) and "item_id" in Table(y)


def resolve_device(device: Any, *, fall_back: bool = False) -> torch.device:
    """Return the device to compute on.

    Parameters
    ----------
    device : str, torch.device or None
        None takes a CUDA GPU if there is one, else the CPU.
    fall_back : bool, default=False
        Whether a missing GPU is replaced by the CPU, with a warning, instead of raising.

    Returns
    -------
    torch.device
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be None or a device such as 'cpu' or 'cuda:0', got {device!r}"
        ) from error
    if found.type == "cuda" and not torch.cuda.is_available():
        if not fall_back:
            raise ValueError(f"device={device!r}, but torch finds no CUDA GPU here; take None")
        warnings.warn(f"no CUDA GPU here for device={device!r}; the CPU is used", stacklevel=3)
        return torch.device("cpu")
    return found


def read_catalogue(items: Any, unknown_items: str) -> Items:
    """Return the catalogue as Items.

    Parameters
    ----------
    items : Items, DataFrame-like, mapping or list of texts
        What the user gave.
    unknown_items : {"raise", "ignore"}
        With "ignore" it must be an Items: a bare table may have been cut by a search, and
        nothing would raise.

    Returns
    -------
    Items
    """
    if items is None:
        raise ValueError(NO_CATALOGUE)
    if isinstance(items, Items):
        return items
    if unknown_items == "ignore":
        raise TypeError(
            "unknown_items='ignore' takes the catalogue as items=Items(df), since a bare "
            f"{type(items).__name__} may have been cut by a search without a word"
        )
    return Items(items)
