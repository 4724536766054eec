"""A million impressions with 20 candidates and histories of 50 become codes, against a plain loop.

The histories are 200 thousand distinct ones, the ids int64, the catalogue 65 thousand items. The
table is Arrow; beside it stands a pandas frame of Python lists with a tenth of the rows. `seconds`
are of `encode`, `peak_mb` is what it takes above its input. `ratio` is the time of the loop over
that of `encode`, in turns; the loop looks ids up in a dict, row by row, on a hundredth of the rows,
and its time is scaled to all. `target` is 10 s and 1.5 GB for the full Arrow table.
"""

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa

from _common import alternate, arguments, environment, peak_mb, report
from skrec import Items
from skrec._data.encode import encode
from skrec._data.rows import as_table

N_ROWS = 1_000_000
N_CANDIDATES = 20
N_CLICKS = 50
N_ITEMS = 65_000
ROWS_PER_HISTORY = 5
LOOP_SHARE = 100


def make_items():
    ids = np.random.default_rng(0).choice(1 << 40, N_ITEMS, replace=False)
    return Items({"item_id": ids})


def list_column(values):
    """Return an Arrow list column of the rows of a 2-D array."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))


def make_arrow(n_rows):
    """Return an Arrow table of impressions and the catalogue."""
    items, rng = make_items(), np.random.default_rng(1)
    histories = items.ids[rng.integers(N_ITEMS, size=(n_rows // ROWS_PER_HISTORY, N_CLICKS))]
    history = rng.integers(len(histories), size=n_rows)
    clicked = np.zeros((n_rows, N_CANDIDATES), dtype=np.int8)
    clicked[np.arange(n_rows), rng.integers(N_CANDIDATES, size=n_rows)] = 1
    table = pa.table(
        {
            "history": list_column(histories[history]),
            "candidates": list_column(items.ids[rng.integers(N_ITEMS, size=clicked.shape)]),
            "clicked": list_column(clicked),
        }
    )
    return table, items


def make_pandas(n_rows):
    """Return the same as a pandas frame of Python lists."""
    table, items = make_arrow(n_rows)
    columns = {name: table[name].to_pylist() for name in table.column_names}
    return pd.DataFrame(
        {name: pd.Series(rows, dtype=object) for name, rows in columns.items()}
    ), items


def run(inputs):
    X, items = inputs
    return encode(as_table(X), items=items, labels="required")


def loop(inputs):
    """Do what `encode` does the plain way: row by row, with dicts and lists."""
    X, items = inputs
    code = {id: at for at, id in enumerate(items.ids.tolist())}
    columns = [X[name] for name in ("history", "candidates", "clicked")]
    if isinstance(X, pa.Table):
        columns = [column.to_pylist() for column in columns]
    number, history_of_row, candidate_codes, labels, offsets = {}, [], [], [], [0]
    for history, candidates, clicked in zip(*columns, strict=True):
        codes = tuple([code[id] for id in history])
        history_of_row.append(number.setdefault(codes, len(number)))
        candidate_codes += [code[id] for id in candidates]
        labels += clicked
        offsets.append(len(candidate_codes))
    history_codes = np.array([at for codes in number for at in codes], dtype=np.int32)
    return (
        history_codes,
        np.array(history_of_row),
        np.array(candidate_codes, dtype=np.int32),
        np.array(labels, dtype=np.int8),
        np.array(offsets),
    )


def check(inputs):
    data, twin = run(inputs), loop(inputs)
    names = ["history_codes", "history_of_row", "candidate_codes", "clicked", "candidate_offsets"]
    for name, expected in zip(names, twin, strict=True):
        np.testing.assert_array_equal(getattr(data, name), expected)


def measure(bench, make, n_rows, repeats, **figures):
    X, items = make(n_rows)
    sample = X[: n_rows // LOOP_SHARE], items
    check(sample)
    functions = {"skrec": partial(run, (X, items)), "loop": partial(loop, sample)}
    seconds = alternate(functions, repeats)
    seconds["loop"] *= LOOP_SHARE
    del X, functions
    report(
        bench,
        ratio=seconds["loop"] / seconds["skrec"],
        seconds=seconds,
        peak_mb=peak_mb(run, prepare=partial(make, n_rows)),
        rows=n_rows,
        environment=environment(),
        **figures,
    )


def main():
    args = arguments(__doc__, repeats=3)
    n_rows = N_ROWS // 10 if args.quick else N_ROWS
    target = {} if args.quick else {"target": {"seconds": 10, "peak_mb": 1500}}
    measure("interactions_arrow", make_arrow, n_rows, args.repeats, **target)
    measure("interactions_pandas", make_pandas, n_rows // 10, args.repeats)


if __name__ == "__main__":
    main()
