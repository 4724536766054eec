"""Targets learned per second: every click in one pass, against four clicks drawn per history.

Both ways train the same operators by the same loss, with the same number of negatives, on the same
histories, in turns; the ratio is the median over the turns. `--ml100k WHEEL` takes MovieLens 100K,
`--quick` made-up users. `--peer-python PYTHON` also compares an epoch of SASRec with RecTools', of
the same size, loss and data (see CONTRIBUTING.md).
"""

import time

import numpy as np

from _common import arguments, environment, report
from _lists import read_sets
from _peers import EPOCHS, run_peer
from skrec import ContentRecommender, behavior, content

OPERATORS = {"Transformer": behavior.Transformer(2), "GRU": behavior.GRU()}


def epoch(data, operator, history_targets, n_negatives):
    """Return the targets that one epoch learns, and its seconds."""
    rec = ContentRecommender(
        content.MeanPooling(),
        operator,
        history_targets=history_targets,
        n_negatives=n_negatives,
        batch_size=32,
        co_clicks=False,
        max_epochs=1,
        early_stopping=False,
        random_state=0,
    )
    X = data.histories()
    lengths = X["history"].map(len).to_numpy()
    rec.fit(X, items=data.items)  # vocabularies and caches are warm afterwards
    start = time.perf_counter()
    rec.partial_fit(X)
    seconds = time.perf_counter() - start
    n_targets = lengths.sum() if history_targets == "all" else 5 * (lengths > 0).sum()
    return int(n_targets), seconds


def sasrec_epoch(data):
    """Return the seconds of an epoch of a model of the size of `_peers.sasrec`."""
    rec = ContentRecommender(
        content.ID(),
        behavior.Transformer(2, n_heads=2),
        history_targets="all",
        n_negatives=256,
        loss="gbce",
        learning_rate=1e-3,
        batch_size=128,
        max_history=50,
        max_epochs=1,
        early_stopping=False,
        random_state=0,
    )
    X = data.histories()
    rec.fit(X, items=data.items)
    start = time.perf_counter()
    rec.partial_fit(X)
    return time.perf_counter() - start


def main():
    folders = dict.fromkeys(("ml100k", "latest_small", "games", "beauty"), "")
    options = {"repeats": 3, "n_negatives": 256, "split": "last", "peer_python": ""}
    args = arguments(__doc__, **options, **folders)
    report("environment", **environment())
    repeats = 1 if args.quick else args.repeats
    for data in read_sets(args):
        for name, operator in OPERATORS.items():
            ratios, rows = [], []
            for _ in range(repeats):
                n_all, all_seconds = epoch(data, operator, "all", args.n_negatives)
                n_four, four_seconds = epoch(data, operator, 4, args.n_negatives)
                ratios.append(n_all / all_seconds / (n_four / four_seconds))
                rows.append((all_seconds, four_seconds))
            ours, plain = np.median(rows, axis=0)
            report(
                "sequences", set=data.name, behavior=name, ratio=float(np.median(ratios)),
                seconds=float(ours), plain_seconds=float(plain), targets=n_all,
                plain_targets=n_four,
            )  # fmt: skip
        if args.peer_python:
            rows = []
            for _ in range(repeats):
                _, seconds = run_peer("RecTools SASRec", data, args.peer_python)
                rows.append((sasrec_epoch(data), seconds / EPOCHS))
            ours, theirs = np.median(rows, axis=0)
            ratio = float(np.median([mine / other for mine, other in rows]))
            report(
                "sequences", set=data.name, model="SASRec", ratio=ratio, seconds=float(ours),
                peer_seconds=float(theirs),
            )  # fmt: skip


if __name__ == "__main__":
    main()
