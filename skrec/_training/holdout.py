"""Split of the training rows into a training and a validation part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skrec._data.coded import CodedInteractions
from skrec._data.ragged import offsets_of
from skrec._training.overlaps import clicks_after, repeated_beginnings


def hold_out(
    data: CodedInteractions, fraction: float, rng: np.random.Generator
) -> tuple[CodedInteractions, CodedInteractions | None]:
    """Split rows into a training and a validation part, without splitting groups.

    The validation part consists of the latest groups if rows have times, and of random groups
    otherwise. If rows have no groups, each row is a group, and equal bare histories are one group.

    If the history of one row continues in that of another, the later one is held out first, because
    training on it would reveal the click of the earlier one. Sliding prefixes of one log, for
    example, are held out from their ends.

    Only the last click of a bare history is held out, because it is the one that is predicted. The
    clicks before it are in both parts, unless they repeat clicks of other rows.

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
    _, unit_of_row = np.unique(_groups(data), return_inverse=True)
    n_units = int(unit_of_row.max()) + 1
    if n_units < 2:
        return data, None
    n_held = min(max(1, round(fraction * n_units)), n_units - 1)
    n_kept = n_units - n_held
    if data.time is None:
        order = rng.permutation(n_units)
        order = order[np.argsort(-_clicks_after(data, unit_of_row)[order], kind="stable")]
    else:
        time = np.full(n_units, -np.inf)
        np.maximum.at(time, unit_of_row, data.time)
        order = np.argsort(time, kind="stable")
        if time[order[n_kept - 1]] == time[order[n_kept]]:
            order = np.lexsort((-_clicks_after(data, unit_of_row), time))
    held = np.zeros(n_units, dtype=bool)
    held[order[n_kept:]] = True
    held_row = held[unit_of_row]
    valid = data.take(np.flatnonzero(held_row))
    if data.kind == "histories":
        return _without_held_clicks(data, held_row), valid
    return data.take(np.flatnonzero(~held_row)), valid


def _without_held_clicks(data: CodedInteractions, held_row: np.ndarray) -> CodedInteractions:
    """Return all rows of bare histories, without the last click of those that are held out.

    Equal histories are held out together, so a history is shortened for all of its rows. Held-out
    histories that repeat clicks of other rows are left out.
    """
    lengths = np.diff(data.history_offsets)
    held = np.zeros(len(lengths), dtype=bool)
    held[data.history_of_row[held_row]] = True
    kept = np.ones(len(data.history_codes), dtype=bool)
    kept[data.history_offsets[1:][held & (lengths > 0)] - 1] = False
    shorter = replace(
        data,
        history_offsets=offsets_of(lengths - (held & (lengths > 0))),
        history_codes=data.history_codes[kept],
    )
    # rows without any click left teach nothing, and are not to be counted as skipped
    is_left = (np.diff(shorter.history_offsets) > 0) & ~repeated_beginnings(data, held_row)
    return shorter.take(np.flatnonzero(is_left[data.history_of_row] | ~held_row))


def _groups(data: CodedInteractions) -> np.ndarray:
    """Return the number of the group of each row (n,), whose rows are held out together."""
    if data.group_of_row is not None:
        return data.group_of_row
    own = np.arange(data.n_rows)
    if data.kind != "histories":
        return own
    filled = np.diff(data.history_offsets)[data.history_of_row] > 0
    return np.where(filled, data.history_of_row, len(data.history_offsets) + own)


def _clicks_after(data: CodedInteractions, unit_of_row: np.ndarray) -> np.ndarray:
    """Return the largest number of clicks after the histories of each unit; see `clicks_after`."""
    after = np.zeros(int(unit_of_row.max()) + 1, dtype=np.int64)
    np.maximum.at(after, unit_of_row, clicks_after(data))
    return after
