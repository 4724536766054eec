"""Grouped metrics on 2.66 million rows in 63 thousand groups, against a loop over the groups.

`ratio` is the time of the loop over that of skrec, both on one thread and in turns. The loop calls
scikit-learn (for MRR, numpy) on a sample of groups, cut out beforehand; its time is scaled to all
groups. `peak_mb` is what skrec takes beside its inputs. Rows come grouped or shuffled; scores are
float32, or float64 with digits that float32 cannot hold.
"""

from functools import partial

import numpy as np
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score
from threadpoolctl import threadpool_limits

from _common import alternate, arguments, environment, peak_mb, report
from skrec.metrics import compute

N_GROUPS = 63_000
MEAN_SIZE = 42
N_SAMPLED = 500
FIVE = ["gauc", "mrr", "ndcg@5", "ndcg@10", "map"]


def make_rows(n_groups, dtype=np.float32, shuffled=False):
    """Return labels, scores and int64 group ids; each group has both classes."""
    rng = np.random.default_rng(0)
    sizes = 2 + rng.geometric(1 / (MEAN_SIZE - 1), n_groups) - 1
    groups = np.repeat(np.arange(n_groups), sizes)
    n_rows = len(groups)
    starts = np.cumsum(sizes) - sizes
    label = rng.random(n_rows) < 0.02
    label[starts] = True
    label[starts + 1] = False
    score = (rng.normal(size=n_rows) + label).astype(dtype)
    rows = rng.permutation(n_rows) if shuffled else slice(None)
    return label.astype(np.int64)[rows], score[rows], groups[rows]


def sample(columns, n_groups):
    """Return labels and scores of some groups, as a list of pairs, and the rows they are in."""
    y, score, groups = columns
    chosen = np.random.default_rng(1).choice(n_groups, min(N_SAMPLED, n_groups), replace=False)
    rows = np.flatnonzero(np.isin(groups, chosen))
    rows = rows[np.argsort(groups[rows], kind="stable")]
    cuts = np.flatnonzero(np.diff(groups[rows])) + 1
    pairs = zip(np.split(y[rows], cuts), np.split(score[rows], cuts), strict=True)
    return list(pairs), rows


def reciprocal_rank(y, score):
    return 1 / (1 + np.flatnonzero(y[np.argsort(-score)])[0])


def loop(metrics, pairs):
    """Compute metrics the plain way, group by group."""
    functions = {
        "gauc": roc_auc_score,
        "mrr": reciprocal_rank,
        "ndcg@5": lambda y, score: ndcg_score([y], [score], k=5),
        "ndcg@10": lambda y, score: ndcg_score([y], [score], k=10),
        "map": average_precision_score,
    }
    return {name: np.mean([functions[name](*pair) for pair in pairs]) for name in metrics}


def compute_rows(metrics, columns):
    return compute(metrics, *columns)


def measure(bench, metrics, n_groups, repeats, **kind):
    columns = make_rows(n_groups, **kind)
    pairs, rows = sample(columns, n_groups)
    ours = compute(metrics, *(column[rows] for column in columns))
    for name, value in loop(metrics, pairs).items():
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=1e-12)
    functions = {
        "skrec": partial(compute_rows, metrics, columns),
        "loop": partial(loop, metrics, pairs),
    }
    seconds = alternate(functions, repeats)
    seconds["loop"] *= n_groups / len(pairs)
    report(
        bench,
        ratio=seconds["loop"] / seconds["skrec"],
        seconds=seconds,
        peak_mb=peak_mb(
            partial(compute_rows, metrics), prepare=partial(make_rows, n_groups, **kind)
        ),
        rows=len(columns[0]),
        groups=n_groups,
        environment=environment(),
    )


def main():
    args = arguments(__doc__, repeats=5)
    n_groups = N_GROUPS // 10 if args.quick else N_GROUPS
    repeats = min(args.repeats, 3) if args.quick else args.repeats
    run = partial(measure, n_groups=n_groups, repeats=repeats)
    with threadpool_limits(1):
        run("metrics_gauc", ["gauc"])
        run("metrics_gauc_shuffled", ["gauc"], shuffled=True)
        run("metrics_gauc_float64", ["gauc"], dtype=np.float64)
        run("metrics_five", FIVE)
        run("metrics_five_shuffled", FIVE, shuffled=True)


if __name__ == "__main__":
    main()
