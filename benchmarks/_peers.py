"""Models of other libraries, for `bench_lists.py` and `bench_sequences.py`.

`run_peer` starts this file with the interpreter that `--peer-python` names:

`python _peers.py NAME FOLDER SEED` trains a model on the clicks in FOLDER/train.npz, writes the ten
best unseen items for the histories in FOLDER/test.npz to FOLDER/lists.npy, and prints the seconds
of the training. Clicks are codes of items, in the order of time. skrec is not imported, because
RecTools needs numpy < 2.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

K = 10
EPOCHS = 15  # of SASRec


def run_peer(name, data, python, seed=0):
    """Return the lists (n, K) of a model for the histories of the test, and its seconds.

    Parameters
    ----------
    name : str
        Key of `PEERS`.
    data : Lists
        The set, as read by `_lists.py`.
    python : str
        Interpreter whose environment has the library.
    seed : int
    """
    code = {each: place for place, each in enumerate(data.items.ids.tolist())}

    def write(path, sequences):
        codes = [code[each] for each in itertools.chain.from_iterable(sequences)]
        offsets = np.cumsum([0, *map(len, sequences)])
        np.savez(path, codes=np.asarray(codes, dtype=np.int64), offsets=offsets)

    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "train.npz", data.train.tolist())
        write(Path(folder) / "test.npz", [clicks[:-1] for clicks in data.ranked["test"]])
        (Path(folder) / "n_items.json").write_text(json.dumps(len(code)))
        command = [python, __file__, name, folder, str(seed)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        lists = np.load(Path(folder) / "lists.npy")
    return lists, json.loads(answer.stdout.splitlines()[-1])["seconds"]


def als(train, test, n_items, seed):
    """Return lists of implicit's ALS, whose users are computed anew from their histories."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(factors=64, random_state=seed)
    return _implicit(model, train, test, n_items, recalculate_user=True)


def bpr(train, test, n_items, seed):
    """Return lists of implicit's BPR, whose users must be those of the training."""
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(factors=64, random_state=seed)
    return _implicit(model, train, test, n_items)


def _implicit(model, train, test, n_items, **options):
    from scipy import sparse

    def matrix(codes, offsets):
        ones = np.ones(len(codes), dtype=np.float32)
        found = sparse.csr_matrix((ones, codes, offsets), shape=(len(offsets) - 1, n_items))
        found.sum_duplicates()
        return found

    start = time.perf_counter()
    model.fit(matrix(*train), show_progress=False)
    seconds = time.perf_counter() - start
    seen = matrix(*test)
    users = np.arange(seen.shape[0])
    lists, _ = model.recommend(users, seen, N=K, filter_already_liked_items=True, **options)
    return lists, seconds


def sasrec(train, test, n_items, seed):
    """Return lists of RecTools' SASRec with its gBCE loss: 64 wide, of two blocks."""
    import pandas as pd
    import torch
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    def dataset(codes, offsets):
        lengths = np.diff(offsets)
        place = np.arange(len(codes)) - np.repeat(offsets[:-1], lengths)
        table = {
            Columns.User: np.repeat(np.arange(len(lengths)), lengths),
            Columns.Item: codes,
            Columns.Weight: 1.0,
            Columns.Datetime: pd.Timestamp("2020-01-01") + pd.to_timedelta(place, unit="h"),
        }
        return Dataset.construct(pd.DataFrame(table))

    torch.manual_seed(seed)
    model = SASRecModel(
        n_factors=64, n_heads=2, n_blocks=2, session_max_len=50, epochs=EPOCHS, loss="gBCE",
        n_negatives=256, lr=1e-3, batch_size=128, deterministic=True,
    )  # fmt: skip
    start = time.perf_counter()
    model.fit(dataset(*train))
    seconds = time.perf_counter() - start
    seen = dataset(*test)
    users = np.unique(seen.interactions.df[Columns.User].to_numpy())
    users = seen.user_id_map.convert_to_external(users)
    found = model.recommend(users, seen, k=K, filter_viewed=True, on_unsupported_targets="ignore")
    lists = np.full((len(test[1]) - 1, K), -1, dtype=np.int64)
    rows, ranks = found[Columns.User].to_numpy(), found[Columns.Rank].to_numpy()
    lists[rows, ranks - 1] = found[Columns.Item].to_numpy()
    return lists, seconds


PEERS = {"implicit ALS": als, "implicit BPR": bpr, "RecTools SASRec": sasrec}


def main(name, folder, seed):
    folder = Path(folder)

    def read(part):
        with np.load(folder / f"{part}.npz") as arrays:
            return arrays["codes"], arrays["offsets"]

    n_items = json.loads((folder / "n_items.json").read_text())
    lists, seconds = PEERS[name](read("train"), read("test"), n_items, int(seed))
    np.save(folder / "lists.npy", np.asarray(lists, dtype=np.int64))
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
