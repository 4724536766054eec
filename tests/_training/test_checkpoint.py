"""Checkpoints: a fit whose process ends continues in the next call, as if nothing had happened."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from killed import run
from safetensors.torch import load_file
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

import skrec
from skrec import behavior, content, predictor
from skrec._saving import CheckpointFolder
from skrec._saving import folder as folder_module
from skrec._training import checkpoint as module
from skrec._training.checkpoint import Checkpoint
from skrec._training.trainer import Stepper
from skrec.nn import _table

TESTS = Path(__file__).parents[1]


class Killed(BaseException):
    """Ends a fit at once, as a kill does."""


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """Do not wait for the disk, which is busy while tests run."""
    monkeypatch.setattr(folder_module, "sync_folder", lambda folder: None)


@pytest.fixture
def kill_after(monkeypatch):
    """Let a fit end after some steps; with None, do so no more. Return the number of steps."""
    after_step, left, n_steps = Checkpoint.after_step, [None], [0]

    def counted(self, trainer):
        after_step(self, trainer)
        n_steps[0] += 1
        if left[0] is not None:
            left[0] -= 1
            if not left[0]:
                raise Killed

    def kill_after(n):
        left[0] = n
        return n_steps[0]

    monkeypatch.setattr(Checkpoint, "after_step", counted)
    return kill_after


def course(rec):
    """Return all that training decides."""
    weights = b"".join(v.numpy().tobytes() for v in rec.network_.trained_state().values())
    curves = rec.loss_curve_, rec.validation_scores_, rec.best_score_, rec.calibration_
    return hashlib.sha256(weights).hexdigest(), repr(curves)


KINDS = {
    "dropout": (
        "impressions",
        {"behavior": behavior.GRU(dropout=0.3), "history_targets": 2},
    ),
    "running means": ("impressions", {"predictor": predictor.MLP(activation="dice")}),
    "hard negatives": (
        "histories",
        {"behavior": behavior.GRU(dropout=0.3), "n_negatives": 8, "n_hard_negatives": 2},
    ),
    "all clicks": (
        "histories",
        {
            "behavior": behavior.Transformer(dropout=0.3),
            "history_targets": "all",
            "n_negatives": 8,
            "negative_sampling": "in_batch",
        },
    ),
    "schedule": (
        "impressions",
        {
            "gradient_accumulation_steps": 3,
            "lr_schedule": "cosine",
            "warmup_fraction": 0.1,
            "max_grad_norm": 1.0,
        },
    ),
    "no validation": ("impressions", {"early_stopping": False}),
    "large tables": ("histories", {"content": content.WithID("mean_pooling"), "n_negatives": 8}),
    "bfloat16": ("impressions", {"precision": "bfloat16", "learning_rate": 0.02}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_that_is_killed_again_and_again_ends_with_the_same_model(
    kind, news, make_recommender, kill_after, tmp_path, monkeypatch
):
    if kind == "large tables":
        monkeypatch.setattr(_table, "LARGE_TABLE", 0)
    rows, parameters = KINDS[kind]
    X = news.train if rows == "impressions" else list(news.train.history)
    make = lambda: make_recommender(max_epochs=3, batch_size=16, **parameters)  # noqa: E731
    expected = course(make().fit(X, news.items))
    for n in (1, 2, 5, 9, 14, 7, 11, None):
        kill_after(n)
        try:
            rec = make().fit(X, news.items, checkpoint=tmp_path / "c", checkpoint_every=2)
        except Killed:
            continue
        break
    assert n is None or n > 5  # some were killed
    assert course(rec) == expected


def test_a_finished_fit_is_recognized(news, make_recommender, kill_after, tmp_path):
    rec = make_recommender(random_state=None)
    folder = tmp_path / "checkpoint"
    rec.fit(news.train, news.items, checkpoint=folder)
    n_steps = kill_after(None)
    again = make_recommender(random_state=None)
    again.fit(news.train, news.items, checkpoint=folder, checkpoint_every=1)
    assert course(again) == course(rec)  # the seed is that of the checkpoint
    assert kill_after(None) == n_steps  # nothing was trained


def test_a_log_and_a_stop_of_a_callback_are_continued(make_recommender, tmp_path, news):
    class Stop:
        def setup(self, **k): ...
        def teardown(self, **k): ...
        def on_fit_task_begin(self, *a, **k): ...
        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch" and context.task_id == 1

    folder = tmp_path / "checkpoint"
    rec = make_recommender(max_epochs=6).set_callbacks(Stop())
    rec.fit(list(news.train.history), news.items, checkpoint=folder)
    assert rec.n_epochs_ == 2
    again = make_recommender(max_epochs=6)
    again.fit(list(news.train.history), news.items, checkpoint=folder)
    assert course(again) == course(rec)


def test_a_warm_start_is_continued(news, make_recommender, kill_after, tmp_path):
    def fitted():
        rec = make_recommender(warm_start=True, max_epochs=2)
        return rec.fit(news.train, news.items)

    expected = course(fitted().fit(news.train))
    rec = fitted()
    kill_after(3)
    with pytest.raises(Killed):
        rec.fit(news.train, checkpoint=tmp_path / "c", checkpoint_every=1)
    kill_after(None)
    assert course(fitted().fit(news.train, checkpoint=tmp_path / "c")) == expected
    # training further is another training
    with pytest.raises(ValueError, match="model: 4 epochs .* there, but 2 epochs|model: 2 epochs"):
        rec.fit(news.train, checkpoint=tmp_path / "c").fit(news.train, checkpoint=tmp_path / "c")


def test_ctrl_c_keeps_the_model_and_the_same_call_goes_on(news, make_recommender, tmp_path):
    class Interrupt:
        def setup(self, **k): ...
        def teardown(self, **k): ...
        def on_fit_task_begin(self, *a, **k): ...
        def on_fit_task_end(self, estimator, context):
            if context.task_name == "epoch" and context.task_id == 1:
                raise KeyboardInterrupt

    expected = course(make_recommender(max_epochs=4).fit(news.train, news.items))
    rec = make_recommender(max_epochs=4).set_callbacks(Interrupt())
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        rec.fit(news.train, news.items, checkpoint=tmp_path / "c", checkpoint_every=2)
    again = make_recommender(max_epochs=4)
    again.fit(news.train, news.items, checkpoint=tmp_path / "c")
    assert course(again) == expected


def test_the_steps_say_where_training_continues(
    news, make_recommender, kill_after, tmp_path, capsys
):
    rec = make_recommender(batch_size=16, verbose=1)
    kill_after(20)
    with pytest.raises(Killed):
        rec.fit(news.train, news.items, checkpoint=tmp_path / "c", checkpoint_every=4)
    kill_after(None)
    rec.fit(news.train, news.items, checkpoint=tmp_path / "c")
    assert "continuing from the checkpoint: epoch 2, step " in capsys.readouterr().out
    rec.fit(news.train, news.items, checkpoint=tmp_path / "c")
    assert "the checkpoint has the model after 2 epochs" in capsys.readouterr().out


# What is refused


@pytest.fixture(scope="module")
def finished(news, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "checkpoint"
    fit(news, folder)
    return folder


def fit(news, folder, X=None, items=None, every="10 minutes", **parameters):
    defaults = {"content": "mean_pooling", "width": 8, "max_epochs": 1, "random_state": 0}
    rec = skrec.ContentRecommender(**defaults | parameters)
    X, items = news.train if X is None else X, news.items if items is None else items
    return rec.fit(X, items, checkpoint=folder, checkpoint_every=every)


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"learning_rate": 0.5}, "learning_rate = 0.005 there, but 0.5 here"),
        ({"content": "cnn"}, r"content = MeanPooling.* there, but CNN.* here"),
        ({"random_state": 3}, r"random_state = 0 there, but 3 here"),
        ({"random_state": None}, "random_state = 0 there, but another one for each fit here"),
    ],
)
def test_a_checkpoint_of_other_parameters_is_refused(parameters, what, news, finished):
    with pytest.raises(ValueError, match=f"is of another training: .*{what}"):
        fit(news, finished, **parameters)


def test_a_checkpoint_of_other_data_is_refused(news, finished):
    with pytest.raises(ValueError, match="rows: 192 impressions .* there, but 191"):
        fit(news, finished, X=news.train.iloc[1:])
    other = news.items.copy()
    other.loc[3, "title"] = "another headline"
    with pytest.raises(ValueError, match="catalogue: 120 items .* there, but 120 items"):
        fit(news, finished, items=other)


def test_items_that_are_prepared_differently_are_refused(news, tmp_path):
    svd = TruncatedSVD(4, n_iter=1, random_state=None)
    features = content.Features(make_pipeline(TfidfVectorizer(), svd))
    np.random.seed(0)  # noqa: NPY002 - the transformer uses it
    fit(news, tmp_path / "c", content=features)
    with pytest.raises(ValueError, match="prepared differently. Give transformers an int"):
        fit(news, tmp_path / "c", content=features)


def test_a_folder_with_other_things_is_left_alone(news, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not a saved recommender, so it is left alone"):
        fit(news, tmp_path)
    rec = fit(news, None).save(tmp_path / "model")
    with pytest.raises(FileExistsError, match="is a saved recommender and no checkpoint"):
        fit(news, tmp_path / "model")
    assert skrec.load(tmp_path / "model").n_epochs_ == rec.n_epochs_


def test_a_damaged_checkpoint_is_refused(news, tmp_path):
    fit(news, tmp_path / "c")
    data = bytearray((tmp_path / "c" / "tensors.safetensors").read_bytes())
    data[-3] ^= 1
    (tmp_path / "c" / "tensors.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match="is damaged.*delete the folder to train anew"):
        fit(news, tmp_path / "c")


@pytest.mark.parametrize("every", [0, -3, True, 2.5, "10", "0 minutes", "5 hours", None])
def test_an_invalid_interval_is_refused(every, news, tmp_path):
    with pytest.raises(ValueError, match="checkpoint_every must be a positive int.*got"):
        fit(news, tmp_path / "c", every=every)


def test_a_folder_that_cannot_be_written_is_refused_before_training(news, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="checkpoint must be a folder that can be written to"):
        fit(news, tmp_path / "file" / "c")


# How they are written


def test_nothing_is_pickled(news, finished):
    assert sorted(path.name for path in finished.iterdir()) == [
        "checkpoint.json",
        "skrec.json",
        "tensors.safetensors",
    ]
    assert json.loads((finished / "checkpoint.json").read_text())["position"] is None
    assert "losses" in load_file(finished / "tensors.safetensors")
    assert list(finished.parent.iterdir()) == [finished]


def test_training_goes_on_if_the_disk_is_full(news, tmp_path, monkeypatch):
    def full(self, about, tensors):
        raise OSError("no space left on device")

    monkeypatch.setattr(CheckpointFolder, "write", full)
    with pytest.warns(UserWarning, match="could not be written: no space left"):
        rec = fit(news, tmp_path / "c")
    assert course(rec) == course(fit(news, None))


def written(news, folder, monkeypatch, every, seconds_per_step):
    """Return the steps at which checkpoints were written and at which processes met."""
    now, writes, meetings = [0.0], [], []
    flush, write, due = Stepper.flush, Checkpoint._start_writing, Checkpoint._due

    def slow_flush(self):
        now[0] += seconds_per_step * bool(self._n_waiting)
        flush(self)

    def noted(self, trainer, *arguments):
        writes.append(trainer.stepper.n_taken)
        write(self, trainer, *arguments)

    def noted_due(self, n_taken):
        meetings.append(n_taken)
        return due(self, n_taken)

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFolder, "write", lambda *args: None)
        patch.setattr(module.time, "monotonic", lambda: now[0])
        patch.setattr(Stepper, "flush", slow_flush)
        patch.setattr(Checkpoint, "_start_writing", noted)
        patch.setattr(Checkpoint, "_due", noted_due)
        fit(news, folder, every=every, batch_size=4, max_epochs=2, early_stopping=False)
    return writes, meetings


def test_checkpoints_are_written_after_steps(news, tmp_path, monkeypatch):
    writes, meetings = written(news, tmp_path / "c", monkeypatch, 10, 1)
    assert writes == meetings == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 126]


def test_checkpoints_are_written_after_minutes(news, tmp_path, monkeypatch):
    # 2 minutes are 12 steps of 10 seconds
    writes, meetings = written(news, tmp_path / "c", monkeypatch, "2 minutes", 10)
    assert writes[-1] == 126
    assert all(12 <= step <= 14 for step in np.diff([0, *writes[:-1]]))
    # slow steps: each meeting asks for a checkpoint
    writes, _ = written(news, tmp_path / "d", monkeypatch, "0.5 minutes", 31)
    assert len(writes) == 126
    # fast steps: the processes need not meet often
    writes, meetings = written(news, tmp_path / "e", monkeypatch, "10 minutes", 1e-3)
    assert writes == [126]
    assert len(meetings) <= 8


# Real processes


@pytest.mark.slow
def test_kill_9_at_random_steps_gives_the_same_weights(tmp_path):
    run(
        """
        import hashlib, json
        from skrec import ContentRecommender, behavior
        from skrec.datasets import make_headlines
        news = make_headlines(n_users=40, n_items=120, n_impressions=240, random_state=0)
        folder, answer = sys.argv[1] + "/checkpoint", sys.argv[1] + "/answer"

        def work(k, kept=folder):
            rec = ContentRecommender(
                "mean_pooling", behavior.GRU(dropout=0.3), width=16, max_epochs=8, batch_size=4,
                early_stopping=False, random_state=0,
            )
            rec.fit(news.train, news.items, checkpoint=kept, checkpoint_every=3)
            weights = b"".join(v.numpy().tobytes() for v in rec.network_.trained_state().values())
            open(answer, "w").write(hashlib.sha256(weights).hexdigest())

        finish(work, 0, None)
        expected = open(answer).read()
        n_killed = 0
        for k, killed in killings(work, 3.0, n=5):
            n_killed += killed
        assert n_killed, "none was killed"
        finish(work, 0)
        assert open(answer).read() == expected
        """,
        tmp_path,
    )


@pytest.mark.slow
def test_several_processes_continue_and_fail_together():
    names = ["continued", "continued_by_three", "other_checkpoint", "failing_meeting"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(TESTS / "ranks_with_checkpoints.py"), *names],
        env=os.environ | {"OMP_NUM_THREADS": "1", "RANKS_LIMIT": "400"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    for name in names:
        first, *others = answers[name]
        assert all(other == first for other in others), name
    # each asserts that it equals an undisturbed training
    assert isinstance(answers["continued"][0], list), answers
    assert isinstance(answers["continued_by_three"][0], list), answers
    assert "is of another training: learning_rate = 0.02 there" in answers["other_checkpoint"][0]
    assert answers["failing_meeting"][0] == "ValueError: this meeting has failed"


TRAIN = """
import os, random, signal, sys
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from ranks import course, news, recommender
from skrec import behavior
from skrec._training.checkpoint import Checkpoint

