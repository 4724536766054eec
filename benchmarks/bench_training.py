"""Training steps of NAML and NRMS on MovieLens 100K, beside a twin that encodes the padded grid.

The twin shares the network, the loss and the optimiser. It encodes every slot of every history
(padded to 50) and every candidate by itself, with texts padded to the longest of the data, as a
straightforward implementation does; skrec encodes each distinct item of a batch once.
"""

import time
from functools import partial

import torch

from _common import alternate, arguments, environment, peak_mb, report
from _ml100k import read_items, read_split
from _padded import PaddedSteps
from skrec import zoo

MODELS = {"naml": zoo.NAML, "nrms": zoo.NRMS}


def steps_of(model, folder, n_batches):
    """Return the steps of a model on MovieLens 100K, in both ways."""
    rec = MODELS[model](learning_rate=3e-3, max_epochs=1, early_stopping=False, random_state=0)
    return PaddedSteps(rec, read_items(folder), read_split(folder, "train"), n_batches)


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
        setting = steps_of(model, args.data, n_batches)
        ways = {"take": setting.take, "take_plain": setting.take_plain}
        seconds = alternate(ways, 2 if args.quick else args.repeats)
        peak = {
            way: peak_mb(partial(run, way), prepare=partial(steps_of, model, args.data, 2))
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
            ratio=seconds["take_plain"] / seconds["take"],
            seconds_per_1000={way: 1000 * s / setting.n_impressions for way, s in seconds.items()},
            seconds_of_an_epoch_of_fit=time.perf_counter() - start,
            peak_mb=peak,
            impressions=setting.n_impressions,
        )


if __name__ == "__main__":
    main()
