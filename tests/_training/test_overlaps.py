import numpy as np
import pandas as pd
import pytest
from encoded import encode

from skrec import Items, behavior, content
from skrec._training import moving_windows, overlaps
from skrec._training.holdout import hold_out
from skrec._training.overlaps import clicks_after


def coded(X, n_items=40):
    return encode(X, items=Items([""] * n_items))


def impressions(rows):
    """Return impressions of (history, clicks), with one candidate that was not clicked."""
    return pd.DataFrame(
        {
            "history": [list(history) for history, _ in rows],
            "candidates": [[*clicks, 39] for _, clicks in rows],
            "clicked": [[1] * len(clicks) + [0] for _, clicks in rows],
        }
    )


def starts_with(history, beginning):
    return history[: len(beginning)] == beginning


def count_by_loop(rows):
    """Count the clicks after each history, by comparing all pairs of rows; without windows."""
    counts = {}
    for history, clicks in rows:
        beginnings = [[*history, click] for click in clicks]
        if len(history) >= overlaps.SHORTEST_PREFIX:
            beginnings.append(list(history))
        after = [
            len(other) - len(history)
            for other, _ in rows
            for beginning in beginnings
            if starts_with(list(other), beginning)
        ]
        counts[tuple(history)] = max([counts.get(tuple(history), 0), *after])
    return [counts[tuple(history)] for history, _ in rows]


@pytest.mark.parametrize("block", [3, 1 << 22])
@pytest.mark.parametrize("n_items", [2, 5, 30])
def test_counts_equal_those_of_a_loop(monkeypatch, n_items, block):
    monkeypatch.setattr("skrec._data.ragged.BLOCK", block)
    monkeypatch.setattr(overlaps, "SHORTEST_WINDOW", 99)
    monkeypatch.setattr(moving_windows, "SHORTEST_WINDOW", 99)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        rows = [
            (rng.integers(n_items, size=rng.integers(7)).tolist(), rng.integers(n_items, size=2))
            for _ in range(50)
        ]
        for _ in range(30):  # continue some of the rows
            history, clicks = rows[rng.integers(len(rows))]
            extended = [*history, *clicks[: rng.integers(3)].tolist()]
            rows.append((extended, rng.integers(n_items, size=rng.integers(3))))
        rows = [(history, np.unique(clicks).tolist()) for history, clicks in rows]
        assert clicks_after(coded(impressions(rows))).tolist() == count_by_loop(rows)


def test_windows_of_one_log_follow_each_other():
    log = list(range(12))
    rows = [(log[max(0, t - 4) : t], [log[t]]) for t in range(12)]
    after = clicks_after(coded(impressions(rows)))
    assert after.tolist() == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    shuffled = np.random.default_rng(0).permutation(12)
    assert clicks_after(coded(impressions([rows[i] for i in shuffled]))).tolist() == [
        int(after[i]) for i in shuffled
    ]


def windows(log, length, starts):
    """Return windows of a log, each with the click that follows."""
    return [(log[t : t + length], [log[t + length]]) for t in starts]


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["impressions", "histories"])
def test_windows_that_move_by_several_clicks_follow_each_other(stride, kind):
    rows = windows(list(range(30)), 8, range(0, 22, stride))
    X = impressions(rows)
    expected = [rows[-1][1][0] - click for _, (click,) in rows]
    if kind == "histories":
        X = [[*history, *clicks] for history, clicks in rows]
    order = np.random.default_rng(0).permutation(len(rows))
    X = X.iloc[order] if kind == "impressions" else [X[i] for i in order]
    assert clicks_after(coded(X)).tolist() == [expected[i] for i in order]


def test_windows_with_too_little_in_common_are_not_recognized():
    log = list(range(30))
    assert clicks_after(coded(impressions(windows(log, 8, [0, 5])))).tolist() == [5, 0]
    assert clicks_after(coded(impressions(windows(log, 8, [0, 6])))).tolist() == [0, 0]
    # the last three clicks of the first are the first of the second, which goes on differently
    rows = [([0, 1, 2, 3, 4], [5]), ([2, 3, 4, 6, 7], [8])]
    assert clicks_after(coded(impressions(rows))).tolist() == [0, 0]
    # it begins like the others, and only the longest goes on with the click
    rows = [([0, 1, 2, 3, 4], [5]), ([2, 3, 4], [9]), ([2, 3, 4, 5, 6, 7], [9])]
    assert clicks_after(coded(impressions(rows))).tolist() == [3, 3, 0]


def test_windows_that_repeat_come_to_an_end():
    rows = [([0, 1, 0], [1]), ([1, 0, 1], [0]), ([2, 2, 2], [2])]
    after = clicks_after(coded(impressions(rows)))
    assert after[2] == 0
    assert (after[:2] > 0).all()
    hold_out(coded(impressions(rows)), 0.5, np.random.default_rng(0))


def test_bare_histories_follow_each_other():
    log = list(range(9))
    assert clicks_after(coded([log[:t] for t in range(1, 10)])).tolist() == list(range(8, -1, -1))
    windows = [log[t : t + 5] for t in range(5)]
    assert clicks_after(coded(windows)).tolist() == [4, 3, 2, 1, 0]
    assert clicks_after(coded([[0, 1], [2, 3], [], [4]])).tolist() == [0, 0, 0, 0]


