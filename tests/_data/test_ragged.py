from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skrec._data import ragged as _ragged
from skrec._data.ragged import (
    distinct_segments,
    gather_ranges,
    gather_segments,
    iterate_blocks,
    offsets_of,
    segment_ids,
)


def ragged(segments):
    offsets = offsets_of(np.array([len(each) for each in segments], dtype=np.int64))
    return offsets, np.array([value for each in segments for value in each], dtype=np.int32)


def random_segments(seed, n=400, n_kinds=60, max_length=6, n_values=4):
    """Draw segments, many of which are equal, prefixes of each other, reversed or empty."""
    rng = np.random.default_rng(seed)
    kinds = [rng.integers(n_values, size=rng.integers(max_length + 1)) for _ in range(n_kinds)]
    return [kinds[at].tolist() for at in rng.integers(n_kinds, size=n)]


def twin_of_distinct(segments):
    first, inverse = {}, []
    for at, segment in enumerate(segments):
        first.setdefault(tuple(segment), at)
    place = {segment: rank for rank, segment in enumerate(first)}
    inverse = [place[tuple(segment)] for segment in segments]
    return list(first.values()), inverse


def assert_distinct(segments):
    first, inverse = distinct_segments(*ragged(segments))
    expected = twin_of_distinct(segments)
    assert_array_equal(first, expected[0])
    assert_array_equal(inverse, expected[1])


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 22])
@pytest.mark.parametrize("seed", range(5))
def test_distinct_segments_equal_a_dict_of_tuples(monkeypatch, seed, block):
    # with a small block, there are several blocks, and a segment may be longer than a block
    monkeypatch.setattr(_ragged, "BLOCK", block)
    assert_distinct(random_segments(seed))


@pytest.mark.parametrize("block", [3, 1 << 22])
@pytest.mark.parametrize(
    "segments",
    [
        [],
        [[]],
        [[], [], []],
        [[5]],
        [[1, 2], [2, 1], [1], [2], [1, 2, 0], [0, 1, 2]],
        [[0], [0, 0], [0, 0, 0], [], [0, 0]],
        [[1] * 20, [1] * 19, [], [1] * 20],
        [[2**31 - 1, 0], [0, 2**31 - 1], [2**31 - 1, 0]],
    ],
)
def test_distinct_segments_of_edge_cases(monkeypatch, segments, block):
    monkeypatch.setattr(_ragged, "BLOCK", block)
    assert_distinct(segments)


def test_segments_that_share_a_hash_are_told_apart(monkeypatch):
    # without a comparison in full, users with the same hash would get the same results
    seeds, hash_segments = [], _ragged.hash_segments

    def collide_at_first(offsets, values, seed):
        seeds.append(seed)
        hashes = hash_segments(offsets, values, seed)
        return hashes if seed > 1 else np.zeros_like(hashes)

    monkeypatch.setattr(_ragged, "hash_segments", collide_at_first)
    assert_distinct([[1, 2], [3, 4], [1, 2], [5]])
    assert seeds == [0, 1, 2]


def test_a_collision_is_seen_in_every_block(monkeypatch):
    monkeypatch.setattr(_ragged, "BLOCK", 2)
    offsets, values = ragged([[1, 2], [1, 2], [1, 2], [1, 3]])
    assert _ragged._all_equal_twins(offsets, values, np.array([0, 0, 0, 3]))
    assert not _ragged._all_equal_twins(offsets, values, np.array([0, 0, 0, 0]))


def test_blocks_cover_all_segments_once(monkeypatch):
    monkeypatch.setattr(_ragged, "BLOCK", 5)
    offsets, _ = ragged(random_segments(0))
    blocks = list(_ragged.segment_blocks(offsets))
    assert blocks[0].start == 0
    assert blocks[-1].stop == len(offsets) - 1
    assert all(a.stop == b.start for a, b in pairwise(blocks))
    sizes = [offsets[block.stop] - offsets[block.start] for block in blocks]
    assert max(sizes) < 5 + 6  # a segment is not split
    assert list(_ragged.segment_blocks(np.zeros(1, np.int64))) == []


def test_offsets_and_ids_take_empty_segments():
    offsets = offsets_of(np.array([0, 2, 0, 1, 0]))
    assert offsets.dtype == np.int64
    assert_array_equal(offsets, [0, 0, 2, 2, 3, 3])
    assert_array_equal(segment_ids(offsets), [1, 1, 3])
    assert_array_equal(offsets_of(np.array([], dtype=np.int64)), [0])
    assert len(segment_ids(np.array([0]))) == 0


def test_gather_segments_equals_a_loop():
    segments = random_segments(1, n=50)
    offsets, values = ragged(segments)
    rows = np.random.default_rng(0).integers(50, size=80)
    at, new = gather_segments(offsets, rows)
    parts = [values[at[start:stop]].tolist() for start, stop in zip(new, new[1:], strict=False)]
    assert parts == [segments[row] for row in rows]


def test_gather_ranges_takes_overlaps_and_empty_ranges():
    positions, offsets = gather_ranges(np.array([3, 0, 5, 2]), np.array([5, 0, 6, 5]))
    assert_array_equal(positions, [3, 4, 5, 2, 3, 4])
    assert_array_equal(offsets, [0, 2, 2, 3, 6])


@pytest.mark.parametrize(("n", "sizes"), [(0, []), (3, [3]), (4, [4]), (9, [4, 4, 1])])
def test_iterate_blocks_covers_a_range(n, sizes):
    blocks = list(iterate_blocks(n, 4))
    assert [block.stop - block.start for block in blocks] == sizes
    assert [i for block in blocks for i in range(n)[block]] == list(range(n))


def test_segments_of_two_arrays_are_compared_one_by_one():
    offsets, values = ragged([[1, 2], [], [3], [1, 2, 3]])
    others, other_values = ragged([[1, 2, 3], [1, 2], [], [4]])
    rows, twins = np.array([0, 0, 1, 2, 3, 3, 1]), np.array([1, 0, 2, 3, 0, 1, 0])
    found = _ragged.equal_segments(offsets, values, rows, others, other_values, twins)
    assert found.tolist() == [True, False, True, False, True, False, False]
    none = np.array([], dtype=np.int64)
    assert _ragged.equal_segments(offsets, values, none, others, other_values, none).size == 0


def test_large_empty_arrays_are_in_a_file(monkeypatch):
    monkeypatch.setattr(_ragged, "IN_MEMORY", 100)
    small, large = _ragged.empty_array((5, 2), np.float32), _ragged.empty_array((50, 2), np.float32)
    large[:] = np.arange(100).reshape(50, 2)
    assert not isinstance(small.base, np.memmap)
    assert isinstance(large.base, np.memmap)
    assert (large.shape, large.dtype) == ((50, 2), np.float32)
    assert_array_equal(large.ravel(), np.arange(100))


def test_a_file_without_room_says_what_to_do(monkeypatch):
    def fail(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(_ragged, "IN_MEMORY", 100)
    monkeypatch.setattr(_ragged.os, "posix_fallocate", fail, raising=False)
    with pytest.raises(OSError, match=r"No space left on device; set the .* TMPDIR to a folder"):
        _ragged.empty_array((50, 2), np.float32)
