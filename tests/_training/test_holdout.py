import numpy as np
import pandas as pd
import pytest
from encoded import encode

from skrec import Items
from skrec._training.holdout import hold_out

ITEMS = Items([""] * 40)


def pairs(n_rows, **columns):
    """Return rows whose candidate is the row number, which identifies them after a split."""
    X = pd.DataFrame({"history": [[0]] * n_rows, "candidate": range(n_rows), **columns})
    return encode(X, [0, 1] * (n_rows // 2) + [0] * (n_rows % 2), items=ITEMS)


def split(data, fraction=0.25, seed=0):
    parts = hold_out(data, fraction, np.random.default_rng(seed))
    return [None if part is None else part.candidate_codes.tolist() for part in parts]


def test_the_latest_rows_are_held_out():
    # validation rows that are older than training rows would give too high a score
    time = [5, 80, 20, 70, 30, 60, 40, 50]
    training, held = split(pairs(8, time=time))
    assert held == [1, 3]
    assert training == [0, 2, 4, 5, 6, 7]


def test_the_latest_timestamps_are_held_out():
    days = ["9999-12-31", "2020-01-02", "2020-01-01", "1970-01-01"]
    time = pd.DatetimeIndex(np.array(days, "M8[s]"))
    assert split(pairs(4, time=time), 0.5) == [[2, 3], [0, 1]]


def test_impressions_stay_whole():
    # if both parts had rows of one impression, its clicks would leak
    group = np.array([3, 1, 3, 2, 1, 0, 2, 3, 4, 5] * 3)
    training, held = split(pairs(30, impression_id=group), 0.4)
    assert not set(group[training]) & set(group[held])
    assert len(set(group[held])) == round(0.4 * 6)
    assert sorted(training + held) == list(range(30))


def test_an_impression_is_as_late_as_its_latest_row():
    data = pairs(6, impression_id=list("ababcc"), time=[1, 2, 9, 2, 3, 4])
    assert split(data, 0.1) == [[1, 3, 4, 5], [0, 2]]


def test_without_times_the_choice_is_random_and_seeded():
    data = pairs(40)
    assert split(data, seed=1) == split(data, seed=1)
    assert split(data, seed=1) != split(data, seed=2)
    counts = np.zeros(40)
    for seed in range(400):
        counts[split(data, seed=seed)[1]] += 1
    assert counts.sum() == 400 * 10
    assert counts.min() > 60  # expected value 100, standard deviation 8.7
    assert counts.max() < 140


def test_rows_of_impressions_are_split_with_their_candidates_and_labels():
    X = {
        "history": [[0], [1], [0]],
        "candidates": [[1, 2], [3], [4, 5, 6]],
        "clicked": [[0, 1], [1], [1, 0, 0]],
        "time": [3, 1, 2],
    }
    training, held = hold_out(encode(X, items=ITEMS), 0.1, np.random.default_rng(0))
    assert training.candidate_codes.tolist() == [3, 4, 5, 6]
    assert training.clicked.tolist() == [1, 1, 0, 0]
    assert training.time.tolist() == [1, 2]
    assert held.candidate_codes.tolist() == [1, 2]
    assert held.clicked.tolist() == [0, 1]


def test_bare_histories_are_split_by_row():
    data = encode([[i] for i in range(8)], items=ITEMS)
    training, held = hold_out(data, 0.25, np.random.default_rng(0))
    assert (training.n_rows, held.n_rows) == (6, 2)


@pytest.mark.parametrize("fraction", [1e-9, 0.1, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("n_rows", [2, 3, 10])
def test_neither_part_is_empty(n_rows, fraction):
    training, held = split(pairs(n_rows), fraction)
    assert training
    assert held
    assert sorted(training + held) == list(range(n_rows))


def test_one_impression_is_all_for_training():
    assert split(pairs(3, impression_id=[7, 7, 7])) == [[0, 1, 2], None]
    assert split(pairs(1)) == [[0], None]
