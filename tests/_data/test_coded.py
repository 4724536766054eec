import numpy as np
import pandas as pd
from encoded import encode
from numpy.testing import assert_array_equal

from skrec import Items

ITEMS = Items({100: "", 107: "", 114: ""})
ROWS = {
    "history": [[100], [], [100, 107], [100], []],
    "candidates": [[107], [100, 114], [], [114, 107, 100], [100]],
    "clicked": [[1], [0, 1], [], [0, 0, 1], [1]],
    "time": [5, 4, 3, 2, 1],
}


def histories_of(data):
    """Return the history of each row as a list of codes."""
    parts = np.split(data.history_codes, data.history_offsets[1:-1])
    return [parts[at].tolist() for at in data.history_of_row]


def split(data, values):
    """Split values of candidates into one list per row."""
    return [part.tolist() for part in np.split(values, data.candidate_offsets[1:-1])]


def test_take_keeps_rows_together_and_shares_histories():
    data = encode(pd.DataFrame(ROWS), items=ITEMS)
    taken = data.take(np.array([3, 2, 3, 1]))
    assert histories_of(taken) == [[0], [0, 1], [0], []]
    assert split(taken, taken.candidate_codes) == [[2, 1, 0], [], [2, 1, 0], [0, 2]]
    assert split(taken, taken.clicked) == [[0, 0, 1], [], [0, 0, 1], [0, 1]]
    assert_array_equal(taken.time, [2, 3, 2, 4])
    assert_array_equal(taken.group_of_row, [3, 2, 3, 1])
    assert taken.history_codes is data.history_codes


def test_take_without_labels_and_times():
    taken = encode([[100], [107]], items=ITEMS).take(np.array([1]))
    assert histories_of(taken) == [[1]]
    assert taken.clicked is taken.time is taken.group_of_row is None


def test_history_positions_are_those_of_each_row():
    data = encode(pd.DataFrame(ROWS), items=ITEMS)
    at, offsets = data.history_positions()
    rows = [data.history_codes[part].tolist() for part in np.split(at, offsets[1:-1])]
    assert rows == histories_of(data) == [[0], [], [0, 1], [0], []]


def test_row_of_candidate_counts_empty_rows():
    X = {"history": [[], [], []], "candidates": [[100, 100], [], [100]]}
    assert_array_equal(encode(X, items=ITEMS).row_of_candidate(), [0, 0, 2])


def test_the_last_click_is_split_off():
    # `score` predicts the last click, so the history must not contain it
    rows = [[100, 107], [], [114], [100, 107], [107, 107, 107]]
    shorter, target = encode(rows, items=ITEMS).without_last_click()
    assert histories_of(shorter) == [[0], [], [0], [1, 1]]
    assert_array_equal(target, [1, 2, 1, 1])
    shorter, target = encode([[], []], items=ITEMS).without_last_click()
    assert (shorter.n_rows, len(target)) == (0, 0)
