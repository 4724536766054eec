"""MINDlarge's shape from files to training batches: how seconds and memory grow with the data.

Made-up files of 1 million users, 161 thousand news, 15 million impressions with 37 candidates on
average and 24 million clicks, and of a hundredth and a tenth of them. Each size runs in a process
of its own: `read_mind` converts the files (`read`), the tables become codes of the catalogue and a
tenth is held out (`encode`), and 1,000 batches of 64 are made (`batches`). `growth` is the seconds
of a size over those of the size before, per ten times the data; `target` is 8 to 12, and 6 GB of
memory.

`peak_mb` is resident memory at its highest, the libraries included; `anonymous_mb` leaves out pages
of files, which the system drops when it needs room. `ratio` is a plain loop over the smallest size,
line by line and row by row, against all three steps.

`--part shards` and `--part catalogue` measure rows and catalogues that are larger instead; see
`_shards.py` and `_catalogue.py`.
"""

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

import _catalogue
import _shards
from _common import arguments, environment, report
from _mind_files import write_mind
from _steps import in_new_process, step

SHARES = (0.01, 0.1, 1.0)
QUICK_SHARES = (0.001, 0.01)
N_BATCHES = 1000
BATCH_SIZE = 64
MAX_HISTORY = 50
N_NEGATIVES = 4
PARTS = {"shards": _shards.run, "catalogue": _catalogue.run}
STEPS = ("read", "encode", "batches")


def ours(folder, figures):
    """Read, encode and make batches, as fit does; add seconds and memory of each step."""
    from skrec._data.encode import encode
    from skrec._data.rows import as_table
    from skrec._training.batches import iterate_batches
    from skrec._training.examples import make_examples
    from skrec._training.holdout import hold_out
    from skrec._training.negatives import NegativeSampler
    from skrec.datasets import read_mind

    with step(figures, "read"):
        data = read_mind(folder, data_home=folder / "home")
    rng = np.random.default_rng(0)
    with step(figures, "encode"):
        coded = encode(as_table(data.train), items=data.items, labels="required")
        training, _ = hold_out(coded, 0.1, rng)
        del coded
        sampler = NegativeSampler(training, data.items.n_items, N_NEGATIVES, "uniform")
        examples = make_examples(training, "softmax", sampler)
    with step(figures, "batches"):
        batches = iterate_batches(examples, BATCH_SIZE, MAX_HISTORY, rng)
        n_rows = sum(batch.n_rows for _, batch in zip(range(N_BATCHES), batches, strict=False))
    figures["n_rows"] = n_rows
    figures["n_impressions"] = data.train.num_rows + data.valid.num_rows


def plain(folder, figures):
    """Do the same line by line and row by row."""
    import torch

    part = folder / "MINDlarge_train"
    start = time.perf_counter()
    code = {}
    with open(part / "news.tsv", encoding="utf-8") as file:
        for line in file:
            code.setdefault(line.split("\t")[0], len(code))
    rows = []
    with open(part / "behaviors.tsv", encoding="utf-8") as file:
        for line in file:
            _, user, when, history, shown = line.rstrip("\n").split("\t")
            at = time.strptime(when, "%m/%d/%Y %I:%M:%S %p")
            past = [code[news] for news in history.split()]
            clicked = [code[news[:-2]] for news in shown.split() if news.endswith("-1")]
            passed = [code[news[:-2]] for news in shown.split() if news.endswith("-0")]
            rows.append((user, at, past, clicked, passed))
    rng = np.random.default_rng(0)
    rows = [rows[row] for row in rng.permutation(len(rows))][len(rows) // 10 :]
    examples = [(row, click) for row in rows for click in row[3]]
    for first in range(N_BATCHES):
        batch = []
        for number in range(first * BATCH_SIZE, (first + 1) * BATCH_SIZE):
            (_, _, past, _, passed), click = examples[number % len(examples)]
            some = rng.permutation(passed)[:N_NEGATIVES].tolist()
            some += rng.integers(len(code), size=N_NEGATIVES - len(some)).tolist()
            past = past[-MAX_HISTORY:]
            mask = [1] * len(past) + [0] * (MAX_HISTORY - len(past))
            past = past + [0] * (MAX_HISTORY - len(past))
            batch.append([torch.tensor(each) for each in (past, mask, [click, *some])])
        [torch.stack(column) for column in zip(*batch, strict=True)]
    figures["seconds"] = time.perf_counter() - start


def main():
    args = arguments(__doc__, folder=tempfile.gettempdir(), part="mind")
    if args.part in PARTS:
        with tempfile.TemporaryDirectory(prefix="scale-", dir=args.folder) as folder:
            PARTS[args.part](Path(folder), args.quick)
        report("environment", **environment())
        return
    shares = QUICK_SHARES if args.quick else SHARES
    before = None
    for share in shares:
        folder = Path(tempfile.mkdtemp(prefix="scale-", dir=args.folder))
        try:
            write_mind(folder, share)
            figures = in_new_process(ours, folder)
            if share == shares[0]:
                slow = in_new_process(plain, folder)
        finally:
            shutil.rmtree(folder)
        seconds = {name: figures[name]["seconds"] for name in STEPS}
        total = sum(seconds.values())
        if before is None:
            report("scale", case="row by row", share=share, ratio=slow["seconds"] / total, **slow)
        else:
            per_ten = np.log(10) / np.log(share / before[0])
            growth = {name: (seconds[name] / before[1][name]) ** per_ten for name in STEPS[:2]}
            figures["growth"] = growth | {"all": (total / sum(before[1].values())) ** per_ten}
        before = share, seconds
        steps = [figures[name] for name in STEPS]
        report(
            "scale",
            case="skrec",
            share=share,
            peak_mb=max(each["peak_mb"] for each in steps),
            anonymous_mb=max(each["anonymous_mb"] for each in steps),
            seconds=total,
            **figures,
        )
    report("environment", **environment())


if __name__ == "__main__":
    main()
