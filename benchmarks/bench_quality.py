"""Quality on the fixed MovieLens 100K set: valid and test, cold films, calibration.

Models are trained on the training impressions; the epoch to keep and the calibration come from the
valid ones, which `time` makes the held-out part. Everything about the models was chosen on valid.

`--models NAML,NRMS` measures some. Those of `skrec.zoo` with a language model take its folder,
`--language-model FOLDER`, and are left out without one.
"""

import sys
import time
from functools import partial

import numpy as np
import pandas as pd

from _baselines import item_cosine, popularity
from _common import arguments, environment, report
from _ml100k import ROLES, read_films, read_split
from skrec import ContentRecommender, Items, behavior, content, predictor, zoo
from skrec.metrics import compute

METRICS = ["gauc", "mrr", "ndcg@5", "ndcg@10"]
PROBABILITIES = ["ece", "logloss", "brier"]

# chosen on valid; what is not named is skrec's default
TARGETS = {
    "behavior": behavior.GRU(dropout=0.4),
    "predictor": predictor.Dot(item_bias=True),
    "history_targets": 4,
    "n_negatives": 1024,
    "learning_rate": 3e-3,
    "max_epochs": 40,
    "n_iter_no_change": 4,
}
TEXT = content.MeanPooling()
# a small recommender, to compare word vectors
SMALL = {
    "behavior": "additive_attention",
    "predictor": "dot",
    "history_targets": 0,
    "n_negatives": 4,
    "co_clicks": False,
    "learning_rate": 3e-3,
}


def recommender(operator, **parameters):
    def make(**more):
        return ContentRecommender(**({"content": operator} | parameters | more))

    return make


# published models as they are; those with a language model need its folder
PRETRAINED = ("PLMNR", "ONCE", "IISAN", "MINER", "UniSRec")
ZOO = {name: getattr(zoo, name) for name in zoo.__all__ if name not in PRETRAINED}
OURS = {
    "defaults": ContentRecommender,
    "defaults with ids": recommender(content.WithID(TEXT, dropout=0.2)),
    "columns side by side": recommender(content.CNN(fusion="concat")),
    "mean of words": recommender(content.MeanPooling()),
    "ids": recommender(content.ID()),
    "text with history targets": recommender(TEXT, **TARGETS | {"learning_rate": 5e-3}),
    "ids with history targets": recommender(content.ID(), **TARGETS),
    "text and ids with history targets": recommender(content.WithID(TEXT), **TARGETS),
}
# what is compared on films that training never met
COLD = [name for name in OURS if name.startswith("defaults") or name.endswith("history targets")]


def words_of(folder):
    """Return models whose word vectors are those of a language model, or begin at random."""
    given = {"word_vectors": folder, "tokenizer": folder}
    operators = {
        "learned words": content.MeanPooling(),
        "learned words of a model": content.MeanPooling(tokenizer=folder),
        "trained words of a model": content.MeanPooling(**given),
        "frozen words of a model": content.MeanPooling(**given, trainable=False),
    }
    return {name: recommender(operator, **SMALL) for name, operator in operators.items()}


def chosen_models(names, folder, epochs):
    """Return what makes each model that was named, or all, by name."""
    models = ZOO | OURS
    if folder:
        pretrained = {"max_epochs": epochs} if epochs else {}
        models |= {name: partial(getattr(zoo, name), folder, **pretrained) for name in PRETRAINED}
        models |= words_of(folder)
    chosen = [name.strip() for name in names.split(",")] if names else list(models)
    for name in chosen:
        if (name in PRETRAINED or name in words_of("")) and name not in models:
            sys.exit(f"{name} reads texts by a language model: name its --language-model FOLDER")
        if name not in models:
            sys.exit(f"--models takes names among {', '.join(models)}; got {name!r}")
    return {name: models[name] for name in chosen}


def of_scores(X, scores):
    """Return metrics of scores, one array a row."""
    clicked = np.concatenate(X.clicked.tolist())
    groups = np.repeat(np.arange(len(X)), X.clicked.map(len))
    return compute(METRICS, clicked, np.concatenate(scores), groups)


def fit(make, splits, items, seed, quick):
    """Train on the training part, hold out the valid part."""
    train, valid = splits["train"], splits["valid"]
    X = pd.concat([train.assign(time=0), valid.assign(time=1)], ignore_index=True)
    X["impression_id"] = np.arange(len(X))
    fraction = len(valid) / len(X)
    parameters = {"max_epochs": 1} if quick else {}
    start = time.perf_counter()
    rec = make(random_state=seed, validation_fraction=fraction, **parameters).fit(X, items)
    return rec, time.perf_counter() - start


