import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skrec import Items, _batches
from skrec._batches import (
    Drawn,
    ImpressionExamples,
    NextClickExamples,
    PairExamples,
    collate,
    iterate_batches,
    make_examples,
    pad_histories,
    resolve_loss,
    sample_negatives,
)
from skrec._interactions import encode


@pytest.fixture(params=["exact", "rejection"])
def path(request, monkeypatch):
    """Both ways of sampling: among all that are allowed, or with redraws."""
    monkeypatch.setattr(_batches, "EXACT_CELLS", 1 << 20 if request.param == "exact" else 0)
    return request.param


def coded(n_items, X, y=None):
    return encode(X, y, items=Items([""] * n_items))


def random_impressions(seed=0, n_rows=60, n_items=30):
    """Draw impressions with repeated candidates, some without clicks or negatives."""
    rng = np.random.default_rng(seed)
    X = {"history": [], "candidates": [], "clicked": []}
    for _ in range(n_rows):
        size = rng.integers(1, 8)
        X["history"].append(rng.integers(n_items, size=rng.integers(10)).tolist())
        X["candidates"].append(rng.integers(n_items, size=size).tolist())
        X["clicked"].append(rng.integers(2, size=size).tolist())
    return X


def clicks_of(X):
    """The examples by a loop: row and click, in the order of ImpressionExamples."""
    return [
        (row, code)
        for row, (codes, clicked) in enumerate(zip(X["candidates"], X["clicked"], strict=True))
        for code, click in zip(codes, clicked, strict=True)
        if click
    ]


def draw_all(examples, seed=0):
    return examples.draw(np.arange(len(examples)), np.random.default_rng(seed))


# Impressions


@pytest.mark.parametrize("n_items", [10, 30])
@pytest.mark.parametrize("n_negatives", [1, 4, 20])
def test_negatives_of_impressions(path, n_negatives, n_items):
    X = random_impressions(n_items=n_items)
    examples = ImpressionExamples(coded(n_items, X), n_negatives, n_items)
    drawn = draw_all(examples)
    expected = clicks_of(X)
    assert len(examples) == len(expected)
    for at, (row, click) in enumerate(expected):
        history = X["history"][row]
        assert examples.history_codes[drawn.starts[at] : drawn.stops[at]].tolist() == history
        assert drawn.candidates[at, 0] == click
        assert drawn.mask[at, 0]
        negatives = drawn.candidates[at, 1:][drawn.mask[at, 1:]].tolist()
        assert len(set(negatives)) == len(negatives)
        clicked = {code for other, code in expected if other == row}
        assert not clicked & set(negatives)
        shown = set(X["candidates"][row]) - clicked
        # all that were shown, as far as there is room, and then others, never of the history
        assert len(shown & set(negatives)) == min(n_negatives, len(shown))
        assert not set(history) & (set(negatives) - shown)
        allowed = set(range(n_items)) - clicked - set(history) - shown
        assert len(negatives) <= min(n_negatives, len(shown) + len(allowed))
        if path == "exact":
            assert len(negatives) == min(n_negatives, len(shown) + len(allowed))
    assert_array_equal(drawn.labels, np.eye(1, 1 + n_negatives).repeat(len(expected), axis=0))


def test_the_only_items_that_are_allowed_are_found():
    # 2 shown, 2 more that are neither clicked nor in the history
    X = {"history": [[0, 1]], "candidates": [[2, 3, 4]], "clicked": [[1, 0, 0]]}
    drawn = draw_all(ImpressionExamples(coded(7, X), 5, 7))
    assert sorted(drawn.candidates[drawn.mask].tolist()) == [2, 3, 4, 5, 6]


def test_no_item_is_left_to_sample(path):
    X = {"history": [[0, 1]], "candidates": [[2]], "clicked": [[1]]}
    drawn = draw_all(ImpressionExamples(coded(3, X), 4, 3))
    assert_array_equal(drawn.mask, [[True, False, False, False, False]])


