"""Large catalogues: seconds and memory of a fit and of answers, with ten times the items each.

Made-up items with short texts in parquet files, and 20,000 histories of 20 clicks. Each size runs
in a process of its own: `Items` reads the files (`items`), the model is fitted for one epoch
(`fit`), all items are encoded (`vectors`), and 1,000 users get 10 items each (`recommend`).
Growth is that of the seconds of the processor, which other processes do not change.
"""

from functools import partial

import numpy as np

from _common import report
from _steps import in_new_process, step

STEPS = ("items", "fit", "vectors", "recommend")
SIZES = (50_000, 500_000, 5_000_000)
QUICK_SIZES = (5_000, 50_000)
N_ROWS, N_CLICKS, N_USERS = 20_000, 20, 1_000
N_WORDS, WORDS_PER_TEXT, PART = 30_000, 6, 500_000


def write(n_items, folder, figures):
    """Write a catalogue of short texts, in files of half a million items."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    folder.mkdir()
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, rng.integers(3, 9))) for _ in range(N_WORDS)])
    for start in range(0, n_items, PART):
        n = min(PART, n_items - start)
        at = (N_WORDS * rng.random((n, WORDS_PER_TEXT)) ** 3).astype(np.int64)
        texts = words[at[:, 0]].astype(object)
        for column in at.T[1:]:
            texts = texts + " " + words[column]
        table = pa.table({"item_id": np.arange(start, start + n), "title": pa.array(texts)})
        pq.write_table(table, folder / f"{start:010d}.parquet", row_group_size=100_000)


def answer(n_items, folder, figures):
    """Read, fit, encode and recommend; add seconds and memory of each step."""
    from skrec import ContentRecommender, Items, behavior, content

    rng = np.random.default_rng(1)
    rows = np.split(rng.integers(n_items, size=N_ROWS * N_CLICKS), N_ROWS)
    with step(figures, "items"):
        items = Items(folder)
    rec = ContentRecommender(
        content.MeanPooling(),
        behavior.MeanPooling(),
        history_targets=0,
        n_negatives=256,
        batch_size=256,
        max_epochs=1,
        early_stopping=False,
        co_clicks=False,
        device="cpu",
        random_state=0,
    )
    with step(figures, "fit"):
        rec.fit(rows, items=items)
    with step(figures, "vectors"):
        vectors = rec.item_vectors()
    figures["vectors_mb"] = vectors.nbytes / 2**20
    del vectors
    with step(figures, "recommend"):
        rec.recommend(rows[:N_USERS], k=10)


def run(folder, quick):
    """Measure all sizes."""
    before = None
    for n_items in QUICK_SIZES if quick else SIZES:
        in_new_process(partial(write, n_items), folder / str(n_items))
        figures = in_new_process(partial(answer, n_items), folder / str(n_items))
        seconds = {name: figures[name]["cpu_seconds"] for name in STEPS}
        if before is not None:
            per_ten = np.log(10) / np.log(n_items / before[0])
            growth = {name: (seconds[name] / before[1][name]) ** per_ten for name in STEPS}
            total = sum(seconds.values()) / sum(before[1].values())
            figures["growth"] = growth | {"all": total**per_ten}
        before = n_items, seconds
        report(
            "scale",
            part="catalogue",
            n_items=n_items,
            peak_mb=max(figures[name]["peak_mb"] for name in STEPS),
            anonymous_mb=max(figures[name]["anonymous_mb"] for name in STEPS),
            cpu_seconds=sum(seconds.values()),
            **figures,
        )
