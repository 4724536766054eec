"""Training that is killed and continued from its checkpoint: equal weights, and what it costs.

20 times, a process is killed by ``kill -9`` after a random step, and a new process makes the same
call. `n_equal` counts the models with exactly the weights of an undisturbed training, with dropout,
hard negatives and a schedule of the learning rate. `step_lost` is the mean number of steps that
were taken twice, with a checkpoint every 5 steps. Then, one process trains with and without
checkpoints: `seconds` of each, and the size of the checkpoint.
"""

import hashlib
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import torch

from _common import arguments, environment, report
from skrec import ContentRecommender, behavior
from skrec._training.checkpoint import Checkpoint
from skrec.datasets import make_headlines

N_KILLS, N_KILLS_QUICK = 20, 3
EVERY = 5


def fit(data, folder, kill_at=None):
    """Train, and kill the own process after some steps; return the weights' hash and the steps."""
    after_step, n_steps = Checkpoint.after_step, [0]

    def killing(self, trainer):
        after_step(self, trainer)
        n_steps[0] += 1
        if n_steps[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoint.after_step = killing
    rec = ContentRecommender(
        "mean_pooling",
        behavior.GRU(dropout=0.3),
        width=16,
        n_negatives=8,
        n_hard_negatives=2,
        lr_schedule="cosine",
        max_epochs=5,
        batch_size=8,
        random_state=0,
    )
    histories = list(data.train.history)
    rec.fit(histories, data.items, checkpoint=folder, checkpoint_every=EVERY)
    weights = b"".join(v.numpy().tobytes() for v in rec.network_.trained_state().values())
    return hashlib.sha256(weights).hexdigest(), n_steps[0]


def in_process(*given):
    """Call `fit` in a process of its own, and return its result; None if it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with os.fdopen(writing, "w") as file:
            file.write(" ".join(map(str, fit(*given))))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        answer = file.read().split()
    os.waitpid(child, 0)
    return (answer[0], int(answer[1])) if answer else None


def main():
    args = arguments(__doc__)
    torch.set_num_threads(1)
    data = make_headlines(n_users=40, n_items=120, n_impressions=240, random_state=0)
    chance = random.Random(0)
    n_equal, lost = 0, []
    with tempfile.TemporaryDirectory() as name:
        expected, n_steps = in_process(data, Path(name) / "undisturbed")
        n_kills = N_KILLS_QUICK if args.quick else N_KILLS
        for number in range(n_kills):
            folder, step = Path(name) / str(number), chance.randrange(1, n_steps)
            assert in_process(data, folder, step) is None
            found, n_left = in_process(data, folder)
            n_equal += found == expected
            lost.append(step + n_left - n_steps)
        seconds = {}
        for case, folder in (("without", None), ("with", Path(name) / "timed")):
            start = time.perf_counter()
            in_process(data, folder)
            seconds[case] = time.perf_counter() - start
        size = sum(path.stat().st_size for path in (Path(name) / "timed").iterdir())
    report(
        "checkpoint",
        n_kills=n_kills,
        n_equal=n_equal,
        n_steps=n_steps,
        step_lost=sum(lost) / len(lost),
        seconds=seconds,
        checkpoint_kb=size / 1e3,
    )
    report("environment", **environment())


if __name__ == "__main__":
    main()
