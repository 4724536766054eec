"""Dask makes lists for all users, one parquet file per task."""

import sys
from pathlib import Path

import pandas as pd
from dask.distributed import Client, get_worker

import skrec


def recommend(folder, path, lists):
    worker = get_worker()
    if not hasattr(worker, "rec"):
        worker.rec = skrec.load(folder)  # once per worker
    users = pd.read_parquet(path)
    ids, scores = worker.rec.recommend(users["history"], k=5)
    users = users[["user_id"]].assign(ids=list(ids), scores=list(scores))
    users.to_parquet(Path(lists) / Path(path).name)


if __name__ == "__main__":
    folder, histories, lists = sys.argv[1:]
    Path(lists).mkdir()
    paths = sorted(map(str, Path(histories).glob("*.parquet")))
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        client.gather([client.submit(recommend, folder, path, lists) for path in paths])
