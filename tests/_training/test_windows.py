"""Windows of histories, compared with a loop over clicks."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skrec._training.windows import WindowBatch, cut_windows


def plain_windows(start, stop, length):
    """Return the windows of one history, from its end to its beginning."""
    windows = []
    while stop > start:
        windows.append((max(start, stop - length), stop))
        if windows[-1][0] == start:
            break
        stop = windows[-1][0] + 1  # its first click is a target of the window before
    return windows[::-1]


@pytest.mark.parametrize("length", [2, 3, 7, 50])
def test_windows_equal_a_loop(length):
    rng = np.random.default_rng(length)
    lengths = np.append(rng.integers(0, 40, size=200), [0, 1, 2, length, length + 1, 2 * length])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    history, starts, stops = cut_windows(offsets[:-1], offsets[1:], length)
    expected = [
        (number, *window)
        for number in range(len(lengths))
        for window in plain_windows(offsets[number], offsets[number + 1], length)
    ]
    assert list(zip(history, starts, stops, strict=True)) == expected


@pytest.mark.parametrize("length", [2, 5, 100])
def test_each_click_is_a_target_once_with_a_history_that_ends_before_it(length):
    lengths = np.array([7, 0, 1, 12, 5])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    history, starts, stops = cut_windows(offsets[:-1], offsets[1:], length)
    none = np.zeros((len(starts), 0), dtype=bool)
    ones = np.ones(len(starts))
    windows = WindowBatch(starts, stops, starts == offsets[history], none, ones, ones)
    window, before, places = windows.targets()
    assert_array_equal(np.sort(places), np.arange(lengths.sum()))
    assert windows.n_targets() == len(places)
    assert (before <= places).all()
    assert (places - before < length).all()
    assert (before >= offsets[history[window]]).all()
    # only the first click of a history has none before it
    assert_array_equal(np.sort(places[places == before]), offsets[:-1][lengths > 0])
