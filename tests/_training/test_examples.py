import numpy as np
import pytest
from encoded import encode
from numpy.testing import assert_array_equal

from skrec import Items
from skrec._training.examples import (
    ImpressionExamples,
    NextClickExamples,
    PairExamples,
    WithHistoryTargets,
    make_examples,
    resolve_loss,
)
from skrec._training.negatives import NegativeSampler


def coded(n_items, X, y=None):
    return encode(X, y, items=Items([""] * n_items))


def random_impressions(seed=0, n_rows=60, n_items=30):
    """Draw impressions with repeated candidates, some of them without clicks or negatives."""
    rng = np.random.default_rng(seed)
    X = {"history": [], "candidates": [], "clicked": []}
    for _ in range(n_rows):
        size = rng.integers(1, 8)
        X["history"].append(rng.integers(n_items, size=rng.integers(10)).tolist())
        X["candidates"].append(rng.integers(n_items, size=size).tolist())
        X["clicked"].append(rng.integers(2, size=size).tolist())
    return X


def clicks_of(X):
    """Return the row and click of each example, computed by a loop."""
    return [
        (row, code)
        for row, (codes, clicked) in enumerate(zip(X["candidates"], X["clicked"], strict=True))
        for code, click in zip(codes, clicked, strict=True)
        if click
    ]


def impression_examples(X, n_negatives, n_items, y=None, sampling="uniform"):
    data = coded(n_items, X, y)
    return ImpressionExamples(data, NegativeSampler(data, n_items, n_negatives, sampling))


def next_click_examples(X, n_negatives, n_items, n_targets=1):
    data = coded(n_items, X)
    return NextClickExamples(
        data, NegativeSampler(data, n_items, n_negatives, "uniform"), n_targets
    )


def pair_examples(X, y, n_items=9):
    data = coded(n_items, X, y)
    return PairExamples(data, NegativeSampler(data, n_items, 1, "uniform"))


def draw_all(examples, seed=0):
    """Draw the examples of all rows; item i of the pool is item i of the catalogue."""
    pool = np.arange(examples.sampler.n_items)
    return examples.draw(np.arange(len(examples)), pool, np.random.default_rng(seed))


def negatives_of(drawn, row):
    """Return the candidates after the first one, and the sampled items of the pool."""
    shown = drawn.candidates[row, 1:][drawn.mask[row, 1:]].tolist()
    return shown + np.flatnonzero(drawn.sampled[row]).tolist()


# Impressions


@pytest.mark.parametrize("n_items", [10, 30])
@pytest.mark.parametrize("n_negatives", [1, 4, 20])
def test_negatives_of_impressions(n_negatives, n_items):
    X = random_impressions(n_items=n_items)
    examples = impression_examples(X, n_negatives, n_items)
    drawn = draw_all(examples)
    expected = clicks_of(X)
    assert len(examples) == len(expected)
    for at, (row, click) in enumerate(expected):
        history = X["history"][row]
        assert examples.history_codes[drawn.starts[at] : drawn.stops[at]].tolist() == history
        assert drawn.candidates[at, 0] == click
        assert drawn.mask[at, 0]
        negatives = negatives_of(drawn, at)
        assert len(set(negatives)) == len(negatives)
        clicked = {code for other, code in expected if other == row}
        assert not clicked & set(negatives)
        shown = set(X["candidates"][row]) - clicked
        # items that were shown come first, then others that are not in the history
        assert len(shown & set(negatives)) == min(n_negatives, len(shown))
        assert not set(history) & (set(negatives) - shown)
        allowed = set(range(n_items)) - clicked - set(history) - shown
        assert len(negatives) == min(n_negatives, len(shown) + len(allowed))
    assert (drawn.labels[:, 0] == 1).all()
    assert drawn.labels.sum() == len(expected)


def test_the_only_items_that_are_allowed_are_found():
    # 2 items were shown, and 2 more are neither clicked nor in the history
    X = {"history": [[0, 1]], "candidates": [[2, 3, 4]], "clicked": [[1, 0, 0]]}
    drawn = draw_all(impression_examples(X, 5, 7))
    assert sorted(negatives_of(drawn, 0)) == [3, 4, 5, 6]


def test_no_item_is_left_to_sample():
    X = {"history": [[0, 1]], "candidates": [[2]], "clicked": [[1]]}
    drawn = draw_all(impression_examples(X, 4, 3))
    assert_array_equal(drawn.mask, [[True]])


def test_shown_negatives_are_uniform_and_drawn_anew():
    X = {"history": [[]], "candidates": [[0, 1, 2, 3, 4, 5]], "clicked": [[0, 1, 0, 0, 0, 0]]}
    examples = impression_examples(X, 2, 40)
    rng, counts = np.random.default_rng(0), np.zeros(40)
    for _ in range(2000):
        drawn = examples.draw(np.array([0]), np.arange(40), rng)
        counts[drawn.candidates[0, 1:]] += 1
    assert counts.sum() == counts[[0, 2, 3, 4, 5]].sum() == 4000
    assert np.abs(counts[[0, 2, 3, 4, 5]] - 800).max() < 110  # 5 standard deviations


