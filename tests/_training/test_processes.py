"""State that must be equal in all processes of a distributed training, with real processes."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from torch import nn

from skrec._training.processes import Processes

SCRIPT = """
import json
from skrec import ContentRecommender, behavior, predictor
from skrec._training.processes import Processes
from skrec.datasets import make_headlines

average, seen = Processes.average_buffers, []

def buffers(modules):
    found = [b for module in modules for b in module.buffers()]
    return [b.tolist() for b in found if b.is_floating_point()]

def noted(self, *modules):
    own = buffers(modules)
    average(self, *modules)
    seen.append([own, buffers(modules)])

Processes.average_buffers = noted
news = make_headlines(n_users=30, n_items=80, n_impressions=100, random_state=0)
rec = ContentRecommender(
    "mean_pooling", behavior.TargetAttention(), predictor.MLP(activation="dice"),
    width=8, max_epochs=2, batch_size=16, device="cpu", precision="float64", random_state=0,
)
rec.fit(news.train, news.items)
rec.partial_fit(news.train)
scores = [part.tolist() for part in rec.decision_function(news.test.head(5))]
print(json.dumps([seen, scores, rec.loss_curve_]))
"""


def run_two():
    """Start two processes as torchrun does, by environment variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    common["OMP_NUM_THREADS"] = "1"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    answers = []
    for process in started:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        answers.append(json.loads(out.splitlines()[-1]))
    return answers


@pytest.mark.slow
def test_running_means_are_those_of_all_processes():
    # otherwise, each process would predict with the means of its own rows
    first, second = run_two()
    assert first[1:] == second[1:]
    assert len(first[0]) == 3  # three epochs, one of them in partial_fit
    for (one, both), (other, both_there) in zip(first[0], second[0], strict=True):
        assert both == both_there
        for mine, theirs, value in zip(one, other, both, strict=True):
            assert mine != theirs
            mean = (torch.tensor(mine) + torch.tensor(theirs)) / 2
            torch.testing.assert_close(torch.tensor(value), mean)


def test_one_process_leaves_buffers_alone():
    module = nn.BatchNorm1d(2)
    module.running_mean.fill_(0.1)
    before = module.running_mean.clone()
    Processes().average_buffers(module)
    assert torch.equal(module.running_mean, before)
