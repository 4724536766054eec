"""The cache of user vectors: no vector is computed twice, and no key gets the vector of another."""

import numpy as np
import pytest
import torch

from skrec._data.ragged import offsets_of
from skrec._inference import user_vectors as _user_vectors
from skrec._inference.user_vectors import UserVectorCache


def ragged(keys):
    offsets = offsets_of(np.array([len(each) for each in keys], dtype=np.int64))
    return offsets, np.array([value for each in keys for value in each], dtype=np.int64)


class Asker:
    """Asks a cache and records the keys that it computes; a vector is a function of its key."""

    def __init__(self):
        self.cache, self.computed = UserVectorCache(), []

    def vectors(self, keys):
        def compute(rows):
            self.computed += [keys[row] for row in rows]
            return torch.tensor([[[float(hash(keys[row]) % 10**6)]] for row in rows])

        return self.cache.get(*ragged(keys), compute)

    def check(self, keys):
        found = self.vectors(keys).flatten().tolist()
        assert found == [float(np.float32(hash(each) % 10**6)) for each in keys]


A, B, C, D = (0, 3, 1), (0, 3), (0,), (1, 3, 1)


def test_each_key_is_computed_once():
    asker = Asker()
    asker.check([A, B])
    assert asker.computed == [A, B]
    asker.check([B, C, A, D])  # known and new keys in any order
    asker.check([D, B, A])
    assert asker.computed == [A, B, C, D]


def test_many_random_keys(monkeypatch):
    asker, rng = Asker(), np.random.default_rng(0)
    seen = set()
    for _ in range(30):
        keys = [tuple(rng.integers(3, size=rng.integers(1, 5))) for _ in range(8)]
        keys = [tuple(map(int, each)) for each in dict.fromkeys(keys)]
        asker.check(keys)
        seen |= set(keys)
    assert len(asker.computed) == len(seen) == len(set(asker.computed))


def test_keys_that_share_a_hash_are_told_apart(monkeypatch):
    # without a comparison of keys, a user would get the list of another
    zeros = lambda offsets, values, seed=0: np.zeros(len(offsets) - 1, np.uint64)  # noqa: E731
    monkeypatch.setattr(_user_vectors, "hash_segments", zeros)
    asker = Asker()
    asker.check([A, B])
    asker.check([B, C])
    asker.check([C, B, A, D])


def test_the_oldest_vectors_are_dropped(monkeypatch):
    asker = Asker()
    asker.check([A])
    monkeypatch.setattr(_user_vectors, "MAX_BYTES", int(2.5 * asker.cache.n_bytes))
    asker.check([B])
    asker.check([C])  # drops A
    assert asker.cache.n_bytes <= _user_vectors.MAX_BYTES
    asker.check([B, C])
    assert asker.computed == [A, B, C]
    asker.check([A])
    assert asker.computed == [A, B, C, A]


def test_vectors_that_are_too_large_are_not_cached(monkeypatch):
    monkeypatch.setattr(_user_vectors, "MAX_BYTES", 10)
    asker = Asker()
    asker.check([A, B])
    asker.check([A, B])
    assert asker.computed == [A, B, A, B]
    assert asker.cache.n_bytes == 0


def test_number_of_chunks_is_bounded(monkeypatch):
    monkeypatch.setattr(_user_vectors, "MAX_CHUNKS", 3)
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
        asker.cache.get(*ragged([A, B]), broken)
    asker.check([A, B])
    assert asker.computed == [A, B]
