"""Lists over the whole catalogue: HR@10, nDCG@10 and MRR of one click per user.

The test click of each user is ranked among all items that the user did not click before, and, as
the 1 + 20 task, among 20 random ones (AUC). With `--split last`, it is the user's last click, and
models are trained on the clicks before the last two. The click before the last one chooses the
parameters in `grid`, by the nDCG@10 of at most `--valid-users` users; no model is trained on it,
but it is in the history of the test. `_lists.py` says how each set becomes sequences, and what
`--split time` does.

`--peer-python PYTHON` also measures other libraries, which are installed in the environment of this
interpreter (see CONTRIBUTING.md), with one setting each: `_peers.py`.

`--quick` runs on made-up users. `--models Popularity,EASE` measures some. `seconds` is the time of
the fit with the chosen parameters, and `tuning` that of the whole search.
"""

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from _common import arguments, environment, report
from _lists import read_sets
from _peers import PEERS, K, run_peer
from skrec import ContentRecommender, content, zoo
from skrec.baselines import EASE, ContentKNN, ItemKNN, Popularity

METRICS = ["hit@10", "ndcg@10", "mrr"]
DECAYS = [1.0, 0.9, 0.8, 0.7, 0.5, 0.3]


@dataclass(frozen=True)
class Model:
    """A model to measure.

    Parameters
    ----------
    make : callable
        Function of a seed that returns an estimator.
    grid : dict of str to list
        Parameters to choose on valid, which need a fit each.
    decays : list of float
        Values of the parameter `decay` to choose on valid, which need no fit.
    needs_text : bool
        Whether the model is left out on sets without text.
    is_random : bool
        Whether the result depends on the seed.
    """

    make: Callable[[int], Any]
    grid: dict[str, list] = field(default_factory=dict)
    decays: list[float] = field(default_factory=list)
    needs_text: bool = False
    is_random: bool = False


def baseline(kind, grid=None, decays=DECAYS, needs_text=False):
    return Model(lambda seed: kind(calibration=None), grid or {}, decays, needs_text)


def trained(kind, **parameters):
    return Model(lambda seed: kind(random_state=seed, **parameters), is_random=True)


MODELS = {
    "Popularity": baseline(Popularity, decays=[]),
    "ItemKNN": baseline(ItemKNN, {"k": [20, 100, 500], "shrinkage": [0.0, 5.0, 20.0, 50.0]}),
    "EASE": baseline(EASE, {"regularization": [20.0, 100.0, 300.0, 1000.0]}),
    "ContentKNN": baseline(ContentKNN, needs_text=True),
    "ContentRecommender()": trained(ContentRecommender),
    "ContentRecommender(co_clicks=False)": trained(ContentRecommender, co_clicks=False),
    "SASRec": trained(zoo.SASRec),
    "GRU4Rec": trained(zoo.GRU4Rec),
}


def models(args):
    """Return the models to measure, by name."""
    known = dict(MODELS)
    if args.language_model:
        operator = content.LanguageModel(
            args.language_model, trainable_layers=0, pooling="mean", cache_dtype="float32"
        )
        known["ContentKNN of a language model"] = Model(
            lambda seed: ContentKNN(operator, calibration=None), {}, DECAYS, needs_text=True
        )
    if not args.models:
        return known
    return {name: known[name] for name in named(args) if name not in PEERS}


def named(args):
    """Return the names of the models that the command line asks for."""
    return [name.strip() for name in args.models.split(",")]


def fit(model, data, parameters, seed):
    estimator = model.make(seed).set_params(**parameters)
    start = time.perf_counter()
    estimator.fit(data.histories(), items=data.items)
    return estimator, time.perf_counter() - start


def combinations(grid):
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def tuned(model, data, n_users, quick):
    """Return the estimator with the best nDCG@10 on valid, its parameters, and the seconds."""
    valid, best = data.ranked["valid"], (-1.0, None, None, None)
    if len(valid) > n_users:
        rows = np.random.default_rng(0).choice(len(valid), n_users, replace=False)
        valid = [valid[row] for row in np.sort(rows)]
    for parameters in itertools.islice(combinations(model.grid), 2 if quick else None):
        estimator, seconds = fit(model, data, parameters, seed=0)
        for decay in model.decays or [None]:
            more = {} if decay is None else {"decay": decay}
            value = estimator.set_params(**more).evaluate(valid, metrics="ndcg@10")["ndcg@10"]
            if value > best[0]:
                best = value, estimator, parameters | more, seconds
    value, estimator, parameters, seconds = best
    return estimator.set_params(**parameters), value, parameters, seconds


def measure(estimator, data):
    figures = estimator.evaluate(data.ranked["test"], metrics=METRICS)
    figures |= {"auc": estimator.evaluate(data.one_of("test"), metrics="gauc")["gauc"]}
    return figures


def report_model(name, model, data, seeds, n_users, quick):
    start = time.perf_counter()
    estimator, valid, parameters, seconds = tuned(model, data, n_users, quick)
    tuning = time.perf_counter() - start
    rows = [measure(estimator, data) | {"seconds": seconds}]
    for seed in range(1, seeds if model.is_random else 1):
        estimator, seconds = fit(model, data, parameters, seed)
        rows.append(measure(estimator, data) | {"seconds": seconds})
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    spread = float(np.ptp([row["ndcg@10"] for row in rows]))
    common = {"parameters": parameters, "seeds": len(rows), "tuning": tuning, "valid": valid}
    report("lists", set=data.name, model=name, ndcg_spread=spread, **common, **means)


def report_peer(name, data, python, seeds):
    """Measure a model of another library, which another interpreter trains."""
    ids = data.items.ids
    codes = pd.Series(np.arange(len(ids)), index=ids)
    target = codes[[clicks[-1] for clicks in data.ranked["test"]]].to_numpy()
    rows = []
    for seed in range(seeds):
        lists, seconds = run_peer(name, data, python, seed)
        row, rank = np.nonzero(lists == target[:, None])
        gain = np.zeros(len(target))
        gain[row] = 1 / np.log2(rank + 2)
        hits = len(row) / len(target)
        rows.append({f"hit@{K}": hits, f"ndcg@{K}": gain.mean(), "seconds": seconds})
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    spread = float(np.ptp([row["ndcg@10"] for row in rows]))
    report("lists", set=data.name, model=name, ndcg_spread=spread, seeds=seeds, **means)


def main():
    folders = dict.fromkeys(("ml100k", "latest_small", "games", "beauty"), "")
    options = {"models": "", "language_model": "", "peer_python": ""}
    options |= {"seeds": 3, "valid_users": 4000, "split": "last"}
    args = arguments(__doc__, **options, **folders)
    if args.peer_python and args.split != "last":
        sys.exit("--peer-python needs --split last: BPR knows only the users in training")
    report("environment", **environment())
    chosen = models(args)
    for data in read_sets(args):
        sizes = {f"n_{part}": len(rows) for part, rows in data.ranked.items()}
        sizes |= {"n_items": data.items.n_items, "n_clicks": data.n_clicks}
        report("lists", set=data.name, n_users=len(data.train), **sizes)
        for name, model in chosen.items():
            if data.has_text or not model.needs_text:
                seeds = 1 if args.quick else args.seeds
                report_model(name, model, data, seeds, args.valid_users, args.quick)
        for name in PEERS if args.peer_python else ():
            if not args.models or name in named(args):
                report_peer(name, data, args.peer_python, 1 if args.quick else args.seeds)


if __name__ == "__main__":
    main()