def test_an_item_that_was_listed_twice_is_one_negative():
    X = {"history": [[]], "candidates": [[0, 1, 1, 1, 2, 2]], "clicked": [[1, 0, 0, 0, 1, 0]]}
    drawn = draw_all(impression_examples(X, 2, 3))
    # item 1 occurs once, and item 2 is no negative, because it was clicked once
    assert [negatives_of(drawn, row) for row in range(2)] == [[1], [1]]


def test_impressions_without_a_click_are_skipped_and_counted():
    X = {
        "history": [[0]] * 4,
        "candidates": [[1, 2], [3], [], [4, 5]],
        "clicked": [[0, 0], [1], [], [0, 1]],
    }
    examples = impression_examples(X, 1, 9)
    assert examples.n_skipped == 2
    assert_array_equal(draw_all(examples).candidates[:, 0], [3, 5])


def test_pairs_of_one_impression_share_clicks_and_negatives():
    X = {
        "history": [[0], [0], [9], [8]],
        "candidate": [1, 2, 3, 4],
        "impression_id": ["b", "a", "b", "a"],
    }
    examples = impression_examples(X, 1, 10, [1, 0, 1, 1])
    drawn = draw_all(examples)
    assert_array_equal(drawn.candidates[:, 0], [1, 3, 4])
    # the history is that of the row with the click
    assert_array_equal(examples.history_codes[drawn.starts], [0, 9, 8])
    assert negatives_of(drawn, 2) == [2]  # shown in the same impression
    for row in range(2):  # 1 and 3 were clicked in the same impression
        assert not {1, 3} & set(negatives_of(drawn, row))
    assert examples.n_skipped == 0


def test_data_without_a_click_raise():
    X = {"history": [[0], [1]], "candidates": [[1, 2], [3]], "clicked": [[0, 0], [0]]}
    message = "none of the 3 candidates was clicked; training needs at least one 1 in 'clicked'"
    with pytest.raises(ValueError, match=message):
        impression_examples(X, 1, 9)


# Bare histories


def test_next_click_is_predicted_from_the_clicks_before_it():
    histories = [[0, 1, 2, 3], [4, 5], [6], [], [7, 8, 7]]
    examples = next_click_examples(histories, 4, 20)
    assert len(examples) == 4
    assert examples.n_skipped == 1
    kept, places = [history for history in histories if history], set()
    for seed in range(80):
        drawn = draw_all(examples, seed)
        for at, history in enumerate(kept):
            past = examples.history_codes[drawn.starts[at] : drawn.stops[at]].tolist()
            assert past == history[: len(past)]
            assert drawn.candidates[at, 0] == history[len(past)]
            places.add((at, len(past)))
            # later clicks are no negatives, either
            assert not set(negatives_of(drawn, at)) & set(history)
            assert len(negatives_of(drawn, at)) == 4
    # the first click has an empty history, from which the vector of new users is learned
    assert places == {(at, n) for at, history in enumerate(kept) for n in range(len(history))}


def test_several_targets_of_each_history():
    examples = next_click_examples([[0, 1, 2], [3]], 2, 20, n_targets=3)
    assert len(examples) == 2
    drawn = draw_all(examples)
    assert drawn.sampled.sum(axis=1).tolist() == [2] * 6
    assert set(drawn.candidates[:3, 0].tolist()) <= {0, 1, 2}
    assert drawn.candidates[3:, 0].tolist() == [3, 3, 3]


def test_equal_histories_are_examples_of_their_own():
    examples = next_click_examples([[1, 2, 3]] * 5, 1, 20)
    assert len(examples) == 5
    assert len(set(draw_all(examples).stops.tolist())) > 1


def test_empty_histories_alone_raise():
    with pytest.raises(ValueError, match="every history is empty"):
        next_click_examples([[], []], 1, 9)


# Clicks inside histories


def test_history_targets_stand_below_the_examples():
    X = {"history": [[0, 1, 2], []], "candidates": [[3, 4], [5, 6]], "clicked": [[1, 0], [0, 1]]}
    inner = impression_examples(X, 1, 20)
    examples = WithHistoryTargets(inner, 2)
    assert len(examples) == 2
    firsts = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        drawn = examples.draw(np.arange(2), np.arange(20), rng)
        # the clicks of the rows, then two targets from the only history that is not empty
        assert drawn.candidates[:2, 0].tolist() == [3, 6]
        assert len(drawn.mask) == 4
        for row in (2, 3):
            past = inner.history_codes[drawn.starts[row] : drawn.stops[row]].tolist()
            assert past + [drawn.candidates[row, 0]] == [0, 1, 2][: len(past) + 1]
            assert drawn.labels[row].tolist() == [1.0] + [0.0] * (drawn.labels.shape[1] - 1)
            (negative,) = negatives_of(drawn, row)
            # neither a click of the history nor the click of the row
            assert negative not in (0, 1, 2, 3)
            firsts.add(drawn.candidates[row, 0])
    assert firsts == {0, 1, 2}