folder, out, is_killed = sys.argv[2], sys.argv[3], sys.argv[4] == "killed"
rank, start = int(os.environ["RANK"]), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
after_step, n_steps = Checkpoint.after_step, [0]
at = random.Random(start).randint(2, 6)

def killing(self, trainer):
    after_step(self, trainer)
    n_steps[0] += 1
    if is_killed and start < 3 and rank == start % 2 and n_steps[0] == at:
        os.kill(os.getpid(), signal.SIGKILL)

Checkpoint.after_step = killing
data = news()
rec = recommender(behavior=behavior.GRU(dropout=0.3), precision="auto", batch_size=4)
rec.fit(data.train, data.items, checkpoint=folder, checkpoint_every=2)
if rank == 0:
    open(out, "w").write(f"{start} {course(rec)}")
"""


@pytest.mark.slow
def test_torchrun_restarts_end_with_the_undisturbed_model(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    answers = {}
    for name in ("undisturbed", "killed"):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", "2", "--max-restarts", "3", str(tmp_path / "train.py")]
        command += [str(TESTS), str(tmp_path / name), str(tmp_path / "out")]
        done = subprocess.run(
            [*command, name],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        answers[name] = (tmp_path / "out").read_text().split(" ", 1)
    assert answers["killed"][0] == "3"  # three restarts
    assert answers["killed"][1] == answers["undisturbed"][1]
