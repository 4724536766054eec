"""Every combination of content, behavior and predictor operators: builds, trains, answers.

For each: two training steps on items with columns of every role give each weight a gradient;
probabilities are finite and differ between candidates; a pickle, a clone, single rows, items that
are passed again, and top-k lists give the same scores. A sample in which any two operators meet
also lowers its loss in 20 steps on one batch. Prints one line for each failure, and one with their
number: `combinations` are those of all registered operators, `tried` also has some with options.
`--quick` tries the sample only, and lets a quarter of it learn; `--only CNN-GRU` what has that in
its name.
"""

import os
import sys
import tempfile
import time
import warnings
from itertools import product

import torch
from joblib import Parallel, delayed
from transformers.utils import logging

from _combinations import (
    Data,
    faults,
    learning_faults,
    operators_with_options,
    registered_operators,
    write_pretrained,
)
from _common import arguments, environment, report
from _covering import covering

CHUNK = 20  # combinations that a process takes at a time


def main():
    args = arguments(__doc__.partition("\n")[0], jobs=2, only="")
    logging.disable_progress_bar()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        given = write_pretrained(folder)
        operators = registered_operators(given)
        registered = list(product(*operators.values()))
        sizes = {f"n_{family}": len(names) for family, names in operators.items()}
        for family, options in operators_with_options(given).items():
            operators[family] |= options
        sample = covering(*map(list, operators.values()))
        tried = sample if args.quick else list(dict.fromkeys(registered + sample))
        learning = set(sample[:: 4 if args.quick else 1])
        tasks = [(names, names in learning) for names in tried if args.only in "-".join(names)]
        found = Parallel(n_jobs=args.jobs)(
            delayed(try_chunk)(tasks[at : at + CHUNK], operators, folder)
            for at in range(0, len(tasks), CHUNK)
        )
    failed = [failure for part in found for failure in part]
    for name, reasons in failed:
        report("combination", name=name, reasons=reasons)
    report(
        "combinations",
        combinations=len(registered),
        tried=len(tasks),
        learned=sum(learns for _, learns in tasks),
        failed=len(failed),
        seconds=time.perf_counter() - start,
        **sizes,
    )
    sys.exit(bool(failed))


def try_chunk(tasks, operators, folder):
    """Return the names of combinations that fail, and why."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of texts whose words have no vectors, and the like
    data, failed = Data(), []
    for names, learns in tasks:
        parts = [operators[family][name] for family, name in zip(operators, names, strict=True)]
        reasons = faults(parts, data, folder)
        if learns:
            reasons += learning_faults(parts, data, folder)
        if reasons:
            failed.append(("-".join(names), reasons))
    return failed


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    report("environment", **environment())
    main()
