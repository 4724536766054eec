"""Lists of the items with the highest scores, and of similar items."""

import numpy as np
import pytest
import torch

from skrec._inference.top_k import most_similar, top_k


def test_items_to_choose_from(monkeypatch):
    scores = torch.tensor([[0.1, 0.9, 0.5], [0.7, 0.2, 0.7]])
    among = np.array([2, 5, 9])

    def exclude(rows):  # item 5 is left out of the first row; 4 and 11 were not scored
        return np.array([0, 0, 1]), np.array([5, 4, 11])

    codes, best = top_k(iter([(slice(0, 2), scores)]), 2, 2, exclude, among)
    assert codes.tolist() == [[9, 2], [2, 9]]
    assert best.tolist() == pytest.approx(np.array([[0.5, 0.1], [0.7, 0.7]]))


@pytest.mark.parametrize("block", [3, 1000])
def test_most_similar_equals_sorted_cosines(monkeypatch, block):
    monkeypatch.setattr("skrec._inference.row_blocks.CELL_BLOCK", block * 12)
    monkeypatch.setattr("skrec._inference.row_blocks.ROW_BLOCK", 1)
    vectors = np.random.default_rng(0).normal(size=(12, 5))
    vectors[7] = vectors[2] * 3  # cosine 1
    vectors[4] = 0  # cosine 0
    lengths = np.linalg.norm(vectors, axis=1).clip(1e-12)
    cosines = vectors @ vectors.T / lengths / lengths[:, None]
    wanted = np.array([2, 0, 11, 4, 2])
    codes, best = most_similar(torch.from_numpy(vectors), wanted, 12)
    for row, item in enumerate(wanted):
        assert codes[row, -1] == -1
        assert sorted(codes[row, :-1].tolist()) == [code for code in range(12) if code != item]
        others = np.sort(np.delete(cosines[item], item))[::-1]
        np.testing.assert_allclose(best[row, :-1], others, atol=1e-6)
        np.testing.assert_allclose(best[row, :-1], cosines[item, codes[row, :-1]], atol=1e-6)
    assert codes[0, 0] == 7
    assert best[3, :-1].tolist() == [0.0] * 11
    among = np.array([1, 2, 7])
    codes, best = most_similar(torch.from_numpy(vectors), wanted[:1], 3, among)
    assert codes.tolist() == [[7, 1, -1]]
