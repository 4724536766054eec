"""Processes that shard a language model; run as ``python sharded_ranks.py NAME...``."""

import json
import os
import signal
import tempfile
from pathlib import Path

import numpy as np
import peft
from ranks import course, main, news, recommender
from ranks_with_checkpoints import checkpointed, shared_folder
from tiny_models import save_tiny
from torch import distributed

from skrec import Interactions, behavior, content, load
from skrec._training import sharded
from skrec._training.checkpoint import Checkpoint
from skrec.content._lm import network

N_PARTS = 200  # tokens per micro-batch, so that processes need different numbers of them


def language_model(architecture="BERT", **parameters):
    """Return an operator around a tiny model without dropout, which all processes have."""
    folder = shared_folder()
    if distributed.get_rank() == 0:
        save_tiny(folder, list(news().items.title), architecture)
        config = json.loads((folder / "config.json").read_text())
        config |= {name: 0.0 for name in config if "dropout" in name}
        (folder / "config.json").write_text(json.dumps(config))
    distributed.barrier()
    return content.LanguageModel(str(folder), max_length=12, **parameters)


def fitted(processes="auto", together=2, size=8, n_rows=60, **parameters):
    """Fit with shards, or alone with the batches of all processes."""
    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    network.PART_ON_CPU = N_PARTS
    data = news()
    size *= 1 if processes else together
    defaults = {"max_epochs": 2, "pretrained_learning_rate": 0.01, "co_clicks": False}
    defaults |= {"early_stopping": False}
    rec = recommender(batch_size=size, processes=processes, **defaults | parameters)
    return rec.fit(data.train.head(n_rows), data.items)


def both(model, rtol=1e-8, atol=1e-10, **parameters):
    """Return what training with shards and alone ended with, after comparing the weights."""
    found = []
    for processes in ("auto", None):
        rec = fitted(processes, content=model, **parameters)
        state = {name: v.double().numpy() for name, v in rec.network_.trained_state().items()}
        found.append((course(rec), state))
    for name, value in found[0][1].items():
        np.testing.assert_allclose(value, found[1][1][name], rtol, atol, err_msg=name)
    return found[0][0], found[1][0]


def whole_model(rank):
    """Equal to one process, with a schedule, clipped gradients and a validation score."""
    clipped = {"max_grad_norm": 0.1, "lr_schedule": "cosine", "gradient_accumulation_steps": 2}
    first = both(language_model(), **clipped)
    return *first, *both(language_model(), early_stopping=True, pretrained_learning_rate=1e-3)


def recomputed(rank):
    """Activations are recomputed in the backward passes, also in those without rows."""
    network.TOKEN_BUDGET = sharded.RECOMPUTED = 100
    return both(language_model(gradient_checkpointing=True), max_epochs=1)


def decoder(rank):
    """A decoder with adapters, of which only those are trained. Its norms compute in float32."""
    lora = peft.LoraConfig(r=2, lora_dropout=0.0)
    model = language_model("Llama", lora=lora, pooling="last")
    return both(model, 1e-4, 1e-6, max_epochs=1)


def split(rank):
    """Layers above a frozen prefix, whose tokens a behavior operator reads."""
    model = language_model(trainable_layers=1)
    return both(model, behavior=behavior.Fastformer(dropout=0.0), max_epochs=1)


def wrapped(rank):
    """A language model inside another operator, with content that has a penalty."""
    return both(content.WithID(language_model(), dropout=0.0), max_epochs=1)


def three(rank):
    """Processes without rows in the last step take part in its passes."""
    return both(language_model(), together=3, size=5, n_rows=31)


def is_sharded(rank):
    """A process keeps a part of the weights and of the moments during a step."""
    found = {}

    def count(self, *arguments):
        local = [p.to_local().numel() for p in self.shards.parameters()]
        found["weights"] = sum(local), sum(p.numel() for p in self.shards.parameters())
        return agree(self, *arguments)

    agree, sharded.ShardedModel.agree = sharded.ShardedModel.agree, count
    fitted(content=language_model(), max_epochs=1)
    own, total = found["weights"]
    return own < 0.6 * total


def continued(rank):
    """A checkpoint within an epoch, from which training continues with the same weights."""
    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    parameters = {"content": language_model(), "co_clicks": False, "batch_size": 16}
    undisturbed = course(checkpointed(None, **parameters))
    folder = shared_folder()
    checkpointed(folder, 3, **parameters)
    assert Checkpoint is not None and (folder / "checkpoint.json").parent.exists()
    return course(checkpointed(folder, **parameters)), undisturbed


def warm(rank):
    """Moments are kept for later calls."""
    found = []
    for processes in ("auto", None):
        rec = fitted(processes, content=language_model(), warm_start=True, max_epochs=1)
        data = news()
        rec.partial_fit(data.train.head(60))
        found.append(course(rec))
    return found


def saved(rank):
    """Each process has the whole model afterwards, and can save and answer alone."""
    rec = fitted(content=language_model(), max_epochs=1)
    folder = Path(tempfile.mkdtemp())
    rec.save(folder / "model")
    ids, scores = load(folder / "model").recommend([list(news().items.item_id[:2])], k=3)
    return ids.tolist(), np.round(scores, 6).tolist()


def failing_pass(rank):
    """An error between the layers of one process reaches the others, which wait in a pass."""
    counter = []

    def failing(self):
        counter.append(1)
        if rank == 1 and len(counter) == 3:
            raise MemoryError("no memory for the activations")
        return missing(self)

    missing = sharded.ShardedModel.missing_passes
    sharded.ShardedModel.missing_passes = failing
    fitted(content=language_model())


def failing_loss(rank):
    """A loss that is not finite in one process."""
    from skrec._training import stepper

    def failing(*arguments):
        return batch_loss(*arguments) * (float("nan") if rank else 1.0)

    batch_loss, stepper.batch_loss = stepper.batch_loss, failing
    fitted(content=language_model())


def interrupted(rank):
    """Ctrl-C in one process ends training in all, which keep the same whole model."""
    calls = []

    def interrupting(self, *arguments):
        calls.append(1)
        if rank == 1 and len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return agree(self, *arguments)

    agree, sharded.ShardedModel.agree = sharded.ShardedModel.agree, interrupting
    rec = fitted(content=language_model(), max_epochs=2)
    return course(rec)[0], rec.recommend([list(news().items.item_id[:2])], k=3)[0].tolist()


def streamed(rank):
    """Rows of files, of which one process has more."""
    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    model, folder, data = language_model(), shared_folder(), news()
    if rank == 0:
        folder.mkdir()
        for number, rows in enumerate((data.train[:40], data.train[40:60])):
            rows.to_parquet(folder / f"{number}.parquet", row_group_size=20)
    distributed.barrier()
    rec = recommender(content=model, early_stopping=False, co_clicks=False, max_epochs=1)
    rec.fit(Interactions.from_shards(folder), data.items)
    return course(rec)


def version_1(rank):
    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}
    data = news()
    recommender(content=language_model()).fit(data.train, data.items)


if __name__ == "__main__":
    main(globals())