def test_shown_negatives_are_uniform_and_drawn_anew():
    X = {"history": [[]], "candidates": [[0, 1, 2, 3, 4, 5]], "clicked": [[0, 1, 0, 0, 0, 0]]}
    examples = ImpressionExamples(coded(40, X), 2, 40)
    rng, counts = np.random.default_rng(0), np.zeros(40)
    for _ in range(2000):
        drawn = examples.draw(np.array([0]), rng)
        counts[drawn.candidates[0, 1:]] += 1
    assert counts.sum() == counts[[0, 2, 3, 4, 5]].sum() == 4000
    assert np.abs(counts[[0, 2, 3, 4, 5]] - 800).max() < 110  # 5 standard deviations


def test_an_item_that_was_listed_twice_is_one_negative():
    X = {"history": [[]], "candidates": [[0, 1, 1, 1, 2, 2]], "clicked": [[1, 0, 0, 0, 1, 0]]}
    drawn = draw_all(ImpressionExamples(coded(3, X), 2, 3))
    # 1 once; 2 was clicked in one place
    assert_array_equal(drawn.candidates[:, 1][drawn.mask[:, 1]], [1, 1])
    assert not drawn.mask[:, 2].any()


def test_impressions_without_a_click_are_skipped_and_counted():
    X = {
        "history": [[0]] * 4,
        "candidates": [[1, 2], [3], [], [4, 5]],
        "clicked": [[0, 0], [1], [], [0, 1]],
    }
    examples = ImpressionExamples(coded(9, X), 1, 9)
    assert examples.n_skipped == 2
    assert_array_equal(draw_all(examples).candidates[:, 0], [3, 5])


def test_pairs_of_one_impression_share_clicks_and_negatives():
    X = {
        "history": [[0], [0], [9], [8]],
        "candidate": [1, 2, 3, 4],
        "impression_id": ["b", "a", "b", "a"],
    }
    examples = ImpressionExamples(coded(10, X, [1, 0, 1, 1]), 1, 10)
    drawn = draw_all(examples)
    assert_array_equal(drawn.candidates[:, 0], [1, 3, 4])
    # the history is that of the click's own row
    assert_array_equal(examples.history_codes[drawn.starts], [0, 9, 8])
    assert drawn.candidates[2, 1] == 2  # shown in the same impression
    assert not {1, 3} & set(drawn.candidates[:2, 1].tolist())  # clicked in the same impression
    assert examples.n_skipped == 0


def test_data_without_a_click_raise():
    X = {"history": [[0], [1]], "candidates": [[1, 2], [3]], "clicked": [[0, 0], [0]]}
    message = "none of the 3 candidates was clicked; training needs at least one 1 in 'clicked'"
    with pytest.raises(ValueError, match=message):
        ImpressionExamples(coded(9, X), 1, 9)


# Sampling


