"""Gains of positives, which nDCG reads, compared with scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from skrec.metrics import by_group, compute, gauc, ndcg


@pytest.mark.parametrize("k", [1, 3, 10])
def test_ndcg_of_gains_equals_sklearn(k):
    rng = np.random.default_rng(k)
    gains = np.round(rng.random((40, 7)) * 5, 1) * (rng.random((40, 7)) < 0.5)
    gains[:, 0] = 2.5  # a positive in each group
    scores = rng.integers(0, 4, size=(40, 7)).astype(float)  # with ties
    groups = np.repeat(np.arange(40), 7)
    order = rng.permutation(280)
    columns = gains.ravel()[order], scores.ravel()[order], groups[order]
    expected = ndcg_score(gains, scores, k=k)
    assert ndcg(*columns, k=k) == pytest.approx(expected, rel=1e-10)
    name = f"ndcg@{k}"
    found = compute([name, "gauc", "auc"], *columns)
    labels = compute([name, "gauc", "auc"], columns[0] > 0, *columns[1:])
    assert found[name] == pytest.approx(expected, rel=1e-10)
    assert (found["gauc"], found["auc"]) == (labels["gauc"], labels["auc"])
    each = by_group(name, *columns).sort_index()
    alone = [ndcg_score(gains[[n]], scores[[n]], k=k) for n in range(40)]
    np.testing.assert_allclose(each, alone, rtol=1e-10)
    # equal gains are labels
    assert ndcg(columns[0].astype(bool) * 4.0, *columns[1:], k=k) == pytest.approx(labels[name])


def test_gains_must_be_usable():
    for wrong in ([0, -1.0], [0, np.nan], [0, np.inf]):
        with pytest.raises(ValueError, match="y_true has .* row 1: labels are 0 or 1"):
            ndcg(wrong, [0.1, 0.2], [0, 0])
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        gauc([0, 2.0], [0.1, 0.2], [0, 0])