def averages(rows):
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def report_baselines(splits, ids):
    for baseline in (popularity, item_cosine):
        for name in ("valid", "test"):
            scores = baseline(splits["train"], splits[name], ids)
            report(
                "quality", model=baseline.__name__, split=name, **of_scores(splits[name], scores)
            )


def report_base_rate(test):
    clicked = np.concatenate(test.clicked.tolist())
    rate = np.full(len(clicked), clicked.mean())
    measured = compute(PROBABILITIES, clicked, rate, None, rate)
    report("calibration", model="base rate", probabilities="constant", **measured)


def report_model(name, make, splits, items, seeds, quick):
    measured = {split: [] for split in ("valid", "test", "calibrated", "uncalibrated")}
    seconds = []
    for seed in range(seeds):
        rec, duration = fit(make, splits, items, seed, quick)
        seconds.append(duration)
        for split in ("valid", "test"):
            measured[split].append(rec.evaluate(splits[split], metrics=METRICS))
        measured["calibrated"].append(rec.evaluate(splits["test"], metrics=PROBABILITIES))
        rec.calibration_ = (1.0, 0.0)
        measured["uncalibrated"].append(rec.evaluate(splits["test"], metrics=PROBABILITIES))
    for split in ("valid", "test"):
        rows = measured[split]
        spread = np.ptp([row["gauc"] for row in rows])
        common = {"seeds": seeds, "seconds": np.mean(seconds), "gauc_spread": spread}
        report("quality", model=name, split=split, **common, **averages(rows))
    for kind in ("calibrated", "uncalibrated"):
        report("calibration", model=name, probabilities=kind, **averages(measured[kind]))


def without(X, cold):
    """Take films out of histories and candidates, and impressions that lose their click."""
    rows = []
    for row in X.to_dict("records"):
        shown = zip(row["candidates"], row["clicked"], strict=True)
        kept = [(item, click) for item, click in shown if item not in cold]
        if any(click for _, click in kept):
            row["history"] = [item for item in row["history"] if item not in cold]
            row["candidates"], row["clicked"] = map(list, zip(*kept, strict=True))
            rows.append(row)
    return pd.DataFrame(rows)


def clicked_film(X):
    """Return the one film that each impression's user clicked."""
    return (
        X[["candidates", "clicked"]]
        .explode(["candidates", "clicked"])
        .query("clicked == 1")
        .candidates
    )


def report_cold(name, splits, films, seeds, quick):
    """Train without a fifth of the films, and test on impressions that click one of them."""
    rows = {"cold": [], "warm": []}
    for seed in range(seeds):
        ids = films.item_id.to_numpy()
        cold = set(np.random.default_rng(seed).choice(ids, len(ids) // 5, replace=False))
        seen = {split: without(splits[split], cold) for split in ("train", "valid")}
        warm_films = films[~films.item_id.isin(cold)]
        rec, _ = fit(OURS[name], seen, Items(warm_films, roles=ROLES), seed, quick)
        test = splits["test"]
        is_cold = clicked_film(test).isin(cold)
        for kind, part in {"cold": test[is_cold], "warm": test[~is_cold]}.items():
            everything = Items(films, roles=ROLES)
            rows[kind].append(rec.evaluate(part, metrics=METRICS, items=everything))
    for kind, measured in rows.items():
        report("cold", model=name, click=kind, seeds=seeds, **averages(measured))


def main():
    options = {"language_model": "", "language_model_epochs": 0}
    args = arguments(
        __doc__, data="~/.cache/skrec/ml100k", seeds=3, models="", parts="quality,cold", **options
    )
    models = chosen_models(args.models, args.language_model, args.language_model_epochs)
    report("environment", **environment())
    films = read_films(args.data)
    items = Items(films, roles=ROLES)
    splits = {name: read_split(args.data, name) for name in ("train", "valid", "test")}
    if args.quick:
        splits = {name: X.head(60) for name, X in splits.items()}
    seeds = 1 if args.quick else args.seeds
    if "quality" in args.parts:
        report_baselines(splits, items.ids)
        report_base_rate(splits["test"])
        for name, make in models.items():
            report_model(name, make, splits, items, seeds, args.quick)
    if "cold" in args.parts:
        for name in COLD:
            if name in models:
                report_cold(name, splits, films, seeds, args.quick)


if __name__ == "__main__":
    main()