@pytest.mark.parametrize("n_rows", [1, 50])
def test_sampled_items_are_uniform_over_the_allowed(path, n_rows):
    rng, n_items = np.random.default_rng(0), 12
    forbidden = np.repeat(np.arange(n_rows), 3), np.tile([0, 5, 11], n_rows)
    counts = np.zeros(n_items)
    for _ in range(3000 // n_rows):
        codes, mask = sample_negatives(rng, n_rows, 3, n_items, *forbidden)
        assert mask.all()
        assert (np.diff(np.sort(codes, axis=1), axis=1) > 0).all()
        counts += np.bincount(codes.ravel(), minlength=n_items)
    assert_array_equal(counts[[0, 5, 11]], 0)
    allowed = np.delete(counts, [0, 5, 11])
    assert np.abs(allowed - 1000).max() < 130  # 5 standard deviations


def test_each_row_has_its_own_forbidden_items(path):
    rows, codes = np.array([0, 0, 2, 2, 2]), np.array([0, 1, 0, 1, 2])
    codes, mask = sample_negatives(np.random.default_rng(0), 3, 2, 4, rows, codes)
    assert set(codes[0][mask[0]].tolist()) <= {2, 3}
    assert set(codes[2][mask[2]].tolist()) <= {3}
    assert mask.sum(axis=1)[1] == 2


def test_more_negatives_than_items_leave_the_rest_masked(path):
    none = np.empty(0, dtype=np.int64)
    codes, mask = sample_negatives(np.random.default_rng(0), 2, 5, 3, none, none)
    assert codes.shape == mask.shape == (2, 5)
    assert ((codes >= 0) & (codes < 3)).all()  # also where masked: they index embeddings
    for row in range(2):
        assert sorted(codes[row][mask[row]].tolist()) == [0, 1, 2]


# Bare histories


def test_next_click_is_predicted_from_the_clicks_before_it(path):
    histories = [[0, 1, 2, 3], [4, 5], [6], [], [7, 8, 7]]
    examples = NextClickExamples(coded(20, histories), 4, 20)
    assert len(examples) == 3
    assert examples.n_skipped == 2
    kept, places = [histories[0], histories[1], histories[4]], set()
    for seed in range(60):
        drawn = draw_all(examples, seed)
        for at, history in enumerate(kept):
            past = examples.history_codes[drawn.starts[at] : drawn.stops[at]].tolist()
            assert past  # a click without a past teaches nothing
            assert past == history[: len(past)]
            assert drawn.candidates[at, 0] == history[len(past)]
            places.add((at, len(past)))
            # also none of the clicks that came later
            assert not set(drawn.candidates[at, 1:].tolist()) & set(history)
        assert drawn.mask.all()
    assert places == {(0, 1), (0, 2), (0, 3), (1, 1), (2, 1), (2, 2)}


def test_equal_histories_are_examples_of_their_own():
    examples = NextClickExamples(coded(20, [[1, 2, 3]] * 5), 1, 20)
    assert len(examples) == 5
    assert len(set(draw_all(examples).stops.tolist())) == 2


def test_histories_too_short_to_learn_from_raise():
    with pytest.raises(ValueError, match="every history has fewer than 2 clicks"):
        NextClickExamples(coded(9, [[1], [], [2]]), 1, 9)


# Pairs


def test_pairs_keep_their_own_label():
    X = {"history": [[1, 2], [], [1, 2]], "candidate": [3, 4, 5]}
    examples = PairExamples(coded(9, X, [0, 1, 1]))
    drawn = examples.draw(np.array([2, 0]), np.random.default_rng(0))
    assert_array_equal(drawn.candidates, [[5], [3]])
    assert_array_equal(drawn.labels, [[1.0], [0.0]])
    assert drawn.mask.all()
    assert_array_equal(drawn.stops - drawn.starts, [2, 2])


@pytest.mark.parametrize("label", [0, 1])
def test_pairs_of_one_class_raise(label):
    X = {"history": [[1], [2]], "candidate": [3, 4]}
    with pytest.raises(ValueError, match=f"all 2 labels are {label}; training needs both"):
        PairExamples(coded(9, X, [label, label]))


# Which examples a loss trains on

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
        ([[1, 2], [3]], None, "softmax", NextClickExamples),
        ([[1, 2], [3]], "bce", "bce", NextClickExamples),
    ],
)
def test_default_loss_and_examples(X, loss, resolved, examples):
    data = coded(9, X)
    assert resolve_loss(loss, data) == resolved
    assert type(make_examples(data, resolved, 2, 9)) is examples


def test_softmax_needs_groups():
    with pytest.raises(
        ValueError, match="give pairs an 'impression_id' column, or take loss='bce'"
    ):
        resolve_loss("softmax", coded(9, PAIRS))


# Batches


def random_drawn(rng, n_rows=40, n_candidates=5, n_items=50):
    codes = rng.integers(3, n_items, size=300).astype(np.int32)
    starts = rng.integers(280, size=12)[rng.integers(12, size=n_rows)]
    stops = starts + rng.integers(12, size=300)[starts]  # equal starts have equal stops
    candidates = rng.integers(3, n_items, size=(n_rows, n_candidates))
    mask = rng.random(candidates.shape) < 0.8
    candidates[~mask] = 1  # masked: must never be encoded
    labels = rng.integers(2, size=candidates.shape).astype(np.float32)
    return Drawn(starts, stops, candidates, mask, labels), codes