def test_history_targets_of_labeled_pairs():
    X = {"history": [[0, 1], [0, 1]], "candidate": [3, 4]}
    data = coded(20, X, [1, 0])
    sampler = NegativeSampler(data, 20, 2, "uniform")
    examples = make_examples(data, "bce", sampler, history_targets=1)
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = examples.draw(np.arange(2), np.arange(20), rng)
        assert drawn.mask.sum(axis=1).tolist() == [1, 1, 1, 1]
        assert drawn.sampled.sum(axis=1).tolist() == [0, 0, 2, 2]
        assert drawn.labels[:, 0].tolist() == [1, 0, 1, 1]
        assert 3 not in negatives_of(drawn, 2)  # the click of the pair


# Weights and sampling probabilities


def test_weights_are_one_on_average_and_follow_their_row():
    X = {"history": [[0], [1], [2]], "candidates": [[3, 4], [5, 6, 7], [8]], "clicked": [[1, 0]]}
    X["clicked"] += [[1, 0, 1], [0]]
    items = Items([""] * 9)
    data = encode(X, items=items, sample_weight=[1.0, 4.0, 1.0])
    sampler = NegativeSampler(data, 9, 1, "uniform")
    inner = make_examples(data, "softmax", sampler)
    assert draw_all(inner).weight.tolist() == [0.5, 2.0, 2.0]
    both = WithHistoryTargets(inner, 1)
    drawn = both.draw(np.arange(3), np.arange(9), np.random.default_rng(0))
    assert drawn.weight.tolist() == [0.5, 2.0, 2.0] * 2
    pairs = make_examples(data, "bce", sampler)
    drawn = pairs.draw(np.arange(6), np.arange(9), np.random.default_rng(0))
    assert drawn.weight.tolist() == [0.5, 0.5, 2.0, 2.0, 2.0, 0.5]
    histories = encode([[0], [], [2, 1]], items=items, sample_weight=[3.0, 1.0, 2.0])
    next_clicks = make_examples(histories, "softmax", sampler)
    assert draw_all(next_clicks).weight.tolist() == [1.5, 1.0]


# Pairs


def test_pairs_keep_their_own_label():
    X = {"history": [[1, 2], [], [1, 2]], "candidate": [3, 4, 5]}
    examples = pair_examples(X, [0, 1, 1])
    drawn = examples.draw(np.array([2, 0]), np.arange(9), np.random.default_rng(0))
    assert_array_equal(drawn.candidates, [[5], [3]])
    assert_array_equal(drawn.labels, [[1.0], [0.0]])
    assert drawn.mask.all()
    assert_array_equal(drawn.stops - drawn.starts, [2, 2])


@pytest.mark.parametrize("label", [0, 1])
def test_pairs_of_one_class_raise(label):
    X = {"history": [[1], [2]], "candidate": [3, 4]}
    with pytest.raises(ValueError, match=f"all 2 labels are {label}; training needs both"):
        pair_examples(X, [label, label])


# Examples of each loss

PAIRS = {"history": [[1, 2], [2, 3]], "candidate": [3, 4], "clicked": [0, 1]}
IMPRESSIONS = {"history": [[1, 2]], "candidates": [[3, 4]], "clicked": [[0, 1]]}


@pytest.mark.parametrize(
    ("X", "loss", "resolved", "examples"),
    [
        (IMPRESSIONS, None, "softmax", ImpressionExamples),
        (IMPRESSIONS, "bce", "bce", PairExamples),
        (PAIRS, None, "bce", PairExamples),
        (PAIRS | {"impression_id": [5, 5]}, None, "softmax", ImpressionExamples),
        (PAIRS | {"impression_id": [5, 5]}, "bce", "bce", PairExamples),
        (IMPRESSIONS, "bpr", "bpr", ImpressionExamples),
        ([[1, 2], [3]], None, "softmax", NextClickExamples),
        ([[1, 2], [3]], "bce", "bce", NextClickExamples),
    ],
)
def test_default_loss_and_examples(X, loss, resolved, examples):
    data = coded(9, X)
    assert resolve_loss(loss, data) == resolved
    sampler = NegativeSampler(data, 9, 2, "uniform")
    assert type(make_examples(data, resolved, sampler)) is examples


@pytest.mark.parametrize("loss", ["softmax", "bpr"])
def test_losses_that_compare_need_groups(loss):
    message = f"loss='{loss}' compares.*'impression_id' column, or take loss='bce'"
    with pytest.raises(ValueError, match=message):
        resolve_loss(loss, coded(9, PAIRS))
