"""Processes that train together on rows in files; ``python shard_ranks.py NAME...`` as ranks.py."""

import shutil
import tempfile
from pathlib import Path

from ranks import Callback, course, main, news, recommender
from torch import distributed

from skrec import Interactions, behavior
from skrec._training.checkpoint import Checkpoint
from skrec._training.streamed_rows import StreamedExamples
from skrec._training.trainer import Stepper

COLUMNS = ["history", "candidates", "clicked"]
# nothing is drawn at random, except the order of the rows
FULL = {"n_negatives": "all", "history_targets": 0, "early_stopping": False, "batch_size": 1000}
GRU = behavior.GRU(dropout=0.3)


def folder():
    """Return a new folder, the same in all processes."""
    found = [tempfile.mkdtemp() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(found, src=0)
    return Path(found[0])


def write(columns, n_rows=61, size=9):
    """Write impressions or histories to a file, and return its path."""
    path, rows = folder() / "a.parquet", news().train.head(n_rows)
    if distributed.get_rank() == 0:
        rows[columns].to_parquet(path, row_group_size=size)
    distributed.barrier()
    return path


def fit(X, call=None, at="end", parameters=None, **arguments):
    rec = recommender(**parameters or {})
    if call is not None:
        rec.set_callbacks(Callback(call, at))
    return rec.fit(X, news().items, **arguments)


def full_batches(rank):
    """A step of two processes is that of one process with the rows of both."""
    path = write(COLUMNS)
    rec = fit(Interactions.from_shards(path), parameters=FULL)
    alone = recommender(**FULL, processes=None).fit(news().train.head(61)[COLUMNS], news().items)
    same_rows = abs(rec.n_clicks_ - alone.n_clicks_).max() == 0
    return [rec.loss_curve_, alone.loss_curve_, rec.network_.n_steps, bool(same_rows)]


def buffers(rank):
    """Several buffers, of which the processes have different numbers of clicks."""
    found = []
    for columns, n in ((COLUMNS, 1), (["history"], 3)):
        X = Interactions.from_shards(write(columns), buffer_size=7)
        parameters = {"behavior": GRU, "batch_size": 4, "gradient_accumulation_steps": n}
        parameters["early_stopping"] = n == 1
        rec = fit(X, parameters=parameters)
        found.append([course(rec), rec.network_.n_steps])
    return found


def own_files(rank):
    """Each process has files of its own, of different sizes."""
    path = write(COLUMNS, n_rows=20).with_name(f"{rank}.parquet")
    start = 40 * rank
    news().train.iloc[start : start + 30 + 10 * rank][COLUMNS].to_parquet(path, row_group_size=9)
    X = Interactions.from_shards(path, buffer_size=20, rank=0, world=1)
    rec = fit(X, parameters={"n_negatives": 4})
    return course(rec), rec.n_clicks_.sum()


def other_files(rank):
    """Processes that pass different files would leave out rows."""
    path = write(COLUMNS).with_name(f"{rank}.parquet")
    news().train.head(50)[COLUMNS].to_parquet(path)
    fit(Interactions.from_shards(path))


def other_rows(rank):
    """One process has its rows in memory."""
    X = Interactions.from_shards(write(COLUMNS))
    fit(X if rank else news().train)


def too_few(rank):
    fit(Interactions.from_shards(write(COLUMNS, n_rows=1)))


def failing_read(rank):
    """A file that can't be read ends training in all processes."""
    load, left = StreamedExamples._teaches, [9]

    def failing(self, data):
        left[0] -= 1
        if rank and not left[0]:
            raise OSError("this file has failed")
        return load(self, data)

    StreamedExamples._teaches = failing
    fit(Interactions.from_shards(write(COLUMNS), buffer_size=7))


def failing_step(rank, **arguments):
    """A step in the middle of a buffer fails, also when a checkpoint is due after the buffer."""
    add, left = Stepper.add, [5]

    def failing(self, packed, batch):
        left[0] -= 1
        if rank and not left[0]:
            raise ValueError("this step has failed")
        return add(self, packed, batch)

    Stepper.add = failing
    X = Interactions.from_shards(write(COLUMNS), buffer_size=15)
    fit(X, parameters={"batch_size": 4, "history_targets": 0}, **arguments)


def failing_step_with_checkpoint(rank):
    failing_step(rank, checkpoint=folder() / "c", checkpoint_every=1)


def failing_begin(rank):
    def call(n_epochs):
        if rank and n_epochs == 2:
            raise ValueError("this callback has failed")

    fit(Interactions.from_shards(write(COLUMNS), buffer_size=15), call, "begin")


def continued(rank):
    """A training that fails again and again ends with the model of an undisturbed one."""
    X = Interactions.from_shards(write(COLUMNS), buffer_size=11)
    parameters = {"behavior": GRU, "batch_size": 4, "early_stopping": False}
    expected = course(fit(X, parameters=parameters))
    after, left, place = Checkpoint.after_buffer, [0], folder()

    def failing(self, trainer):
        after(self, trainer)
        left[0] -= 1
        if rank and not left[0]:
            raise MemoryError("this process has failed")

    Checkpoint.after_buffer = failing
    n_failed = 0
    for n in (1, 2, 3, 2, 0):
        left[0] = n
        try:
            rec = fit(X, parameters=parameters, checkpoint=place / "c", checkpoint_every=1)
        except MemoryError:
            n_failed += 1
    distributed.barrier()
    if rank == 0:
        shutil.rmtree(place)
    return course(rec), expected, n_failed


if __name__ == "__main__":
    main(globals())
