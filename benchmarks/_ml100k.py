"""The fixed MovieLens 100K set, in skrec's columns."""

import sys
from pathlib import Path

import pandas as pd

from skrec import Items

HINT = """the MovieLens 100K set is not in {folder}. Make it once with
    pip download --no-deps --dest /tmp recbole==1.2.1
    python ../shared/tools/ml100k.py /tmp/recbole-1.2.1-py3-none-any.whl {folder}
or name its folder with --data"""

ROLES = {"year": "category"}


def read_split(folder, name):
    """Return a split as impressions, of one row each."""
    path = Path(folder).expanduser() / f"{name}.parquet"
    if not path.exists():
        sys.exit(HINT.format(folder=folder))
    groups = pd.read_parquet(path).groupby("imp_id", sort=False)
    return pd.DataFrame(
        {
            "impression_id": list(groups.groups),
            "user_id": groups.user_id.first().tolist(),
            "history": groups.history.first().tolist(),
            "candidates": groups.candidate.agg(list).tolist(),
            "clicked": groups.click.agg(list).tolist(),
        }
    )


def read_films(folder):
    """Return the films: title, genres as lists, year."""
    path = Path(folder).expanduser() / "items.parquet"
    if not path.exists():
        sys.exit(HINT.format(folder=folder))
    films = pd.read_parquet(path)[["item_id", "title", "genres", "year"]]
    return films.assign(genres=films.genres.str.split())


def read_items(folder):
    """Return the films: title as text, genres as a multi-category, year as a category."""
    return Items(read_films(folder), roles=ROLES)
