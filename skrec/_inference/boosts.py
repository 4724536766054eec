"""Numbers that are added to the scores of items before they are ranked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skrec._common.messages import did_you_mean, preview
from skrec._data.arrow import to_arrow
from skrec._data.items import Items, codes_of


def read_boost(boost: Any, items: Items) -> np.ndarray:
    """Return one number per item.

    Parameters
    ----------
    boost : str, mapping of ids to numbers, Series or array of numbers
        Name of a numeric column of the catalogue; numbers by id, where other items have 0; or one
        number per item in catalogue order. A pandas Series whose index is not the default one, or
        has the name of the id column, has the numbers by id.
    items : Items
        The catalogue.

    Returns
    -------
    ndarray of float64, shape (n_items,)

    Raises
    ------
    ValueError
        If the column is unknown or not numeric, ids are missing from the catalogue, there is not
        one number per item, or a number is null, NaN or infinite.
    TypeError
        If `boost` does not contain numbers.
    """
    if isinstance(boost, str):
        return _column(boost, items)
    if isinstance(boost, pd.Series) and _is_by_id(boost, items):
        if not boost.index.is_unique:
            twice = boost.index[boost.index.duplicated()].unique()
            raise ValueError(f"boost has several numbers for the ids {preview(twice)}")
        return _by_id(boost.index, _numbers(boost), items)
    if isinstance(boost, Mapping):
        return _by_id(list(boost), _numbers(list(boost.values())), items)
    numbers = _numbers(boost)
    if len(numbers) != items.n_items:
        raise ValueError(
            f"boost has {len(numbers)} numbers, but the catalogue has {items.n_items} items; give "
            "one number per item in the order of items_.ids, or a mapping of ids to numbers"
        )
    return _finite(numbers, items.ids)


def _column(name: str, items: Items) -> np.ndarray:
    """Return a numeric column of the catalogue."""
    if name not in items.roles:
        raise ValueError(
            f"boost names the column {name!r}, which the catalogue lacks"
            f"{did_you_mean(name, items.roles)}; its columns are {preview(items.roles, 20)}"
        )
    if items.roles[name] != "number":
        raise ValueError(
            f"boost needs a column of numbers, and column {name!r} has the role "
            f"{items.roles[name]!r}"
        )
    return items.column(name).to_numpy(zero_copy_only=False)


def _is_by_id(boost: pd.Series, items: Items) -> bool:
    return boost.index.name == items.id or not isinstance(boost.index, pd.RangeIndex)


def _by_id(ids: Any, numbers: np.ndarray, items: Items) -> np.ndarray:
    """Return numbers by id as one number per item; 0 for other items."""
    codes = codes_of(items, ids, "boost")
    boost = np.zeros(items.n_items)
    boost[codes] = _finite(numbers, np.asarray(ids))
    return boost


def _numbers(values: Any) -> np.ndarray:
    """Return values as float64, with NaN for null."""
    column = to_arrow(values, "boost")
    kind = column.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not (is_number or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise TypeError(
            f"boost must be one number per item, a mapping of ids to numbers, or the name of a "
            f"column, got {kind}"
        )
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    return column.cast(pa.float64()).to_numpy()


def _finite(numbers: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the numbers, or raise a ValueError that names the items with invalid ones."""
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise ValueError(
            f"boost is null, NaN or infinite for {int(bad.sum())} items, among them "
            f"{preview(ids[bad].tolist())}; give 0 for no boost"
        )
    return numbers
