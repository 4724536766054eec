"""Limits on the number of items of each category in a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch

from skrec._common.checks import check_int
from skrec._common.messages import did_you_mean, preview
from skrec._data.items import Items
from skrec._data.ragged import gather_segments, offsets_of, pad_histories, segment_ids

ROLES = ("category", "multi-category")
NO_LIMIT = 1 << 30
FEW_VALUES = 64  # categories of which the best items are looked up one by one


@dataclass(frozen=True, eq=False)
class Quotas:
    """Limits on the number of items of each value in a list.

    A value is a category of one of the limited columns. There are V values in all columns. An item
    may have any number of them.

    Attributes
    ----------
    offsets : ndarray of int64, shape (N + 1,)
        Offsets of the items in `values`.
    values : ndarray of int64, shape (T,)
        Values of the items.
    item_offsets : ndarray of int64, shape (V + 1,)
        Offsets of the values in `items`.
    items : ndarray of int64, shape (T,)
        Codes of the items that have each value.
    limits : ndarray of int64, shape (V + 1,)
        Greatest number of items of each value in a list. The last entry belongs to padding, which
        has no limit.
    single : ndarray of int64, shape (N,), or None
        Value of each item, and V for items without a value, if there is one column with at most
        one value per item.
    """

    offsets: np.ndarray
    values: np.ndarray
    item_offsets: np.ndarray
    items: np.ndarray
    limits: np.ndarray
    single: np.ndarray | None = None

    def times(self, factor: int) -> Quotas:
        """Return the quotas with limits that are `factor` times as great."""
        return replace(self, limits=np.minimum(self.limits * factor, NO_LIMIT))

    @property
    def has_groups(self) -> bool:
        """Whether each item has at most one of a few values."""
        return self.single is not None and self.n_values <= FEW_VALUES

    def arranged(self, among: np.ndarray | None) -> np.ndarray | None:
        """Return codes of items in an order that puts items of a value next to each other.

        The order is the given one if items may have several values; see `has_groups`.

        Parameters
        ----------
        among : ndarray of int64, shape (C,), or None
            Codes of the items. None means all items.

        Returns
        -------
        ndarray of int64, shape (C,), or None
        """
        if self.single is None or not self.has_groups:
            return among
        if among is None:
            return np.argsort(self.single, kind="stable")
        return among[np.argsort(self.single[among], kind="stable")]

    @property
    def n_items(self) -> int:
        """N, the number of items."""
        return len(self.offsets) - 1

    @property
    def n_values(self) -> int:
        """V, the number of values."""
        return len(self.limits) - 1

    def values_of(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the values of items (r, m) as (r, m, S), padded with V."""
        if self.single is not None:
            return torch.from_numpy(self.single).to(codes.device)[codes].unsqueeze(-1)
        flat = codes.cpu().numpy().ravel()
        values, is_there = pad_histories(self.values, self.offsets[flat], self.offsets[flat + 1])
        values[~is_there] = self.n_values
        return torch.from_numpy(values).unflatten(0, codes.shape).to(codes.device)

    def items_of(self, row: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs of rows and items, for pairs of rows and values."""
        at, offsets = gather_segments(self.item_offsets, value)
        return row[segment_ids(offsets)], self.items[at]


def read_quotas(at_most: Any, items: Items) -> Quotas:
    """Return the limits on the number of items of each value.

    Parameters
    ----------
    at_most : mapping of str to int
        Greatest number of items of each category, by the name of the column.
    items : Items
        The catalogue.

    Returns
    -------
    Quotas

    Raises
    ------
    TypeError
        If `at_most` is no mapping.
    ValueError
        If it is empty, names an unknown column or one without categories, or a limit is no
        positive int.
    """
    if not isinstance(at_most, Mapping) or not at_most:
        error = ValueError if isinstance(at_most, Mapping) else TypeError
        raise error(
            f"at_most must map names of columns to numbers of items, such as {{'topic': 2}}, got "
            f"{at_most!r}"
        )
    keys, limits, n_values = [], [], 0
    for name, limit in at_most.items():
        _check(name, limit, items)
        item, value = _pairs(items, name)
        size = int(value.max(initial=-1)) + 1
        keys.append((item, value + n_values))
        limits.append(np.full(size, min(limit, NO_LIMIT), dtype=np.int64))
        n_values += size
    item, value = (np.concatenate(parts) for parts in zip(*keys, strict=True))
    single, counts = None, np.bincount(item, minlength=items.n_items)
    if counts.max(initial=0) > 1:
        pairs = np.unique(item * max(1, n_values) + value)  # an item may name a value twice
        item, value = pairs // max(1, n_values), pairs % max(1, n_values)
        counts = np.bincount(item, minlength=items.n_items)
    if len(at_most) == 1 and counts.max(initial=0) <= 1:
        single = np.full(items.n_items, n_values)
        single[item] = value
    return Quotas(
        offsets_of(counts),
        value,
        offsets_of(np.bincount(value, minlength=n_values)),
        item[np.argsort(value, kind="stable")],
        np.concatenate([*limits, [NO_LIMIT]]),
        single,
    )


def _check(name: Any, limit: Any, items: Items) -> None:
    """Raise a ValueError if a column or its limit is invalid."""
    limited = {column: role for column, role in items.roles.items() if role in ROLES}
    if name not in items.roles:
        near = did_you_mean(name, items.roles) if isinstance(name, str) else ""
        raise ValueError(
            f"at_most names the column {name!r}, which the catalogue lacks{near}; columns with "
            f"categories are {preview(limited, 20)}"
        )
    if name not in limited:
        raise ValueError(
            f"at_most limits categories, and column {name!r} has the role {items.roles[name]!r}; "
            f"make it one with Items(..., roles={{{name!r}: 'category'}})"
        )
    check_int(f"at_most[{name!r}]", limit)


def _pairs(items: Items, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the items and values (T,) of a column, whose values are numbered from 0."""
    column = items.column(name)
    if items.roles[name] == "category":
        item = np.arange(items.n_items)
    else:
        item = segment_ids(offsets_of(pc.list_value_length(column).to_numpy()))
        column = column.flatten()
    codes = pc.fill_null(column.dictionary_encode().indices, -1).to_numpy().astype(np.int64)
    return item[codes >= 0], codes[codes >= 0]


class Counts:
    """How many items of each value the lists of some rows contain.

    Parameters
    ----------
    quotas : Quotas
    n_rows : int
        r, the number of rows.
    device : torch.device
    """

    def __init__(self, quotas: Quotas, n_rows: int, device: torch.device):
        self.quotas = quotas
        self._limits = torch.from_numpy(quotas.limits).to(device)
        self._counts = torch.zeros(n_rows, quotas.n_values + 1, dtype=torch.int64, device=device)
        self._was_full = torch.zeros(n_rows, quotas.n_values, dtype=torch.bool, device=device)

    def are_full(self, rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Return whether any value of items is full, (r, m), for values (r, m, S) of r rows."""
        flat = values.flatten()
        cell = (rows.view(-1, 1, 1) * self._counts.shape[1] + values).flatten()
        counts = self._counts.flatten().index_select(0, cell)
        return (counts >= self._limits.index_select(0, flat)).view(values.shape).any(dim=-1)

    def add(self, rows: torch.Tensor, values: torch.Tensor, taken: torch.Tensor) -> None:
        """Count one item per row with the values (r, S), where `taken` (r,) is true."""
        added = taken.to(torch.int64).unsqueeze(1).expand_as(values)
        self._counts.index_put_((rows.unsqueeze(1), values), added, accumulate=True)

    def newly_full(self, rows: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions in `rows` and the items of all values that have become full.

        Values that an earlier call has returned for the row are left out.
        """
        is_full = self._counts[rows][:, :-1] >= self._limits[:-1]
        row, value = (is_full & ~self._was_full[rows]).nonzero(as_tuple=True)
        self._was_full[rows] = is_full
        return self.quotas.items_of(row.cpu().numpy(), value.cpu().numpy())
