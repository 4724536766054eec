from dataclasses import replace

import numpy as np
import pytest
import torch
from encoded import encode
from numpy.testing import assert_array_equal

from skrec import Items
from skrec._data.ragged import pad_histories
from skrec._training.batches import collate, iterate_batches
from skrec._training.example_batch import ExampleBatch
from skrec._training.examples import ImpressionExamples
from skrec._training.negatives import NegativeSampler

POOL = np.array([60, 61, 3, 60])  # no row uses the second item; the first and the last are equal


def random_drawn(rng, n_rows=40, n_candidates=5, n_items=50):
    codes = rng.integers(3, n_items, size=300).astype(np.int32)
    starts = rng.integers(280, size=12)[rng.integers(12, size=n_rows)]
    stops = starts + rng.integers(12, size=300)[starts]  # equal starts have equal stops
    candidates = rng.integers(3, n_items, size=(n_rows, n_candidates))
    mask = rng.random(candidates.shape) < 0.8
    candidates[~mask] = 1  # padding, which must not be encoded
    labels = rng.integers(2, size=candidates.shape).astype(np.float32)
    sampled = rng.random((n_rows, len(POOL))) < [0.5, 0.0, 0.5, 0.5]
    user = np.zeros((n_rows, 2), dtype=np.int64)
    return ExampleBatch(
        starts, stops, candidates, mask, labels, sampled, rng.random(n_rows), user
    ), codes


@pytest.mark.parametrize("max_history", [1, 4, 50])
def test_collate_equals_a_loop(max_history):
    drawn, codes = random_drawn(np.random.default_rng(max_history))
    batch = collate(drawn, POOL, codes, max_history)
    named = {60, 3, *drawn.candidates[drawn.mask].tolist()}
    for row, (start, stop) in enumerate(zip(drawn.starts, drawn.stops, strict=True)):
        latest = codes[start:stop][-max_history:].tolist()
        at = batch.history_of_row[row]
        mask = batch.history_mask[at]
        assert batch.items[batch.history[at][mask]].tolist() == latest
        assert not mask[len(latest) :].any()
        named |= set(latest)
        everything = torch.cat([batch.candidates[row], batch.shared])
        seen = batch.items[everything[batch.candidate_mask[row]]]
        own = drawn.candidates[row][drawn.mask[row]]
        assert_array_equal(seen, [*own, *POOL[drawn.sampled[row]]])
    # each distinct item once, without padding, masked items and clicks that are cut off
    assert batch.items.tolist() == sorted(named)
    n_candidates = drawn.labels.shape[1]
    assert_array_equal(batch.labels[:, :n_candidates], drawn.labels)
    assert not batch.labels[:, n_candidates:].any()
    assert batch.labels.shape == batch.candidate_mask.shape == batch.log_q.shape
    assert_array_equal(batch.weight, drawn.weight)
    assert batch.n_rows == len(drawn.starts)
    assert not batch.log_q.any()


def test_chances_to_be_drawn_go_with_rows_that_sample():
    drawn, codes = random_drawn(np.random.default_rng(0))
    drawn.mask[::3, 1:] = False
    drawn.mask[::3, 0] = True
    log_q = np.random.default_rng(1).normal(size=62).astype(np.float32)
    batch = collate(drawn, POOL, codes, 4, log_q)
    samples = drawn.sampled.any(axis=1)
    assert 0 < samples.sum() < len(samples)
    assert not batch.log_q[~samples].any()
    # the items that were sampled, and the click if nothing was shown with it
    alone = drawn.mask.sum(axis=1, keepdims=True) == 1
    assert 0 < alone[samples].sum() < samples.sum()
    own = np.where((drawn.labels == 1) & alone, log_q[drawn.candidates], 0)
    shared = np.where(drawn.sampled[:, [0, 2, 3]], log_q[POOL[[0, 2, 3]]], 0)
    assert_array_equal(batch.log_q[samples], np.concatenate([own, shared], axis=1)[samples])


def test_collate_keeps_each_distinct_history_once():
    drawn, codes = random_drawn(np.random.default_rng(0))
    batch = collate(drawn, POOL, codes, max_history=4)
    ranges = {(max(a, b - 4), b) for a, b in zip(drawn.starts, drawn.stops, strict=True)}
    assert len(batch.history) == len(ranges) < len(drawn.starts)


class ManyClicks:
    """Codes of 10 billion clicks, which are computed when they are read."""

    def __getitem__(self, at):
        return (at * 7 % 50).astype(np.int32)


