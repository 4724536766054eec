"""Callbacks of scikit-learn: progress bars, monitors and early stopping; Ctrl-C."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import skrec
from skrec import Interactions, Items, explode
from skrec.metrics import scorer


class Recorder:
    """Records its calls, and returns `answer(epoch)` at the end of an epoch."""

    def __init__(self, answer=lambda epoch: False):
        self.calls = []
        self.answer = answer

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(self, estimator, context):
        self.calls.append(f"end {context.task_name} {context.task_id}")
        return context.task_name == "epoch" and self.answer(context.task_id)


# Progress bars


@pytest.fixture
def drawn(monkeypatch):
    """Record the completed and total epochs of each progress bar whenever they change."""
    progress = pytest.importorskip("rich.progress").Progress
    update, seen = progress.update, []

    def noted(self, task_id, **fields):
        update(self, task_id, **fields)
        task = self._tasks[task_id]
        if "ContentRecommender - fit" in task.description:
            seen.append((task.completed, task.total))

    monkeypatch.setattr(progress, "update", noted)
    monkeypatch.setenv("COLUMNS", "200")
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_nested_progress_bars_show_the_epochs_of_a_search(
    n_jobs, drawn, news, make_recommender, capsys
):
    rec = make_recommender(max_epochs=2, width=8, early_stopping=False)
    search = GridSearchCV(rec, {"n_negatives": [1, 2]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None))
    search.fit(Interactions(news.train), items=Items(news.items))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0].startswith("GridSearchCV - fit")
    fits = [line for line in lines if "ContentRecommender - fit" in line]
    assert len(fits) == 2 * 2 + 1  # candidates x folds, and the refit
    assert all("100%" in line for line in fits)
    # each fit has two epochs
    assert drawn.count((1, 2)) == len(fits)
    assert drawn.count((2, 2)) == len(fits)


# Saving


def test_a_callback_saves_the_estimator_that_it_gets(news, make_recommender, tmp_path):
    class Save(Recorder):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            if context.task_name == "epoch":
                fitted_estimator.save(tmp_path / str(context.task_id))
                self.calls.append(fitted_estimator.decision_function(news.test))

    save = Save()
    rec = make_recommender(max_epochs=2, early_stopping=False, co_clicks=False)
    rec.set_callbacks(save).fit(news.train, news.items)
    scores = [each for each in save.calls if not isinstance(each, str)]
    for epoch in range(2):
        loaded = skrec.load(tmp_path / str(epoch))
        assert loaded.loss_curve_ == rec.loss_curve_[: epoch + 1]
        assert loaded.n_epochs_ == epoch + 1
        found = np.concatenate(loaded.decision_function(news.test))
        np.testing.assert_array_equal(found, np.concatenate(scores[epoch]))
    # callbacks belong to a process, so the model is saved without them
    rec.save(tmp_path / "end")
    found = np.concatenate(skrec.load(tmp_path / "end").decision_function(news.test))
    np.testing.assert_array_equal(found, np.concatenate(scores[1]))


# Monitors


def test_scoring_monitor_records_the_score_of_each_epoch(news, make_recommender):
    monitor = ScoringMonitor(scoring={"gauc": scorer("gauc"), "auc": scorer("auc")})
    X, y = explode(news.train)
    rec = make_recommender(max_epochs=3, early_stopping=False, calibration=None)
    rec.set_callbacks(monitor).fit(X, y, items=news.items)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in rows] == [0, 1, 2]
    for n_epochs, row in enumerate(rows, start=1):
        # the same as a fit with fewer epochs
        short = clone(rec).set_callbacks().set_params(max_epochs=n_epochs)
        short.fit(X, y, items=news.items)
        assert row["gauc"] == short.score(X, y)
        assert row["auc"] == short.evaluate(X, y, metrics="auc")["auc"]


def test_scoring_monitor_records_the_score_of_impressions(news, make_recommender):
    monitor = ScoringMonitor(scoring={"gauc": scorer("gauc")})
    rec = make_recommender(early_stopping=False)
    rec.set_callbacks(monitor).fit(news.train, items=news.items)
    scores = [row["gauc"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == 2
    assert scores[-1] == rec.score(news.train)


def test_monitor_sees_epochs_within_a_search(news, make_recommender):
    monitor = ScoringMonitor(scoring="roc_auc")
    X, y = explode(news.train)
    rec = make_recommender(early_stopping=False).set_callbacks(monitor)
    search = GridSearchCV(rec, {"width": [8]}, cv=2, refit=False)
    search.fit(X, y, items=Items(news.items))
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == 2 * 2
    assert all(0 <= row["roc_auc"] <= 1 for row in rows)


# Order of calls, stopping and errors


def test_hooks_are_called_in_order(news, make_recommender):
    recorder = Recorder()
    make_recommender(batch_size=150).set_callbacks(recorder).fit(news.train, news.items)
    parts = [f"{when} part {i}" for i in range(2) for when in ("begin", "end")]
    first, second = ([f"begin epoch {i}", *parts, f"end epoch {i}"] for i in range(2))
    assert recorder.calls == ["setup", "begin fit 0", *first, *second, "end fit 0", "teardown"]


def test_epochs_of_many_steps_have_a_hundred_parts(news, make_recommender):
    recorder = Recorder()
    rec = make_recommender(batch_size=1, max_epochs=1).set_callbacks(recorder)
    rec.fit(news.train, news.items)
    assert recorder.calls.count("begin part 99") == recorder.calls.count("end part 99") == 1
    assert "begin part 100" not in recorder.calls


def test_a_callback_that_stops_within_an_epoch_stops_after_it(news, make_recommender):
    class Limit(Recorder):
        def on_fit_task_end(self, estimator, context):
            super().on_fit_task_end(estimator, context)
            return context.task_name == "part"

    limit = Limit()
    rec = make_recommender(max_epochs=3).set_callbacks(limit).fit(news.train, news.items)
    assert rec.n_epochs_ == 1
    assert limit.calls.count("end epoch 0") == 1


def test_many_epochs_and_fits_of_a_search_have_no_parts(news, make_recommender):
    # a progress bar per epoch would fill the screen
    for max_epochs, in_search in ((21, False), (2, True)):
        recorder = Recorder()
        rec = make_recommender(max_epochs=max_epochs, n_iter_no_change=1).set_callbacks(recorder)
        if in_search:
            search = GridSearchCV(rec, {"width": [8]}, cv=2, refit=False)
            search.fit(Interactions(news.train), items=Items(news.items))
        else:
            rec.fit(news.train, news.items)
        assert "begin epoch 0" in recorder.calls
        assert not any("part" in call for call in recorder.calls)


def test_progress_bars_move_within_an_epoch(drawn, news, make_recommender):
    rec = make_recommender(max_epochs=2, batch_size=60, early_stopping=False)
    rec.set_callbacks(ProgressBar()).fit(news.train, news.items)
    within = [completed for completed, _ in drawn if 0 < completed < 1]
    assert within and within == sorted(within)


def test_a_callback_stops_where_it_says(news, make_recommender):
    rec = make_recommender(max_epochs=6, early_stopping=False)
    rec.set_callbacks(Recorder(lambda epoch: epoch == 2)).fit(news.train, news.items)
    assert rec.n_epochs_ == len(rec.loss_curve_) == 3
    short = make_recommender(max_epochs=3, early_stopping=False).fit(news.train, news.items)
    np.testing.assert_array_equal(rec.item_vectors(), short.item_vectors())


def test_a_stop_keeps_the_best_weights_and_calibrates(news, make_recommender):
    rec = make_recommender(max_epochs=6, learning_rate=0.05)
    rec.set_callbacks(Recorder(lambda epoch: epoch == 3)).fit(news.train, news.items)
    assert rec.best_score_ >= max(rec.validation_scores_)
    short = make_recommender(max_epochs=4, learning_rate=0.05).fit(news.train, news.items)
    assert rec.validation_scores_ == short.validation_scores_
    assert rec.calibration_ == short.calibration_ != (1.0, 0.0)
    np.testing.assert_array_equal(rec.item_vectors(), short.item_vectors())


def test_callbacks_do_not_change_the_model(news, make_recommender):
    """A monitor predicts between epochs, which must not change generators or caches."""
    monitor = ScoringMonitor(scoring={"gauc": scorer("gauc")})
    X, y = explode(news.train)
    parameters = {"content": "cnn", "early_stopping": False}
    watched = make_recommender(**parameters).set_callbacks(monitor).fit(X, y, items=news.items)
    alone = make_recommender(**parameters).fit(X, y, items=news.items)
    np.testing.assert_array_equal(watched.item_vectors(), alone.item_vectors())


def test_a_callback_that_raises_ends_the_fit_and_the_next_one_is_whole(news, make_recommender):
    def stumble(epoch):
        raise RuntimeError("the callback stumbled")

    recorder = Recorder(stumble)
    rec = make_recommender().set_callbacks(recorder)
    with pytest.raises(RuntimeError, match="the callback stumbled"):
        rec.fit(news.train, news.items)
    assert recorder.calls[-1] == "teardown"
    with pytest.raises(NotFittedError):  # no half-trained model is left
        rec.score(news.test)
    rec.set_callbacks().fit(news.train, news.items)
    whole = make_recommender().fit(news.train, news.items)
    np.testing.assert_array_equal(rec.item_vectors(), whole.item_vectors())


def test_a_clone_has_the_callbacks_and_calls_them(news, make_recommender):
    recorder = Recorder()
    rec = clone(make_recommender().set_callbacks(recorder))
    rec.fit(news.train, news.items)
    assert recorder.calls.count("end epoch 1") == 1


# Ctrl-C, with a real signal

FIT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore the signal
import numpy as np
from sklearn.model_selection import GridSearchCV
from skrec import ContentRecommender, Items
from skrec.datasets import make_headlines
news = make_headlines(n_users=40, n_items=120, n_impressions=240, random_state=0)
rec = ContentRecommender(
    "mean_pooling", width=16, max_epochs={max_epochs}, early_stopping=False, verbose=1
)
"""
ALONE = """
rec.fit(news.train, news.items)
print("answers", rec.n_epochs_, len(rec.loss_curve_), np.isfinite(rec.score(news.test)))
"""
SEARCH = """
GridSearchCV(rec, {"n_negatives": [1, 2, 3]}, cv=2).fit(news.train, items=Items(news.items))
print("done")
"""


def interrupt(script, after):
    """Run a script, send SIGINT after it has printed a line, and return its output."""
    with subprocess.Popen(
        [sys.executable, "-u", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        for line in process.stdout:
            if line.startswith(after):
                os.kill(process.pid, signal.SIGINT)
                break
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT by process id")
def test_ctrl_c_keeps_the_model():
    code, out, err = interrupt(FIT.format(max_epochs=100_000) + ALONE, "epoch 2/")
    assert code == 0, err
    word, n_epochs, n_losses, finite = out.splitlines()[-1].split()
    assert (word, finite) == ("answers", "True")
    assert 2 <= int(n_epochs) == int(n_losses) < 100_000
    assert f"training was interrupted in epoch {int(n_epochs) + 1}; the model is kept" in err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT by process id")
def test_ctrl_c_ends_a_search():
    """Otherwise, an interrupted candidate would be scored as if it were complete."""
    code, out, err = interrupt(FIT.format(max_epochs=40) + SEARCH, "epoch 2/")
    assert code != 0
    assert "KeyboardInterrupt" in err
    assert "done" not in out
