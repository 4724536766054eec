"""Rows larger than memory: seconds and memory of `fit` on shards, at one and ten times the rows.

Made-up histories of 30 clicks on 50,000 items, in parquet files with row groups of 20,000 rows.
Each size is trained for one epoch in a process of its own, with a buffer of 100,000 rows. `survey`
is the pass that checks and counts the rows, and `fit` is all of `fit`, with this pass. Growth is
that of the seconds of the processor, which other processes do not change.
"""

import time
from functools import partial

import numpy as np

from _common import report
from _steps import in_new_process, step

N_ITEMS, N_CLICKS, ROW_GROUP, BUFFER = 50_000, 30, 20_000, 100_000
SIZES = (400_000, 4_000_000)
QUICK_SIZES = (4_000, 40_000)


def write(n_rows, folder, figures):
    """Write histories, of which each is a random walk among neighbouring items."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    folder.mkdir()
    schema = pa.schema([("history", pa.list_(pa.int32()))])
    for start in range(0, n_rows, BUFFER):
        n = min(BUFFER, n_rows - start)
        first = (N_ITEMS * rng.random((n, 1)) ** 2).astype(np.int32)
        walk = (first + rng.integers(-50, 50, (n, N_CLICKS), dtype=np.int32)) % N_ITEMS
        offsets = np.arange(n + 1, dtype=np.int32) * N_CLICKS
        column = pa.ListArray.from_arrays(offsets, pa.array(walk.ravel()))
        path = folder / f"{start:010d}.parquet"
        pq.write_table(pa.table([column], schema=schema), path, row_group_size=ROW_GROUP)


def train(buffer_size, folder, figures):
    """Train for one epoch; add seconds and memory of the survey and of all."""
    from skrec import ContentRecommender, Interactions, Items, behavior, content
    from skrec._training import start as module

    survey = module.survey

    def timed(*arguments):
        begin = time.perf_counter()
        found = survey(*arguments)
        figures["survey"] = time.perf_counter() - begin
        return found

    module.survey = timed
    items = Items({"item_id": np.arange(N_ITEMS)})
    rec = ContentRecommender(
        content.ID(),
        behavior.MeanPooling(),
        width=16,
        history_targets=0,
        n_negatives=64,
        batch_size=1024,
        max_epochs=1,
        early_stopping=False,
        device="cpu",
        random_state=0,
    )
    with step(figures, "fit"):
        rec.fit(Interactions.from_shards(folder, buffer_size=buffer_size), items)
    figures["loss"] = rec.loss_curve_[-1]
    figures["n_steps"] = rec.network_.n_steps


def run(folder, quick):
    """Measure all sizes."""
    before = None
    for n_rows in QUICK_SIZES if quick else SIZES:
        in_new_process(partial(write, n_rows), folder / str(n_rows))
        figures = in_new_process(partial(train, 2_000 if quick else BUFFER), folder / str(n_rows))
        seconds = figures["fit"]["cpu_seconds"]
        if before is not None:
            per_ten = np.log(10) / np.log(n_rows / before[0])
            figures["growth"] = (seconds / before[1]) ** per_ten
        before = n_rows, seconds
        report(
            "scale",
            part="shards",
            n_rows=n_rows,
            n_clicks=n_rows * N_CLICKS,
            rows_per_cpu_second=n_rows / seconds,
            **figures,
        )
