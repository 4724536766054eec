"""Prepared columns of a catalogue: tensors without padding, from which batches gather items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skrec._data.ragged import gather_segments
from skrec._data.states import States

# a column of U items: values (U, L) or (U, k), and the mask of tokens that are not padding
Column = tuple[torch.Tensor, torch.Tensor]


def outer_columns(columns: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Add a prefix to the columns of an inner operator, to keep them apart from other columns."""
    return {prefix + name: column for name, column in columns.items()}


def inner_columns(columns: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the columns that have a prefix, without it: the inverse of `outer_columns`."""
    return {
        name.removeprefix(prefix): column
        for name, column in columns.items()
        if name.startswith(prefix)
    }


@dataclass(frozen=True)
class Ragged:
    """A column of token ids, with a different number of tokens per item.

    Parameters
    ----------
    offsets : int64 tensor of shape (N + 1,), on the CPU
        Offsets of the items in `values`.
    values : tensor of shape (offsets[-1],)
        Token ids. Those of item i are ``values[offsets[i]:offsets[i + 1]]``.
    """

    offsets: torch.Tensor
    values: torch.Tensor

    @property
    def lengths(self) -> torch.Tensor:
        """Number of tokens per item, of shape (N,)."""
        return self.offsets[1:] - self.offsets[:-1]

    def lengths_of(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the number of tokens (U,) of some items."""
        return self.offsets[codes + 1] - self.offsets[codes]

    def take(self, codes: torch.Tensor) -> Column:
        """Return the token ids (U, L) of some items, padded with 0, and their mask (U, L)."""
        lengths, device = self.lengths_of(codes), self.values.device
        place = torch.arange(max(1, int(lengths.max())), device=device)  # (L,)
        mask = place < lengths.to(device).unsqueeze(1)  # (U, L)
        start = self.offsets[codes].to(device)  # (U,)
        at = (start.unsqueeze(1) + place).masked_fill_(~mask, 0)
        if not len(self.values):
            return torch.zeros_like(at), mask
        return self.values[at].masked_fill_(~mask, 0), mask

    def to(self, device: torch.device) -> Ragged:
        """Return the column with its values on a device."""
        return replace(self, values=self.values.to(device))


@dataclass(frozen=True)
class Dense:
    """A column with one row of values per item.

    Parameters
    ----------
    values : tensor of shape (N, k)
        Codes or floats.
    """

    values: torch.Tensor

    @property
    def lengths(self) -> torch.Tensor:
        """Number of tokens per item, of shape (N,): always 1."""
        return torch.ones(len(self.values), dtype=torch.long)

    def lengths_of(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the number of tokens (U,) of some items: always 1."""
        return torch.ones(len(codes), dtype=torch.long)

    def take(self, codes: torch.Tensor) -> Column:
        """Return the values (U, k) of some items, and a mask (U, 1) that is always true."""
        device = self.values.device
        mask = torch.ones((len(codes), 1), dtype=torch.bool, device=device)
        return self.values[codes.to(device)], mask

    def to(self, device: torch.device) -> Dense:
        """Return the column on a device."""
        return Dense(self.values.to(device))


@dataclass(frozen=True)
class Grouped:
    """A column in which each item has one or more rows of another column.

    Parameters
    ----------
    offsets : ndarray of int64, shape (N + 1,)
        Item i has the rows from ``offsets[i]`` up to ``offsets[i + 1]``.
    rows : Ragged or States
        The other column.
    """

    offsets: np.ndarray
    rows: Ragged | States

    @property
    def lengths(self) -> torch.Tensor:
        """Number of tokens per item, of shape (N,)."""
        return self.lengths_of(torch.arange(len(self.offsets) - 1))

    def lengths_of(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the number of tokens (U,) of some items."""
        at, offsets = gather_segments(self.offsets, codes.numpy())
        lengths = self.rows.lengths_of(torch.from_numpy(at)).numpy()
        return torch.from_numpy(np.add.reduceat(lengths, offsets[:-1]))

    def take(self, codes: torch.Tensor) -> Column:
        """Return the rows (n, L, ...) of some items, one item after another, and a mask (n, L)."""
        at, _ = gather_segments(self.offsets, codes.numpy())
        return self.rows.take(torch.from_numpy(at))

    def to(self, device: torch.device) -> Grouped:
        """Return the column with its values on a device."""
        return Grouped(self.offsets, self.rows.to(device))


class Packed:
    """The columns that a content operator prepared for N items.

    The values may be on another device. Codes of items and numbers of tokens stay on the CPU, which
    can plan the work without waiting for the device.

    Parameters
    ----------
    columns : dict of str to Ragged, Dense, States or Grouped
        Columns of N items each.

    Attributes
    ----------
    lengths : ndarray of int64, shape (N,)
        Number of tokens per item, summed over the columns.
    """

    def __init__(self, columns: Mapping[str, Ragged | Dense | States | Grouped]):
        self.columns = columns
        lengths = [column.lengths.numpy() for column in columns.values()]
        self.lengths: np.ndarray = np.sum(lengths, axis=0)

    def __len__(self) -> int:
        return len(self.lengths)

    def lengths_of(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the number of tokens of some items, without reading those of others.

        Parameters
        ----------
        codes : int64 tensor of shape (U,), on the CPU
            Positions of the items.

        Returns
        -------
        int64 tensor of shape (U,), on the CPU
        """
        total = torch.zeros(len(codes), dtype=torch.long)
        for column in self.columns.values():
            total = total + column.lengths_of(codes)
        return total

    def take(self, codes: torch.Tensor) -> dict[str, Column]:
        """Return the columns of some items.

        Parameters
        ----------
        codes : int64 tensor of shape (U,), on the CPU
            Positions of the items.

        Returns
        -------
        dict of str to (tensor, tensor)
            Values (U, L) or (U, k) and mask of each column, by its name.
        """
        return {name: column.take(codes) for name, column in self.columns.items()}

    def to(self, device: torch.device) -> Packed:
        """Return the columns with their values on a device.

        Parameters
        ----------
        device : torch.device
            Target device.

        Returns
        -------
        Packed
        """
        return Packed({name: column.to(device) for name, column in self.columns.items()})
