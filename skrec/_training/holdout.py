"""Split of the training rows into a training and a validation part."""

from __future__ import annotations

import numpy as np

from skrec._data.coded import CodedInteractions


def hold_out(
    data: CodedInteractions, fraction: float, rng: np.random.Generator
) -> tuple[CodedInteractions, CodedInteractions | None]:
    """Split rows into a training and a validation part, without splitting groups.

    The validation part consists of the latest groups if rows have times, and of random groups
    otherwise. If rows have no groups, each row is a group.

    Parameters
    ----------
    data : CodedInteractions
        The rows.
    fraction : float
        Fraction of the groups to hold out. At least one group is held out, and at least one is
        kept.
    rng : numpy.random.Generator
        Generator that chooses the groups if rows have no times.

    Returns
    -------
    training : CodedInteractions
    validation : CodedInteractions or None
        None if there is only one group.
    """
    group = np.arange(data.n_rows) if data.group_of_row is None else data.group_of_row
    _, unit_of_row = np.unique(group, return_inverse=True)
    n_units = int(unit_of_row.max()) + 1
    if n_units < 2:
        return data, None
    if data.time is None:
        order = rng.permutation(n_units)
    else:
        time = np.full(n_units, -np.inf)
        np.maximum.at(time, unit_of_row, data.time)
        order = np.argsort(time, kind="stable")
    n_held = min(max(1, round(fraction * n_units)), n_units - 1)
    held = np.zeros(n_units, dtype=bool)
    held[order[n_units - n_held :]] = True
    held_row = held[unit_of_row]
    return data.take(np.flatnonzero(~held_row)), data.take(np.flatnonzero(held_row))