def test_histories_of_100_million_users_stay_apart():
    # one int64 has no room for the start and length of a history and the user
    n_users, n_clicks = 100_000_000, 10_000_000_000
    rng = np.random.default_rng(0)
    drawn, _ = random_drawn(rng)
    starts = rng.integers(n_clicks - 50, size=6)[rng.integers(6, size=40)]
    starts[:6] = n_clicks - 50  # equal ranges of several users
    user = np.stack([rng.integers(n_users - 4, n_users, 40), np.zeros(40, int)], axis=1)
    drawn = replace(drawn, starts=starts, stops=starts + 20 + starts % 30, user_context=user)
    batch = collate(drawn, POOL, ManyClicks(), max_history=50)
    expected = {(*row, u) for *row, u in zip(drawn.starts, drawn.stops, user[:, 0], strict=True)}
    assert len(batch.history) == len(expected) < 40
    for row, at in enumerate(batch.history_of_row):
        assert batch.user[at] == user[row, 0]
        clicks = batch.items[batch.history[at][batch.history_mask[at]]]
        assert_array_equal(clicks, ManyClicks()[np.arange(drawn.starts[row], drawn.stops[row])])


def test_padding_points_inside_the_batch():
    # padding is an index into the item vectors of the batch, of which there may be only one
    drawn, codes = random_drawn(np.random.default_rng(0))
    batch = collate(drawn, POOL, codes, 50)
    for index in (batch.history, batch.candidates):
        assert index.min() >= 0
        assert index.max() < len(batch.items)


def test_empty_histories_have_one_masked_column():
    empty = np.zeros(2, dtype=np.int64)
    one = np.ones((2, 1))
    user = np.zeros((2, 2), dtype=np.int64)
    none = np.zeros((2, 0), dtype=bool)
    drawn = ExampleBatch(
        empty, empty, np.array([[7], [7]]), one.astype(bool), one, none, one[:, 0], user
    )
    batch = collate(drawn, np.empty(0, int), np.empty(0, np.int32), 50)
    assert batch.history.shape == (1, 1)
    assert not batch.history_mask.any()
    assert batch.items.tolist() == [7]


def test_pad_histories():
    codes = np.array([5, 6, 7, 8], dtype=np.int32)
    history, mask = pad_histories(codes, np.array([1, 0, 2]), np.array([4, 0, 3]))
    assert_array_equal(history, [[6, 7, 8], [0, 0, 0], [7, 0, 0]])
    assert_array_equal(mask, [[True] * 3, [False] * 3, [True, False, False]])


def distinct_clicks(n=23):
    """Return examples with distinct clicks."""
    X = {
        "history": [[i % 5, 30] for i in range(n)],
        "candidates": [[i, 40] for i in range(n)],
        "clicked": [[1, 0]] * n,
    }
    data = encode(X, items=Items([""] * 60))
    return ImpressionExamples(data, NegativeSampler(data, 60, 3, "uniform"))


def epoch(seed_or_rng=0, batch_size=5, rank=0, n_processes=1):
    rng = np.random.default_rng(seed_or_rng)
    return list(iterate_batches(distinct_clicks(), batch_size, 50, rng, rank, n_processes))


def clicks(batches):
    return [batch.items[batch.candidates[:, 0]].tolist() for batch in batches]


def named(batch):
    """Return the codes of the candidates of each row."""
    shared = batch.shared.expand(len(batch.candidates), -1)
    everything = batch.items[torch.cat([batch.candidates, shared], dim=1)]
    rows = zip(everything, batch.candidate_mask, strict=True)
    return [codes[mask].tolist() for codes, mask in rows]


def test_every_example_comes_once_an_epoch_in_another_order():
    rng = np.random.default_rng(0)
    epochs = [clicks(epoch(rng)) for _ in range(2)]
    for batches in epochs:
        assert [len(batch) for batch in batches] == [5, 5, 5, 5, 3]
        assert sorted(sum(batches, [])) == list(range(23))
    assert epochs[0] != epochs[1]


def test_one_seed_gives_the_same_batches():
    for a, b in zip(epoch(7), epoch(7), strict=True):
        for name in a.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert clicks(epoch(8)) != clicks(epoch(7))


def test_sampled_negatives_are_shared_by_a_batch():
    """Few items must be encoded for many negatives."""
    for batch in epoch():
        # the clicks, item 40, 6 items of the histories, and at most 4 sampled items
        n_rows = len(batch.labels)
        assert len(batch.items) <= n_rows + 1 + 6 + 4
        assert len(batch.shared) <= 4
        assert (batch.candidate_mask.sum(dim=1) >= 3).all()


def test_processes_share_a_step_that_is_that_of_one_process():
    whole = epoch(batch_size=6)
    shares = [epoch(batch_size=3, rank=rank, n_processes=2) for rank in range(2)]
    assert len(whole) == len(shares[0]) == len(shares[1]) == 4
    for batch, *parts in zip(whole, *shares, strict=True):
        assert [part.n_rows for part in parts] == [batch.n_rows] * 2
        (own, left), (right,) = clicks([batch, parts[0]]), clicks([parts[1]])
        assert own[::2] == left
        assert own[1::2] == right
        for rank, part in enumerate(parts):
            assert named(part) == named(batch)[rank::2]


def test_a_batch_moves_to_a_device():
    moved = epoch()[0].to(torch.device("meta"))
    tensors = {name: v for name, v in vars(moved).items() if isinstance(v, torch.Tensor)}
    assert not tensors.pop("items").is_meta  # codes stay, so that the CPU can plan
    assert len(tensors) == 10
    assert all(tensor.is_meta for tensor in tensors.values())
