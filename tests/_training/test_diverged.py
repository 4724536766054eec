"""Training that cannot give a usable model says so, and leaves the recommender unchanged."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from skrec import Items
from skrec._training.advice import advice
from skrec._training.trainer import Plan, Trainer

ONE_STEP = {"batch_size": 10**6, "max_epochs": 1}
EVERYTHING_CLICKED = pd.DataFrame(
    {"history": [[1, 2, 3]] * 20, "candidates": [[4]] * 20, "clicked": [[1]] * 20}
)
FOUR = pd.DataFrame({"item_id": [1, 2, 3, 4], "title": ["red fox", "blue sea", "red sea", "fox"]})


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize(
    "parameters",
    [{"learning_rate": 1e38}, {"weight_decay": 1e38}, {"learning_rate": 1e25}],
    ids=str,
)
def test_the_last_step_is_checked_too(news, make_recommender, parameters, early_stopping):
    """The loss of the only step is finite, because it is computed before the weights change."""
    rec = make_recommender(early_stopping=early_stopping, **ONE_STEP, **parameters)
    name, value = next(iter(parameters.items()))
    with pytest.raises(
        ValueError, match=rf"after epoch 1.*{name} \(now {value:g}\)".replace("+", r"\+")
    ):
        rec.fit(news.train, news.items)
    assert not hasattr(rec, "network_")


def test_float16_is_named(news, make_recommender):
    """Its numbers end at 65,504; no learning rate helps."""
    rec = make_recommender(**ONE_STEP).fit(news.train, news.items)
    plan = Plan.of(rec, "softmax")
    assert "precision='float16' compute" in advice(replace(plan, precision="float16"), rec.network_)
    found = advice(plan, rec.network_.half())
    assert "dtype='float16' of the language model compute in it; take 'bfloat16'" in found


@pytest.mark.parametrize("again", ["partial_fit", "fit"])
def test_a_model_that_diverges_later_keeps_its_weights(news, make_recommender, again):
    rec = make_recommender(early_stopping=False, warm_start=True).fit(news.train, news.items)
    before = rec.recommend(news.test, k=3)
    curve = rec.loss_curve_
    rec.set_params(weight_decay=1e38, **ONE_STEP)
    with pytest.raises(ValueError, match="weight_decay"):
        getattr(rec, again)(news.test)
    for found, expected in zip(rec.recommend(news.test, k=3), before, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert rec.loss_curve_ == curve
    rec.set_params(weight_decay=0.0).partial_fit(news.test)  # goes on from the usable weights
    assert np.isfinite(rec.loss_curve_).all()


def test_an_interrupted_epoch_leaves_no_infinite_weights(news, make_recommender, monkeypatch):
    def interrupted(self, *args):
        with torch.no_grad():
            self.network.empty_history.fill_(np.nan)
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_train_epoch", interrupted)
    with pytest.raises(ValueError, match="not finite"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make_recommender(early_stopping=False).fit(news.train, news.items)


@pytest.mark.parametrize("loss", ["softmax", "bpr"])
def test_clicks_without_negatives_are_said(make_recommender, loss):
    rec = make_recommender(loss=loss, early_stopping=False)
    with pytest.warns(UserWarning, match="no click has a negative, so there is nothing") as seen:
        rec.fit(EVERYTHING_CLICKED, FOUR)
    assert len(seen) == 1  # not once per epoch
    with pytest.warns(UserWarning, match="no click has a negative"):
        rec.partial_fit(EVERYTHING_CLICKED)


def test_histories_of_the_whole_catalogue_leave_no_negatives(make_recommender):
    with pytest.warns(UserWarning, match="no click has a negative"):
        make_recommender(early_stopping=False).fit([[0, 1, 2]] * 9, Items(["a", "b", "c"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one negative is enough
        make_recommender(early_stopping=False).fit([[0, 1, 2]] * 9, Items(["a", "b", "c", "d"]))


def test_a_step_without_rows_keeps_the_batch_whose_scores_are_checked(
    news, make_recommender, monkeypatch
):
    # of several processes that read files, some have no rows in the last steps
    train_epoch, kept = Trainer._train_epoch, []

    def with_empty_step(self, at, report):
        answer = train_epoch(self, at, report)
        before = self._last_batch
        self._add(None, self.n_steps, at)
        kept.append(self._last_batch is before)
        return answer

    monkeypatch.setattr(Trainer, "_train_epoch", with_empty_step)
    make_recommender(max_epochs=1).fit(news.train, news.items)
    assert kept == [True]
