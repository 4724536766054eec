"""Training steps of NAML and NRMS on MovieLens 100K, beside a twin that encodes the padded grid.

The twin shares the network, the loss and the optimiser. It encodes every slot of every history
(padded to 50) and every candidate by itself, with texts padded to the longest of the data, as a
straightforward implementation does; skrec encodes each distinct item of a batch once.
"""

import time
from functools import partial

import numpy as np
import torch

from _common import alternate, arguments, environment, peak_mb, report
from _ml100k import read_items, read_split
from _padded import MAX_HISTORY, padded_loss
from skrec import zoo
from skrec._data.encode import encode
from skrec._data.rows import as_table
from skrec._training.batches import iterate_batches
from skrec._training.examples import ImpressionExamples
from skrec._training.negatives import NegativeSampler
from skrec._training.trainer import Plan, Stepper
from skrec.content._columns.network import ColumnNetwork

MODELS = {"naml": zoo.NAML, "nrms": zoo.NRMS}
BATCH_SIZE, N_NEGATIVES = 64, 4


class Setting:
    """A network on MovieLens 100K, its batches, and an optimiser for each way."""

    def __init__(self, model, folder, n_batches):
        items = read_items(folder)
        impressions = read_split(folder, "train")
        # an epoch on a few rows makes the network and prepares the items
        self.rec = MODELS[model](
            learning_rate=3e-3, max_epochs=1, early_stopping=False, random_state=0
        )
        self.rec.fit(impressions.head(BATCH_SIZE), items)
        self.network = self.rec.network_
        self.network.train()
        self.packed = self.rec._encoded().packed(self.network)
        everything = torch.arange(items.n_items)
        self.padded = self.packed.take(everything)  # to the longest text of the data
        data = encode(as_table(impressions), items=items, labels="required")
        sampler = NegativeSampler(data, items.n_items, N_NEGATIVES, "uniform")
        examples, rng = ImpressionExamples(data, sampler), np.random.default_rng(0)
        batches = iterate_batches(examples, BATCH_SIZE, MAX_HISTORY, rng)
        self.batches = [batch for batch, _ in zip(batches, range(n_batches), strict=False)]
        self.stepper = Stepper(self.network, Plan.of(self.rec, "softmax"))
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3, fused=True)

    def ours(self):
        for batch in self.batches:
            self.stepper.step(self.packed, batch)

    def plain(self):
        for batch in self.batches:
            plain_step(self, batch)


def padded_vectors(module, columns):
    """Item vectors (U, D), with every place of the padded texts embedded and encoded."""
    if not isinstance(module, ColumnNetwork):
        return module(columns)
    vectors = []
    for column, key, encoder in zip(module.schema, module.keys, module.encoders, strict=True):
        values, mask = columns[column.name]
        embed = module.embeddings[key]
        if column.role in ("text", "multi-category"):
            vectors.append(encoder(embed(values), mask))
        elif column.role == "category":
            vectors.append(embed(values[:, 0]))
        else:
            vectors.append(embed(values.to(embed.weight.dtype)))
    if module.fusion is None:
        return vectors[0]
    masks = [columns[column.name][1].any(dim=1) for column in module.schema]
    return module.fusion(torch.stack(vectors, dim=1), torch.stack(masks, dim=1))


def plain_step(setting, batch):
    """Take the step with every slot of the padded grid encoded."""
    network = setting.network

    def vectors_of(slots):
        columns = {
            name: (values[slots], real[slots]) for name, (values, real) in setting.padded.items()
        }
        return padded_vectors(network.content, columns)

    setting.optimizer.zero_grad(set_to_none=True)
    padded_loss(network, batch, vectors_of).backward()
    setting.optimizer.step()


def run(way, setting):
    getattr(setting, way)()


def main():
    args = arguments(
        __doc__, data="~/.cache/skrec/ml100k", repeats=5, threads=torch.get_num_threads()
    )
    torch.set_num_threads(args.threads)
    n_batches = 3 if args.quick else 16
    report("environment", **environment())
    for model in MODELS:
        setting = Setting(model, args.data, n_batches)
        ways = {"ours": setting.ours, "plain": setting.plain}
        seconds = alternate(ways, 2 if args.quick else args.repeats)
        n_impressions = sum(len(batch.labels) for batch in setting.batches)
        peak = {
            way: peak_mb(partial(run, way), prepare=partial(Setting, model, args.data, 2))
            for way in ways
        }
        start = time.perf_counter()
        MODELS[model](max_epochs=1, early_stopping=False, random_state=0).fit(
            read_split(args.data, "train"), read_items(args.data)
        )
        report(
            "training",
            model=model,
            threads=args.threads,
            ratio=seconds["plain"] / seconds["ours"],
            seconds_per_1000={way: 1000 * s / n_impressions for way, s in seconds.items()},
            seconds_of_an_epoch_of_fit=time.perf_counter() - start,
            peak_mb=peak,
            impressions=n_impressions,
        )


if __name__ == "__main__":
    main()
