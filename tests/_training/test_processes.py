"""Training by several real processes, which end with the same model or with the same error."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rank_answers import rank_answers
from torch import distributed, nn

from skrec import ContentRecommender
from skrec._training import processes
from skrec._training.processes import Processes, _buckets, launched_processes

LIMIT = 300  # seconds for one function, on a busy machine

EQUAL = ["impressions", "histories", "tables", "three", "dropout", "other_seeds", "stop", "again"]
RAISED = {
    "shards": r"ValueError: the processes of this training differ: rows: 40 impressions \(\w+\) in "
    r"process 0, but 40 impressions \(\w+\) in process 1. Each process must pass all rows",
    "other_parameters": "ValueError: .* differ: learning_rate = 0.01 in process 0, but 0.02 in",
    "other_operators": "ValueError: .* differ: behavior = GRU",
    "other_catalogue": r"ValueError: .* differ: catalogue: 80 items \(",
    "other_rounding": "ValueError: processes 0 and 1 .* prepared the items differently",
    "other_model": "ValueError: .* differ: model: a new one in process 0, but 1 epochs",
    "other_calls": "ValueError: .* differ: call: fit in process 0, but partial_fit in process 1",
    "unknown_item": "ValueError: can.t read column .history.",
    "invalid_parameter": "ValueError: width must be a positive int, got -1",
    "failing_end": "ValueError: this callback has failed",
    "failing_begin": "ValueError: this callback has failed",
    "failing_unpicklable": "(Unpicklable|RuntimeError: Unpicklable): .*this callback has failed",
    "failing_step": "ValueError: this step has failed",
    "failing_last_step": "ValueError: this step has failed",
    "failing_update": "ValueError: this update has failed",
    "failing_validation": "MemoryError: no memory for the scores",
}
OTHERS = ["counts", "exiting", "interrupted_callback", "interrupted_anywhere", "killed"]
OTHERS += ["forked_worker", "two_threads", "running_means"]


@pytest.fixture(scope="module")
def answers():
    """Return what each function of tests/ranks.py returned in its two or three processes."""
    return rank_answers("ranks.py", [*EQUAL, *RAISED, *OTHERS], LIMIT)


@pytest.mark.slow
@pytest.mark.parametrize("name", EQUAL)
def test_processes_end_with_the_same_model(answers, name):
    first, *others = answers[name]
    assert isinstance(first, list), first
    assert all(other == first for other in others)


@pytest.mark.slow
@pytest.mark.parametrize("name", RAISED)
def test_an_error_in_one_process_is_raised_in_all(answers, name):
    # otherwise, the others would wait for the process that failed
    for answer in answers[name]:
        assert isinstance(answer, str)
        assert re.match(RAISED[name], answer), answer
    if name != "failing_unpicklable":
        assert answers[name][0] == answers[name][1]


def assert_same_course(together, alone):
    """Compare losses, validation scores, calibration, co-clicks and chosen parameters."""
    _, losses, scores, best, calibration, *others = together
    _, losses_alone, scores_alone, best_alone, calibration_alone, *others_alone = alone
    np.testing.assert_allclose(losses, losses_alone, rtol=1e-10)
    np.testing.assert_allclose(scores, scores_alone, rtol=1e-10)
    np.testing.assert_allclose(best, best_alone, rtol=1e-10)
    np.testing.assert_allclose(calibration, calibration_alone, rtol=1e-4)
    assert others == others_alone


@pytest.mark.slow
def test_two_processes_equal_one_with_twice_the_batch_size(answers):
    trained, alone, updated, updated_alone = answers["impressions"][0]
    assert_same_course(trained, alone)
    assert_same_course(updated, updated_alone)
    assert_same_course(*answers["histories"][0])
    assert_same_course(*answers["tables"][0])


@pytest.mark.slow
def test_three_processes_share_out_what_three_do_not_divide(answers):
    # the last steps have fewer rows than there are processes
    for together, alone in answers["three"][0]:
        assert_same_course(together, alone)


@pytest.mark.slow
def test_a_callback_in_one_process_stops_all(answers):
    assert [answer[0] for answer in answers["stop"]] == [2, 2]


@pytest.mark.slow
def test_processes_train_on_after_an_error(answers):
    assert answers["again"][0] == answers["impressions"][0][0]


@pytest.mark.slow
def test_processes_exit_together(answers):
    assert answers["exiting"] == ["this callback has failed"] * 2


@pytest.mark.slow
def test_an_interrupt_of_one_process_keeps_the_model_in_all(answers):
    first, second = answers["interrupted_callback"]
    assert first == second
    assert len(first[0]) == 1 and "interrupted in epoch" in first[0][0]
    assert len(first[1][1]) < 5


@pytest.mark.slow
def test_interrupts_at_any_time_leave_equal_models(answers):
    first, second = answers["interrupted_anywhere"]
    assert isinstance(first, list), first
    for one, other in zip(first, second, strict=True):
        # an interrupt after the last message reaches a process that has its model
        assert one == other


@pytest.mark.slow
def test_a_killed_process_ends_the_others(answers):
    (text, seconds), gone = answers["killed"]
    assert gone is None
    assert "another process of this training has ended" in text
    assert seconds < 60


@pytest.mark.slow
def test_a_forked_worker_trains_alone(answers):
    assert answers["forked_worker"] == [0, 0]


@pytest.mark.slow
def test_fits_in_threads_do_not_mix_their_messages(answers):
    first, second = answers["two_threads"]
    assert first == second and first[0] == first[1]


@pytest.mark.slow
def test_gradients_are_exchanged_once_per_step(answers):
    # with one message per parameter, a step would have n_parameters + 2 of them
    for seen, n_steps, n_epochs, n_parameters in answers["counts"]:
        assert n_parameters > 3
        assert seen["all_reduce"] == n_steps
        assert seen["all_gather_object"] <= 4 * n_epochs + 13
        assert seen["broadcast"] == 1


@pytest.mark.slow
def test_running_means_are_those_of_all_processes(answers):
    # otherwise, each process would predict with the means of its own rows
    first, second = answers["running_means"]
    assert first[1:] == second[1:]
    assert len(first[0]) == 3  # three epochs, one of them in partial_fit
    for (one, both), (other, both_there) in zip(first[0], second[0], strict=True):
        assert both == both_there
        for mine, theirs, value in zip(one, other, both, strict=True):
            assert mine != theirs
            mean = (torch.tensor(mine) + torch.tensor(theirs)) / 2
            torch.testing.assert_close(torch.tensor(value), mean)


SEARCH = """
import json, os, sys, warnings
from sklearn.model_selection import GridSearchCV
from skrec import ContentRecommender, Items
from skrec.datasets import make_headlines

