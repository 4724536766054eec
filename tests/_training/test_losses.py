"""Losses, compared with numpy and scikit-learn row by row."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import expit, log_softmax
from sklearn.metrics import log_loss

from skrec._batch import Batch, Outputs
from skrec._training.losses import LOSSES, batch_loss

MASK = [[True, True, True, False], [True, False, True, True], [True, False, False, False]]
LABELS = [[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]


def make_batch(seed=0, **fields):
    """Return scores and a batch of three rows, with arbitrary values where the mask is false."""
    rng = np.random.default_rng(seed)
    mask = torch.tensor(MASK)
    scores = torch.from_numpy(rng.normal(size=mask.shape) * 3).masked_fill(~mask, 1e30)
    values = {
        "candidate_mask": mask,
        "labels": torch.tensor(LABELS),
        "weight": torch.ones(3),
        "log_q": torch.zeros(3, 4),
        "n_rows": 3,
    }
    others = dict.fromkeys(
        ("items", "history", "history_mask", "user", "history_of_row", "candidates", "shared")
    )
    return scores, Batch(**others | values | fields)


def outputs(scores):
    return Outputs(scores, torch.zeros(()), None)


def rows(scores, batch):
    """Yield the unmasked scores and labels of each row."""
    for row, mask in enumerate(batch.candidate_mask):
        yield scores[row][mask].numpy(), batch.labels[row][mask].numpy()


def test_softmax_is_the_cross_entropy_of_the_first():
    scores, batch = make_batch()
    expected = [-log_softmax(row)[0] for row, _ in rows(scores, batch)]
    assert_allclose(LOSSES["softmax"](scores, batch), expected, rtol=1e-12)


def test_softmax_subtracts_the_log_probability_of_sampling():
    """With log Q, the expected loss does not depend on the sampling of negatives."""
    scores, batch = make_batch()
    log_q = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 4)))
    corrected = LOSSES["softmax"](scores, make_batch(log_q=log_q)[1])
    assert_allclose(corrected, LOSSES["softmax"](scores - log_q, batch), rtol=1e-12)
    # a constant per row has no effect
    shifted = LOSSES["softmax"](scores, make_batch(log_q=torch.full((3, 4), 2.0))[1])
    assert_allclose(shifted, LOSSES["softmax"](scores, batch), rtol=1e-6)


def test_bpr_is_the_mean_over_pairs():
    scores, batch = make_batch()
    expected = [
        np.mean([-np.log(expit(row[0] - other)) for other in row[1:]]) if len(row) > 1 else 0.0
        for row, _ in rows(scores, batch)
    ]
    assert_allclose(LOSSES["bpr"](scores, batch), expected, rtol=1e-12)


def test_bce_is_the_log_loss_of_each_row():
    scores, batch = make_batch()
    expected = [log_loss(labels, expit(row), labels=[0, 1]) for row, labels in rows(scores, batch)]
    assert_allclose(LOSSES["bce"](scores, batch), expected, rtol=1e-10)


def test_gbce_weights_the_click_by_the_share_of_negatives():
    scores, batch = make_batch(n_items=11)
    expected = []
    for row, _ in rows(scores, batch):
        share = (len(row) - 1) / 10
        beta = share * (0.75 * (1 - 1 / share) + 1 / share) if share else 0.25
        terms = [beta * np.log(expit(row[0])), *np.log(1 - expit(row[1:]))]
        expected.append(-sum(terms) / len(row))
    assert_allclose(LOSSES["gbce"](scores, batch), expected, rtol=1e-10)


@pytest.mark.parametrize("name", LOSSES)
def test_masked_places_have_no_gradient_and_none_is_nan(name):
    scores, batch = make_batch()
    scores = scores.masked_fill(~batch.candidate_mask, torch.finfo(scores.dtype).max)
    scores.requires_grad_()
    batch_loss(name, None, outputs(scores), batch).backward()
    assert torch.isfinite(scores.grad).all()
    assert not scores.grad[~batch.candidate_mask].any()
    assert scores.grad[:2][batch.candidate_mask[:2]].all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_of_two_is_the_row_twice(name):
    scores, batch = make_batch(weight=torch.tensor([2.0, 1.0, 0.0]), n_rows=6)
    rows = LOSSES[name](scores, batch)
    assert_allclose(
        batch_loss(name, None, outputs(scores), batch), (rows[0] + rows[0] + rows[1]) / 6
    )


@pytest.mark.parametrize("name", LOSSES)
def test_large_scores_do_not_overflow(name):
    _, batch = make_batch()
    for size in (1e4, -1e4):
        scores = torch.full((3, 4), size).mul_(torch.tensor([1.0, -1.0, 1.0, 1.0]))
        assert torch.isfinite(batch_loss(name, None, outputs(scores), batch))
