import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from skrec._training.calibration import fit_sigmoid


def draw(a, b, n=20_000, scale=1.0, centre=0.0, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(centre, scale, n)
    return scores, (rng.random(n) < expit(a * scores + b)).astype(np.int8)


@pytest.mark.parametrize(
    ("a", "b", "scale", "centre"),
    [(1.0, 0.0, 1.0, 0.0), (2.5, -1.0, 1.0, 0.0), (0.02, -5.0, 50.0, 200.0), (400.0, 1.0, 0.01, 0)],
)
def test_known_parameters_are_recovered(a, b, scale, centre):
    # scores may have any scale, as those of bpr and softmax do
    scores, labels = draw(a, b, scale=scale, centre=centre)
    found = fit_sigmoid(scores, labels)
    assert_allclose(found[0], a, rtol=0.1)
    assert_allclose(expit(found[0] * scores + found[1]), expit(a * scores + b), atol=0.03)


def test_the_fit_is_that_of_an_unpenalised_logistic_regression():
    scores, labels = draw(1.5, -2.0)
    twin = LogisticRegression(C=np.inf, tol=1e-8).fit(scores[:, None], labels)
    # except for Platt's smoothed targets, whose effect decreases with n
    assert_allclose(fit_sigmoid(scores, labels), [twin.coef_[0, 0], twin.intercept_[0]], atol=5e-3)


def test_the_mean_probability_is_the_click_rate():
    scores, labels = draw(1.0, -3.0)
    a, b = fit_sigmoid(scores.astype(np.float32), labels)
    assert_allclose(expit(a * scores + b).mean(), labels.mean(), atol=1e-3)


def test_scores_that_rank_backwards_keep_their_order():
    # with a < 0, predict_proba and decision_function would rank in opposite orders
    scores, labels = draw(-2.0, 0.5)
    a, b = fit_sigmoid(scores, labels)
    assert a > 0
    # almost constant: the click rate for all candidates
    assert_allclose(expit(a * scores + b), labels.mean(), atol=1e-3)


@pytest.mark.parametrize("slope", [3.0, -3.0])
def test_ranking_is_unchanged(slope):
    scores, labels = draw(slope, 1.0, n=500)
    a, b = fit_sigmoid(scores, labels)
    np.testing.assert_array_equal(rankdata(expit(a * scores + b)), rankdata(scores))


def test_separable_scores_give_a_finite_slope():
    # Platt's targets are not 0 and 1, so the likelihood has a maximum at finite a and b
    a, b = fit_sigmoid(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 0, 1, 1]))
    assert 0 < a < 10
    assert abs(b) < 1e-3


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_left_uncalibrated(label):
    assert fit_sigmoid(np.array([0.1, 0.7, 2.0]), np.full(3, label)) == (1.0, 0.0)


def test_equal_scores_are_left_uncalibrated():
    # in floating point, the mean of three 0.1 is not 0.1, so the standard deviation is not 0
    assert fit_sigmoid(np.full(3, 0.1), np.array([0, 1, 1])) == (1.0, 0.0)
    assert fit_sigmoid(np.array([0.3]), np.array([1])) == (1.0, 0.0)
