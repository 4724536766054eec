"""Large tables of ids: what a training step costs, and what it sends to other processes.

A step has 64 rows of 50 clicks and 5 candidates, drawn from the whole catalogue, whose vectors are
rows of a table. `dense` trains the table by AdamW, as small tables are, and `rows` by `TableAdam`,
as large ones are. `seconds` is the median time of a step in one process. `messages` and `bytes` are
what a process of two sends per step.
"""

import statistics
import time

import numpy as np
import torch
from torch import distributed

from _common import arguments, environment, report
from skrec import ContentRecommender, behavior, predictor
from skrec._data.packed import Dense, Packed
from skrec._network import Network
from skrec._training.batches import collate
from skrec._training.example_batch import ExampleBatch
from skrec._training.processes import Processes
from skrec._training.trainer import Plan, Stepper
from skrec.content._id import IDTable
from skrec.nn import _table

N_ROWS, N_CLICKS, N_CANDIDATES, WIDTH = 64, 50, 5, 64


def make_batch(n_items, rng):
    """Return a batch whose items are drawn from the whole catalogue."""
    codes = rng.integers(0, n_items, N_ROWS * N_CLICKS).astype(np.int32)
    starts = np.arange(N_ROWS) * N_CLICKS
    candidates = rng.integers(0, n_items, (N_ROWS, N_CANDIDATES))
    labels = np.zeros(candidates.shape, dtype=np.float32)
    labels[:, 0] = 1
    drawn = ExampleBatch(
        starts,
        starts + N_CLICKS,
        candidates,
        labels >= 0,
        labels,
        np.zeros((N_ROWS, 0), dtype=bool),
        np.ones(N_ROWS),
        np.zeros((N_ROWS, 2), dtype=np.int64),
    )
    return collate(drawn, np.empty(0, dtype=np.int64), codes, N_CLICKS)


def make_stepper(n_items, dense):
    """Return the stepper of a network of ids, and its catalogue."""
    _table.LARGE_TABLE = 1 << 50 if dense else 0
    modules = behavior.MeanPooling().build(WIDTH), predictor.Dot().build(WIDTH)
    network = Network(IDTable(n_items, WIDTH), *modules, WIDTH)
    plan = Plan.of(ContentRecommender(learning_rate=3e-3, batch_size=N_ROWS), "softmax")
    return Stepper(network, plan), Packed({"id": Dense(torch.arange(n_items)[:, None])})


def sent_by(stepper):
    """Return the bytes of each message that a process of two sends for the last gradients."""
    sent = []

    def gather(found, own):
        sent.append(own.nbytes)
        for each in found:
            each.copy_(own)

    distributed.all_reduce = lambda tensor: sent.append(tensor.nbytes)
    distributed.all_gather = gather
    Processes(0, 2).sum_gradients(stepper.network)
    return sent


def measure(n_items, dense, n_steps):
    """Return the costs of a step."""
    rng = np.random.default_rng(0)
    stepper, packed = make_stepper(n_items, dense)
    stepper.step(packed, make_batch(n_items, rng))
    seconds = []
    for _ in range(n_steps):
        batch = make_batch(n_items, rng)
        start = time.perf_counter()
        stepper.step(packed, batch)
        seconds.append(time.perf_counter() - start)
    sent = sent_by(stepper)
    return {
        "n_items": n_items,
        "way": "dense" if dense else "rows",
        "seconds": statistics.median(seconds),
        "messages": len(sent),
        "bytes": sum(sent),
    }


def main():
    options = arguments(__doc__)
    sizes = (10_000, 100_000) if options.quick else (100_000, 1_000_000, 4_000_000)
    for n_items in sizes:
        for dense in (True, False):
            if not dense or n_items <= 1_000_000:
                figures = measure(n_items, dense, 3 if dense else 10)
                report("tables", environment=environment(), **figures)


if __name__ == "__main__":
    main()