# What is held out


def targets_inside(data):
    """Return all pairs of a beginning and the click after it inside the histories of the rows."""
    found = set()
    for row in data.history_of_row:
        start, stop = data.history_offsets[row : row + 2]
        history = data.history_codes[start:stop].tolist()
        found |= {(tuple(history[:t]), history[t]) for t in range(len(history))}
    return found


def asked_of(data):
    """Return the pairs of a history and a click that a part asks for."""
    if data.kind == "histories":
        shorter, targets = data.without_last_click()
        rows = zip(shorter.history_of_row, targets.tolist(), strict=True)
        data = shorter
    else:
        at = np.flatnonzero(data.clicked)
        rows = zip(
            data.history_of_row[data.row_of_candidate(at)],
            data.candidate_codes[at].tolist(),
            strict=True,
        )
    offsets, codes = data.history_offsets, data.history_codes
    return {(tuple(codes[offsets[h] : offsets[h + 1]].tolist()), click) for h, click in rows}


def windows_inside(data):
    """Return all stretches of the training histories with at least four clicks."""
    found = set()
    for row in np.unique(data.history_of_row):
        start, stop = data.history_offsets[row : row + 2]
        history = tuple(data.history_codes[start:stop].tolist())
        found |= {history[i:j] for j in range(len(history) + 1) for i in range(j - 3)}
    return found


@pytest.mark.parametrize("block", [3, 1 << 22])
@pytest.mark.parametrize("kind", ["impressions", "histories"])
@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5])
def test_a_held_out_click_is_in_no_training_window(monkeypatch, block, kind, fraction):
    """No history of training contains the last clicks of a held-out row and its click."""
    monkeypatch.setattr("skrec._data.ragged.BLOCK", block)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rows = []
        for _ in range(8):
            log, length = rng.permutation(39).tolist(), int(rng.integers(6, 10))
            starts = np.cumsum(rng.integers(1, length - 3, size=8))
            rows += windows(log, length, [t for t in starts.tolist() if t + length < 39])
        rows = [rows[i] for i in rng.permutation(len(rows))]
        X = impressions(rows)
        if kind == "histories":
            X = [[*history, *clicks] for history, clicks in rows]
        training, held = hold_out(coded(X), fraction, rng)
        inside = windows_inside(training)
        for history, click in asked_of(held):
            assert all((*history[-k:], click) not in inside for k in range(3, len(history) + 1))


def sliding(rng, n_users=12, n_items=30, length=8, window=99):
    logs = [rng.choice(n_items, length, replace=False).tolist() for _ in range(n_users)]
    return [(log[max(0, t - window) : t], [log[t]]) for log in logs for t in range(length)]


@pytest.mark.parametrize("kind", ["impressions", "pairs", "histories", "same time"])
@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_a_held_out_click_is_never_inside_a_training_history(kind, fraction):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows = sliding(rng)
        rows = [rows[i] for i in rng.permutation(len(rows))]
        X = impressions(rows)
        if kind == "histories":
            X = [[*history, *clicks] for history, clicks in rows]
            X += X[:5]  # equal histories are held out together
        if kind == "same time":
            X["time"] = [len(history) // 6 for history, _ in rows]  # days
        data = coded(X)
        if kind == "pairs":
            X = X.assign(candidate=X.candidates.str[0]).drop(columns=["candidates", "clicked"])
            data = encode(X, [1] * len(X), items=Items([""] * 40))
        training, held = hold_out(data, fraction, rng)
        assert abs(held.n_rows - fraction * data.n_rows) <= 6
        assert not asked_of(held) & targets_inside(training)


@pytest.mark.parametrize("n", [10_001, 10**9, 10**12])
def test_too_many_history_targets_are_refused(make_recommender, n):
    with pytest.raises(ValueError, match=f"history_targets must be at most 10000, got {n}"):
        make_recommender(history_targets=n).fit([[0, 1], [1, 2]], Items(["a", "b", "c"]))


NOISE = {
    "impressions": {},
    "windows": {"window": 5},
    "without history targets": {},
    "histories": {},
    "shuffled": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", NOISE)
def test_noise_is_not_learned(make_recommender, kind):
    """Clicks are random, so that any validation score far from 0.5 comes from a leak."""
    rng = np.random.default_rng(0)
    rows = sliding(rng, 60, 300, 12, **NOISE[kind])
    if kind == "shuffled":
        rows = [rows[i] for i in rng.permutation(len(rows))]
    X = pd.DataFrame({"history": [history for history, _ in rows]})
    X["candidates"] = [
        [*clicks, *np.setdiff1d(rng.choice(300, 5), clicks).tolist()] for _, clicks in rows
    ]
    X["clicked"] = [[1] + [0] * (len(candidates) - 1) for candidates in X.candidates]
    if kind == "histories":
        X = [[*history, *clicks] for history, clicks in rows]
    rec = make_recommender(
        content=content.ID(),
        behavior=behavior.GRU(),
        width=32,
        history_targets=0 if kind == "without history targets" else 4,
        n_negatives=64,
        max_epochs=15,
        learning_rate=1e-2,
        n_iter_no_change=15,
    )
    rec.fit(X, pd.DataFrame({"item_id": range(300), "title": [f"w{i}" for i in range(300)]}))
    assert rec.best_score_ < 0.65