warnings.simplefilter("ignore")
news = make_headlines(n_users=30, n_items=80, n_impressions=100, random_state=0)
rec = ContentRecommender("mean_pooling", width=8, max_epochs=1, device="cpu", random_state=0)
grid = {"learning_rate": [1e-3, 3e-3]}
search = GridSearchCV(rec, grid, cv=2, n_jobs=2, refit=False, error_score="raise")
search.fit(news.train, items=Items(news.items))
rec.fit(news.train, news.items)
from torch import distributed
answer = [search.cv_results_["mean_test_score"].tolist(), rec.loss_curve_]
with open(os.path.join(sys.argv[1], os.environ["RANK"]), "w") as file:
    json.dump([answer, distributed.get_world_size()], file)
"""


@pytest.mark.slow
def test_workers_of_a_search_under_torchrun_train_alone(tmp_path):
    # they inherit the environment of their process, and would wait for each other
    (tmp_path / "search.py").write_text(SEARCH)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, "--nproc-per-node", "2", str(tmp_path / "search.py"), str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as launched:
        try:
            output, _ = launched.communicate(timeout=2 * LIMIT)
        except subprocess.TimeoutExpired:
            launched.terminate()  # torchrun ends its processes
            raise
    assert launched.returncode == 0, output.decode()
    first, second = (json.loads((tmp_path / str(rank)).read_text()) for rank in range(2))
    assert first == second and first[1] == 2


LAUNCHED = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "a run"}


def launch(monkeypatch, **changes):
    """Set the variables of torchrun, and return whether a group of processes is started."""
    for name, value in (LAUNCHED | changes).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    started = []
    monkeypatch.setattr(distributed, "init_process_group", started.append)
    monkeypatch.setattr(distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    return lambda processes="auto": (launched_processes(processes, "cpu").n, started)


def test_a_process_of_torchrun_takes_part(monkeypatch):
    assert launch(monkeypatch)() == (2, ["gloo"])


def test_none_trains_alone(monkeypatch):
    assert launch(monkeypatch)(None) == (1, [])


@pytest.mark.parametrize("changes", [{"WORLD_SIZE": "1"}, {"TORCHELASTIC_RUN_ID": None}])
def test_other_environments_train_alone(monkeypatch, changes):
    assert launch(monkeypatch, **changes)() == (1, [])


def test_workers_of_multiprocessing_train_alone(monkeypatch):
    monkeypatch.setattr(processes.multiprocessing, "parent_process", object)
    assert launch(monkeypatch)() == (1, [])


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads the files of Linux")
@pytest.mark.parametrize(("between", "alone"), [("python", True), ("sh", False)])
def test_workers_that_a_process_started_train_alone(between, alone):
    # a shell between torchrun and a process is none of its processes
    ask = "from skrec._training.processes import _is_started_by_rank as f; print(f())"
    if between == "sh":
        command = ["sh", "-c", f"{sys.executable} -c '{ask}'; true"]
    else:
        start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ask!r}])"
        command = [sys.executable, "-c", start]
    told = subprocess.run(
        command, env=os.environ | LAUNCHED, capture_output=True, text=True, timeout=LIMIT
    )
    assert told.stdout.strip() == str(alone), told.stderr


def test_an_invalid_value_of_processes_is_refused():
    with pytest.raises(ValueError, match=r"processes must be one of 'auto', None, got 'all'"):
        ContentRecommender(processes="all").fit([[1, 2]], {1: "a", 2: "b"})


def test_one_process_leaves_buffers_alone():
    module = nn.BatchNorm1d(2)
    module.running_mean.fill_(0.1)
    before = module.running_mean.clone()
    Processes().average_buffers(module)
    assert torch.equal(module.running_mean, before)


def test_gradients_are_summed_in_parts_of_limited_size(monkeypatch):
    monkeypatch.setattr(processes, "BUCKET", 10)
    sizes = [4, 6, 1, 30, 2]
    tensors = [torch.zeros(size) for size in sizes] + [torch.zeros(2, dtype=torch.float64)]
    assert _buckets(tensors) == [[0, 1], [2], [3], [4], [5]]
    assert _buckets([]) == []


def test_connections_are_closed_at_exit(monkeypatch):
    # their threads would end one of several processes with an abort, after its script has succeeded
    registered = []
    monkeypatch.setattr(processes.atexit, "register", registered.append)
    monkeypatch.setattr(processes.distributed, "init_process_group", lambda backend: None)
    monkeypatch.setenv("GROUP_WORLD_SIZE", "2")
    processes._join_group("gloo")
    [leave] = registered
    leave()  # without a group, nothing is closed
    closed = []
    monkeypatch.setattr(processes.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(processes.distributed, "destroy_process_group", lambda: closed.append(1))
    leave()
    assert closed == [1]
