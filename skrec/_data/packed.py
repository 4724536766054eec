"""Prepared columns of a catalogue as tensors, without padding, read by gather."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skrec._data.states import States

# one column of some items: values (U, L) or (U, k), and the mask (U, L) of real tokens
Column = tuple[torch.Tensor, torch.Tensor]


def outer_columns(columns: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Rename an inner operator's columns, so that they can stand beside others."""
    return {prefix + name: column for name, column in columns.items()}


def inner_columns(columns: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Pick the columns that `outer_columns` renamed, under their own names."""
    return {
        name.removeprefix(prefix): column
        for name, column in columns.items()
        if name.startswith(prefix)
    }


@dataclass(frozen=True)
class Ragged:
    """Token ids of N items laid end to end; item i has ``values[offsets[i]:offsets[i + 1]]``."""

    offsets: torch.Tensor
    values: torch.Tensor

    @property
    def lengths(self) -> torch.Tensor:
        """Tokens of each item, of shape (N,)."""
        return self.offsets[1:] - self.offsets[:-1]

    def take(self, codes: torch.Tensor) -> Column:
        """Return the ids (U, L), padded with 0 to the longest of these, and their mask."""
        start = self.offsets[codes]  # (U,)
        lengths = self.offsets[codes + 1] - start
        place = torch.arange(max(1, int(lengths.max())), device=codes.device)  # (L,)
        mask = place < lengths.unsqueeze(1)  # (U, L)
        at = (start.unsqueeze(1) + place).masked_fill_(~mask, 0)
        if not len(self.values):
            return torch.zeros_like(at), mask
        return self.values[at].masked_fill_(~mask, 0), mask

    def to(self, device: torch.device) -> Ragged:
        """Return the column on a device."""
        return Ragged(self.offsets.to(device), self.values.to(device))


@dataclass(frozen=True)
class Dense:
    """One row of values an item, of shape (N, k): codes or floats."""

    values: torch.Tensor

    @property
    def lengths(self) -> torch.Tensor:
        """One token an item, of shape (N,)."""
        return torch.ones(len(self.values), dtype=torch.long)

    def take(self, codes: torch.Tensor) -> Column:
        """Return the values (U, k) and a mask (U, 1) of true."""
        mask = torch.ones((len(codes), 1), dtype=torch.bool, device=codes.device)
        return self.values[codes], mask

    def to(self, device: torch.device) -> Dense:
        """Return the column on a device."""
        return Dense(self.values.to(device))


class Packed:
    """What a content operator prepared of N items.

    Parameters
    ----------
    columns : dict of str to Ragged, Dense or States
        The columns, all of N items.

    Attributes
    ----------
    lengths : ndarray of int64, shape (N,)
        Tokens of each item over all columns.
    """

    def __init__(self, columns: Mapping[str, Ragged | Dense | States]):
        self.columns = columns
        lengths = [column.lengths.cpu().numpy() for column in columns.values()]
        self.lengths: np.ndarray = np.sum(lengths, axis=0)

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, codes: torch.Tensor) -> dict[str, Column]:
        """Return the columns of some items.

        Parameters
        ----------
        codes : int64 tensor of shape (U,)
            Positions of the items.

        Returns
        -------
        dict of str to (values, mask)
        """
        return {name: column.take(codes) for name, column in self.columns.items()}

    def to(self, device: torch.device) -> Packed:
        """Return the columns on a device.

        Parameters
        ----------
        device : torch.device
            Where to put them.

        Returns
        -------
        Packed
        """
        return Packed({name: column.to(device) for name, column in self.columns.items()})
