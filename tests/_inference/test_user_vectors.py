"""The store of user vectors: nothing is computed twice, and nobody gets another's vector."""

import numpy as np
import pytest
import torch

from skrec._data import ragged as _segments
from skrec._inference import user_vectors as _user_store
from skrec._inference.user_vectors import UserStore


def ragged(readers):
    offsets = _segments.offsets_of(np.array([len(each) for each in readers], dtype=np.int64))
    return offsets, np.array([value for each in readers for value in each], dtype=np.int64)


class Asker:
    """Asks a store, and counts what it computes: a reader's vector says what it has read."""

    def __init__(self):
        self.store, self.computed = UserStore(), []

    def vectors(self, readers):
        def compute(rows):
            self.computed += [readers[row] for row in rows]
            return torch.tensor([[[float(hash(readers[row]) % 10**6)]] for row in rows])

        return self.store.get(*ragged(readers), compute)

    def check(self, readers):
        found = self.vectors(readers).flatten().tolist()
        assert found == [float(np.float32(hash(each) % 10**6)) for each in readers]


A, B, C, D = (0, 3, 1), (0, 3), (0,), (1, 3, 1)


def test_each_reader_is_computed_once():
    asker = Asker()
    asker.check([A, B])
    assert asker.computed == [A, B]
    asker.check([B, C, A, D])  # old and new ones between each other
    asker.check([D, B, A])
    assert asker.computed == [A, B, C, D]


def test_many_random_readers(monkeypatch):
    asker, rng = Asker(), np.random.default_rng(0)
    seen = set()
    for _ in range(30):
        readers = [tuple(rng.integers(3, size=rng.integers(1, 5))) for _ in range(8)]
        readers = [tuple(map(int, each)) for each in dict.fromkeys(readers)]
        asker.check(readers)
        seen |= set(readers)
    assert len(asker.computed) == len(seen) == len(set(asker.computed))


def test_readers_that_share_a_hash_are_told_apart(monkeypatch):
    # were hashes trusted, a user would get the list of another
    zeros = lambda offsets, values, seed=0: np.zeros(len(offsets) - 1, np.uint64)  # noqa: E731
    monkeypatch.setattr(_user_store, "hash_segments", zeros)
    asker = Asker()
    asker.check([A, B])
    asker.check([B, C])
    asker.check([C, B, A, D])


def test_the_oldest_are_dropped(monkeypatch):
    asker = Asker()
    asker.check([A])
    monkeypatch.setattr(_user_store, "MAX_BYTES", int(2.5 * asker.store.n_bytes))
    asker.check([B])
    asker.check([C])  # no room for A any more
    assert asker.store.n_bytes <= _user_store.MAX_BYTES
    asker.check([B, C])
    assert asker.computed == [A, B, C]
    asker.check([A])
    assert asker.computed == [A, B, C, A]


def test_what_is_too_large_is_not_kept(monkeypatch):
    monkeypatch.setattr(_user_store, "MAX_BYTES", 10)
    asker = Asker()
    asker.check([A, B])
    asker.check([A, B])
    assert asker.computed == [A, B, A, B]
    assert asker.store.n_bytes == 0


def test_number_of_chunks_is_bounded(monkeypatch):
    monkeypatch.setattr(_user_store, "MAX_CHUNKS", 3)
    asker = Asker()
    for each in [A, B, C, D]:
        asker.check([each])
    asker.check([B, C, D])
    assert asker.computed == [A, B, C, D]


@pytest.mark.parametrize("fails", [0, 1])
def test_a_failure_leaves_nothing_half_done(fails):
    asker = Asker()
    asker.check([A])

    def broken(rows):
        raise MemoryError

    with pytest.raises(MemoryError):
        asker.store.get(*ragged([A, B]), broken)
    asker.check([A, B])
    assert asker.computed == [A, B]
