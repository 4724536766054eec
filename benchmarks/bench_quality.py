"""Quality on the fixed MovieLens 100K set: valid and test, mean of some seeds.

Models are trained on the training impressions alone. Everything about them was chosen on valid.
"""

import time

import numpy as np

from _common import arguments, environment, report
from _ml100k import popularity, read_items, read_split
from skrec import content, zoo
from skrec.metrics import compute

METRICS = ["gauc", "mrr", "ndcg@5", "ndcg@10"]
# chosen on valid; what is not named is skrec's default
MODELS = {
    "NAML": zoo.NAML,
    "NAML, columns side by side": lambda **kw: zoo.NAML(content=content.CNN(fusion="concat"), **kw),
    "NRMS": zoo.NRMS,
    "NAML, mean of words": lambda **kw: zoo.NAML(content=content.MeanPooling(), **kw),
    "NAML, ids": lambda **kw: zoo.NAML(content=content.ID(), **kw),
}


def of_scores(X, scores):
    clicked = np.concatenate(X.clicked.tolist())
    groups = np.repeat(np.arange(len(X)), X.clicked.map(len))
    return compute(METRICS, clicked, np.concatenate(scores), groups)


def main():
    args = arguments(__doc__, data="~/.cache/skrec/ml100k", seeds=3, only="")
    report("environment", **environment())
    items = read_items(args.data)
    splits = {name: read_split(args.data, name) for name in ("train", "valid", "test")}
    held_out = {name: splits[name] for name in ("valid", "test")}
    for name, X in held_out.items():
        measured = of_scores(X, popularity(splits["train"], X))
        report("quality", model="popularity", split=name, **measured)
    chosen = {name: make for name, make in MODELS.items() if args.only in ("", name)}
    for model, make in chosen.items():
        measured = {name: [] for name in held_out}
        seconds = []
        for seed in range(1 if args.quick else args.seeds):
            quick = {"max_epochs": 1} if args.quick else {}
            start = time.perf_counter()
            rec = make(random_state=seed, **quick).fit(splits["train"], items)
            seconds.append(time.perf_counter() - start)
            for name, X in held_out.items():
                measured[name].append(rec.evaluate(X, metrics=METRICS))
        for name, rows in measured.items():
            report(
                "quality",
                model=model,
                split=name,
                seeds=len(rows),
                seconds=np.mean(seconds),
                gauc_spread=np.ptp([row["gauc"] for row in rows]),
                **{key: np.mean([row[key] for row in rows]) for key in rows[0]},
            )


if __name__ == "__main__":
    main()