@pytest.mark.parametrize("max_history", [1, 4, 50])
def test_collate_equals_a_loop(max_history):
    drawn, codes = random_drawn(np.random.default_rng(max_history))
    batch = collate(drawn, codes, max_history)
    named = set(drawn.candidates[drawn.mask].tolist())
    for row, (start, stop) in enumerate(zip(drawn.starts, drawn.stops, strict=True)):
        latest = codes[start:stop][-max_history:].tolist()
        at = batch.history_of_row[row]
        mask = batch.history_mask[at]
        assert batch.items[batch.history[at][mask]].tolist() == latest
        assert not mask[len(latest) :].any()
        named |= set(latest)
        mask = batch.candidate_mask[row]
        assert_array_equal(mask, drawn.mask[row])
        seen = batch.items[batch.candidates[row][mask]]
        assert_array_equal(seen, drawn.candidates[row][drawn.mask[row]])
    # each distinct item once, and neither padding nor what is masked or cut off
    assert batch.items.tolist() == sorted(named)
    assert_array_equal(batch.labels, drawn.labels)


def test_collate_keeps_each_distinct_history_once():
    drawn, codes = random_drawn(np.random.default_rng(0))
    batch = collate(drawn, codes, max_history=4)
    ranges = {(max(a, b - 4), b) for a, b in zip(drawn.starts, drawn.stops, strict=True)}
    assert len(batch.history) == len(ranges) < len(drawn.starts)


def test_padding_points_inside_the_batch():
    # it indexes the item vectors of the batch, of which there may be but one
    drawn, codes = random_drawn(np.random.default_rng(0))
    batch = collate(drawn, codes, 50)
    for index in (batch.history, batch.candidates):
        assert index.min() >= 0
        assert index.max() < len(batch.items)


def test_empty_histories_have_one_masked_column():
    empty = np.zeros(2, dtype=np.int64)
    drawn = Drawn(empty, empty, np.array([[7], [7]]), np.ones((2, 1), bool), np.zeros((2, 1)))
    batch = collate(drawn, np.empty(0, np.int32), 50)
    assert batch.history.shape == (1, 1)
    assert not batch.history_mask.any()
    assert batch.items.tolist() == [7]


def test_pad_histories():
    codes = np.array([5, 6, 7, 8], dtype=np.int32)
    history, mask = pad_histories(codes, np.array([1, 0, 2]), np.array([4, 0, 3]))
    assert_array_equal(history, [[6, 7, 8], [0, 0, 0], [7, 0, 0]])
    assert_array_equal(mask, [[True] * 3, [False] * 3, [True, False, False]])


def examples_with_distinct_clicks(n=23):
    X = {
        "history": [[i % 5, 30] for i in range(n)],
        "candidates": [[i, 40] for i in range(n)],
        "clicked": [[1, 0]] * n,
    }
    return ImpressionExamples(coded(60, X), 3, 60)


def clicks(batches):
    return [batch.items[batch.candidates[:, 0]].tolist() for batch in batches]


def test_every_example_comes_once_an_epoch_in_another_order():
    examples, rng = examples_with_distinct_clicks(), np.random.default_rng(0)
    epochs = [clicks(iterate_batches(examples, 5, 50, rng)) for _ in range(2)]
    for epoch in epochs:
        assert [len(batch) for batch in epoch] == [5, 5, 5, 5, 3]
        assert sorted(sum(epoch, [])) == list(range(23))
    assert epochs[0] != epochs[1]


def test_one_seed_gives_the_same_batches(path):
    examples = examples_with_distinct_clicks()
    runs = [list(iterate_batches(examples, 5, 50, np.random.default_rng(7))) for _ in range(2)]
    for a, b in zip(*runs, strict=True):
        for name in a.__dataclass_fields__:
            assert torch.equal(getattr(a, name), getattr(b, name)), name
    other = iterate_batches(examples, 5, 50, np.random.default_rng(8))
    assert clicks(other) != clicks(runs[0])


def test_a_batch_moves_to_a_device():
    batch = next(iterate_batches(examples_with_distinct_clicks(), 5, 50, np.random.default_rng(0)))
    moved = batch.to(torch.device("meta"))
    assert all(getattr(moved, name).is_meta for name in moved.__dataclass_fields__)
