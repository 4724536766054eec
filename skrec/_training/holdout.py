"""Split the held-out part off the training rows."""

from __future__ import annotations

import numpy as np

from skrec._data.coded import CodedInteractions


def hold_out(
    data: CodedInteractions, fraction: float, rng: np.random.Generator
) -> tuple[CodedInteractions, CodedInteractions | None]:
    """Split rows into a training and a validation part; impressions stay whole.

    Parameters
    ----------
    data : CodedInteractions
    fraction : float
        Share of the impressions (or rows, where nothing groups them) to hold out, at least one.
    rng : numpy.random.Generator
        Chooses them where `data` has no times; else they are the latest.

    Returns
    -------
    training : CodedInteractions
    validation : CodedInteractions or None
        None where there is but one impression.
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
