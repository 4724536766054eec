"""Checkpoints of several processes; run as ``python ranks_with_checkpoints.py NAME...``."""

import tempfile
from pathlib import Path

from ranks import course, main, news, recommender
from torch import distributed

from skrec import behavior, predictor
from skrec._training.checkpoint import Checkpoint
from skrec._training.trainer import Stepper


def checkpointed(folder, n_steps=None, **parameters):
    """Fit with a checkpoint; after some steps, an error in process 1 ends it in all."""
    after_step, n_calls = Checkpoint.after_step, []

    def failing(self, trainer):
        after_step(self, trainer)
        n_calls.append(1)
        if trainer.processes.rank == trainer.processes.n - 1 and len(n_calls) == n_steps:
            raise ValueError("this process has failed")

    data = news()
    mlp = predictor.MLP(activation="dice")
    defaults = {"behavior": behavior.GRU(dropout=0.3), "predictor": mlp, "batch_size": 4}
    rec = recommender(**defaults | parameters)
    Checkpoint.after_step = failing
    try:
        return rec.fit(data.train, data.items, checkpoint=folder, checkpoint_every=2)
    except ValueError as error:
        if "this process has failed" not in str(error):
            raise
    finally:
        Checkpoint.after_step = after_step


def shared_folder():
    """Return a folder of process 0, whose name all processes know."""
    name = [tempfile.mkdtemp() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(name, src=0)
    return Path(name[0]) / "checkpoint"


def continued(rank):
    """Dropout, running means and shares of the loss are those of an undisturbed training."""
    undisturbed = course(checkpointed(None))
    folder = shared_folder()
    for n_steps in (3, 5, 4):
        checkpointed(folder, n_steps)
    rec = checkpointed(folder)
    assert course(rec) == undisturbed, (course(rec), undisturbed)
    return course(rec)


def continued_by_three(rank):
    """The checkpoint of a process that trained alone is continued by three."""
    folder = shared_folder()
    if rank == 0:
        checkpointed(folder, 7, batch_size=4, processes=None)
    distributed.barrier()
    rec = checkpointed(folder)
    assert rec.n_epochs_ == 3
    return course(rec)


def other_checkpoint(rank):
    folder = shared_folder()
    checkpointed(folder, 3)
    checkpointed(folder, learning_rate=0.5)


def failing_meeting(rank):
    """A process fails where the others wait for it to agree on a checkpoint."""
    flush, n_calls = Stepper.flush, []

    def failing(self):
        waiting = self._n_waiting
        flush(self)
        n_calls.append(1)
        if rank == 1 and waiting and self.n_taken == 2:
            raise ValueError("this meeting has failed")

    Stepper.flush = failing
    data = news()
    recommender(batch_size=4).fit(
        data.train, data.items, checkpoint=shared_folder(), checkpoint_every=2
    )


if __name__ == "__main__":
    main(globals())
