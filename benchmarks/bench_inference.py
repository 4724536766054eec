"""Prediction with caches, without any, and beside bare torch.

`--parts` names some of: scoring (the MovieLens 100K test set, and rows of the shape of MIND),
recommend (top-k lists beside `torch.mm` and `topk`), rules (lists under rules beside plain lists),
encode (item vectors of a language model
beside the package sentence-transformers, where that is installed). `--language-model FOLDER` adds
a model in split mode. `uncached` is the plain way, of which some rows are timed and scaled.
"""

import statistics
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import torch

from _common import alternate, arguments, environment, report
from _inference import (
    SMALL,
    bare_scores,
    fitted,
    forget,
    mind_sized,
    recommenders,
    uncached_seconds,
)
from _ml100k import read_items, read_split
from skrec import ContentRecommender, content
from skrec._data.encode import encode
from skrec._data.rows import as_table
from skrec._inference.scores import user_vectors
from skrec.metrics import compute

METRICS = ["gauc", "mrr", "ndcg@5", "ndcg@10", "auc"]


def seconds_of(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure_scoring(name, rec, case, X, args):
    """Report the seconds of each step with caches, and the ratio to the plain way."""
    data = encode(as_table(X), items=rec.items_)
    n_rows = len(data.candidate_codes)
    steps = {"items": [], "users": [], "scoring": [], "again": []}
    for _ in range(args.repeats):
        forget(rec)
        steps["items"].append(seconds_of(rec.item_vectors))
        scorer = rec._scorer()
        steps["users"].append(seconds_of(lambda s=scorer: s.users(data)))
        steps["scoring"].append(seconds_of(lambda s=scorer: s.scores(data)))
        steps["again"].append(seconds_of(lambda: rec.evaluate(X, metrics=METRICS)))
    seconds = {step: statistics.median(values) for step, values in steps.items()}
    cached = seconds["items"] + seconds["users"] + seconds["scoring"]
    plain = n_rows * uncached_seconds(rec, X, args.uncached_rows)
    scores = rec._scorer().scores(data)
    groups = data.group_of_row[data.row_of_candidate()]
    metrics = seconds_of(lambda: compute(METRICS, data.clicked, scores, groups))
    report(
        "inference",
        case=case,
        model=name,
        n_rows=n_rows,
        items_seconds=seconds["items"],
        users_seconds=seconds["users"],
        scoring_seconds=seconds["scoring"],
        metrics_seconds=metrics,
        evaluate_again_seconds=seconds["again"],
        rows_per_second=n_rows / seconds["scoring"],
        uncached_seconds=plain,
        ratio=plain / cached,
        ratio_without_items=plain / (cached - seconds["items"]),
    )
    users, user_of_row = user_vectors(
        rec.network_, rec._encoded_items.encoding(rec.network_).rows, data, rec.max_history
    )
    times = alternate(
        {
            "ours": lambda: rec._scorer().scores(data),
            "bare": partial(bare_scores, rec, data, users, user_of_row),
        },
        args.repeats,
    )
    ratio = times["bare"] / times["ours"]
    report("bare predictor", case=case, model=name, ratio=ratio, seconds=times["ours"])


def scoring(args):
    models = recommenders(args.language_model)
    chosen = args.models.split(",") if args.models else list(models)
    if Path(args.data).expanduser().exists():
        items, train = read_items(args.data), read_split(args.data, "train").head(500)
        test = read_split(args.data, "test")
        for name in chosen:
            rec = fitted(models[name], items, train)
            measure_scoring(name, rec, "MovieLens 100K", test, args)
    scale = 100 if args.quick else 1
    items, X = mind_sized(65000 // scale, 92000 // scale, 2_660_000 // scale)
    for name in chosen:
        rec = fitted(models[name], items, X.slice(0, 300))
        measure_scoring(name, rec, "MIND-sized", X, args)


@torch.inference_mode()
def bare_recommend(users, items, k, block=256):
    for part in users.split(block):
        torch.topk(torch.mm(part, items.T), k, dim=1)


def recommend(args):
    """Report the seconds of lists for 10,000 users, beside bare torch from the same vectors."""
    scale = 20 if args.quick else 1
    items, X = mind_sized(65000, 10000 // scale, 20000)
    rec = fitted(recommenders("")["NAML"], items, X.slice(0, 300))
    vectors = torch.from_numpy(rec.item_vectors())
    users = torch.from_numpy(rec.transform(X))  # from here on both start with user vectors
    data = encode(as_table(X), items=rec.items_)
    scorer = rec._scorer()
    for exclude_seen in (False, True):
        times = alternate(
            {
                "ours": lambda seen=exclude_seen: scorer.recommend(data, 10, seen),
                "bare": partial(bare_recommend, users, vectors, 10),
            },
            args.repeats,
        )
        report(
            "recommend",
            exclude_seen=exclude_seen,
            n_users=data.n_rows,
            n_items=len(vectors),
            ratio=times["bare"] / times["ours"],
            seconds=times["ours"],
        )


def rules(args):
    """Report the seconds of lists under rules for 10,000 users, beside those of plain lists."""
    scale = 20 if args.quick else 1
    items, X = mind_sized(65000, 10000 // scale, 20000)
    rec = fitted(recommenders("")["NAML"], items, X.slice(0, 300))
    rng = np.random.default_rng(0)
    where = pc.field("topic") != "topic3"
    exclude = rng.choice(items.n_items, 1000, replace=False)
    per_row = rng.integers(items.n_items, size=(X.num_rows, 20))
    cases = {
        "plain": {},
        "where": {"where": where},
        "where, 10 conditions": {
            "where": [pc.field("topic") != f"topic{row % 10}" for row in range(X.num_rows)]
        },
        "exclude": {"exclude": exclude},
        "exclude, 20 per row": {"exclude": per_row},
        "at_most": {"at_most": {"topic": 2}},
        "diversity": {"diversity": 0.3},
        "all": {
            "where": where,
            "exclude": exclude,
            "at_most": {"topic": 2},
            "diversity": 0.3,
        },
    }
    calls = {name: partial(rec.recommend, X, 10, **given) for name, given in cases.items()}
    clock = time.process_time if args.threads == 1 else time.perf_counter
    times = alternate(calls, args.repeats, clock)
    for name, seconds in times.items():
        report(
            "rules",
            case=name,
            n_users=X.num_rows,
            n_items=items.n_items,
            ratio=seconds / times["plain"],
            seconds=seconds,
        )


def encode_items(args):
    """Report how fast a language model reads items, beside sentence-transformers."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        sys.exit("part encode compares with sentence-transformers: pip install it")
    items, _ = mind_sized(200 if args.quick else 2000, 10, 100)
    whole = content.LanguageModel(args.language_model, template="{title}", pooling="mean")
    rec = ContentRecommender(whole, **SMALL).fit([[0, 1], [2, 3]], items)
    texts = items.column("title").to_pylist()
    theirs = SentenceTransformer(args.language_model, device="cpu")
    n_tokens = sum(map(len, theirs.tokenizer(texts)["input_ids"]))

    times = alternate(
        {"ours": lambda: rec.item_vectors(items), "theirs": lambda: theirs.encode(texts)},
        args.repeats,
    )
    report(
        "encode",
        model="MiniLM",
        ratio=times["theirs"] / times["ours"],
        tokens_per_second=n_tokens / times["ours"],
        theirs_tokens_per_second=n_tokens / times["theirs"],
        seconds=times["ours"],
    )


PARTS = {"scoring": scoring, "recommend": recommend, "rules": rules, "encode": encode_items}


def main():
    args = arguments(
        __doc__.partition("\n")[0],
        data="~/.cache/skrec/ml100k",
        language_model="",
        models="",
        parts="scoring,recommend",
        repeats=3,
        uncached_rows=640,
        threads=torch.get_num_threads(),
    )
    torch.set_num_threads(args.threads)
    report("environment", **environment(), threads=args.threads)
    for part in args.parts.split(","):
        PARTS[part](args)


if __name__ == "__main__":
    main()
