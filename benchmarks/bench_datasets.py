"""How far published models get on three real sets: MovieLens 100K and latest-small, Amazon games.

The negatives of a set are drawn once; seeds are those of the models. `--results FILE` keeps each
run as a line, and runs that are there already are not made again: stop and resume at will.
"""

import json
import time
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from _baselines import item_cosine, popularity
from _common import arguments, environment, report
from _ml100k import ROLES, read_films, read_split
from bench_quality import fit, of_scores
from skrec import Items, content, zoo
from skrec.datasets import impressions_from_clicks, read_movielens

SPLITS = ("train", "valid", "test")
FIGURES = ("gauc", "mrr", "ndcg@10")


def nrms_with_ids(**parameters):
    rec = zoo.NRMS(**parameters)
    return rec.set_params(content=content.WithID(rec.content))


BASELINES = {"popularity": popularity, "item-item cosine": item_cosine}
MODELS = {"NAML": zoo.NAML, "NRMS": zoo.NRMS, "WithID-NRMS": nrms_with_ids}


def movielens_100k(args):
    items = Items(read_films(args.ml100k), roles=ROLES)
    return items, {name: read_split(args.ml100k, name) for name in SPLITS}


def movielens_latest_small(args):
    data = read_movielens(args.latest_small)
    return data.items, {name: data[name].to_pandas() for name in SPLITS}


def amazon_games(args):
    """Purchases without times, oldest first, of `--games-users` users drawn with seed 0."""
    folder = Path(args.games).expanduser()
    tables = {
        name: pd.read_csv(folder / f"{name}.tsv", sep="\t", quoting=3, keep_default_na=False)
        for name in ("items", "sequences")
    }
    sequences = tables["sequences"]
    clicks = sequences.assign(item_id=sequences.item_ids.str.split()).explode("item_id")
    clicks = clicks[["user_id", "item_id"]].astype(np.int64)
    data = impressions_from_clicks(clicks, item_ids=tables["items"].item_id)
    users = np.unique(data.test["user_id"])
    n_users = min(args.games_users, len(users))
    chosen = np.random.default_rng(0).choice(users, n_users, replace=False)
    splits = {name: data[name].to_pandas() for name in SPLITS}
    splits = {name: X[X.user_id.isin(chosen)].reset_index(drop=True) for name, X in splits.items()}
    return Items(tables["items"]), splits


DATA = {
    "MovieLens 100K": movielens_100k,
    "MovieLens latest-small": movielens_latest_small,
    "Amazon games": amazon_games,
}


def read(name, args):
    """Return the catalogue and the splits, and report what is in them."""
    items, splits = DATA[name](args)
    sizes = {split: len(X) for split, X in splits.items()}
    clicks = splits["test"].history.map(len)
    report(
        "datasets size",
        data=name,
        items=items.n_items,
        users=splits["test"].user_id.nunique(),
        mean_history=clicks.mean(),
        **sizes,
    )
    if args.quick:
        splits = {split: X.head(300) for split, X in splits.items()}
    return items, splits


def measure(items, splits, model, seed, quick):
    """Return the figures of a model, trained with a seed, on the test part."""
    test = splits["test"]
    if model in BASELINES:
        start = time.perf_counter()
        scores = BASELINES[model](splits["train"], test, items.ids)
        figures = of_scores(test, scores)
        seconds = time.perf_counter() - start
        return {key: figures[key] for key in FIGURES} | {"seconds": seconds}
    rec, seconds = fit(MODELS[model], splits, items, seed, quick)
    figures = rec.evaluate(test, metrics=list(FIGURES))
    return {key: figures[key] for key in FIGURES} | {"seconds": seconds, "epochs": rec.n_epochs_}


def runs(args):
    """Yield data, model and seed of each run; what needs no training has no seeds."""
    seeds = 1 if args.quick else args.seeds
    for data in (name.strip() for name in args.data.split(",")):
        for model in BASELINES:
            yield data, model, 0
        for seed in range(seeds):
            for model in MODELS:
                yield data, model, seed


def finished(path):
    """Return the figures of each run that a file of results has."""
    if not path or not Path(path).exists():
        return {}
    rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return {(row.pop("data"), row.pop("model"), row.pop("seed")): row for row in rows}


def keep(path, key, figures):
    if path:
        row = dict(zip(("data", "model", "seed"), key, strict=True)) | figures
        with Path(path).open("a") as file:
            file.write(json.dumps(row) + "\n")


def report_means(done):
    """Report mean and standard deviation over the seeds of each model on each set."""
    table = pd.DataFrame(
        [{"data": data, "model": model} | figures for (data, model, _), figures in done.items()]
    )
    for (data, model), rows in table.groupby(["data", "model"], sort=False):
        means = {key: rows[key].mean() for key in (*FIGURES, "seconds")}
        spreads = {f"{key} std": rows[key].std() for key in FIGURES if len(rows) > 1}
        report("datasets mean", data=data, model=model, seeds=len(rows), **means, **spreads)


def main():
    shared = "../shared/data"
    args = arguments(
        __doc__,
        ml100k="~/.cache/skrec/ml100k",
        latest_small=f"{shared}/movielens-latest-small",
        games=f"{shared}/amazon-games",
        games_users=4000,
        data=",".join(DATA),
        seeds=3,
        results="",
    )
    report("environment", **environment())
    splits_of = cache(lambda name: read(name, args))
    kept, done = finished(args.results), {}
    for key in runs(args):
        data, model, seed = key
        if key not in kept:
            kept[key] = measure(*splits_of(data), model, seed, args.quick)
            keep(args.results, key, kept[key])
        done[key] = kept[key]
        report("datasets", data=data, model=model, seed=seed, **done[key])
    report_means(done)


if __name__ == "__main__":
    main()
