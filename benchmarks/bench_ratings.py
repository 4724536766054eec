"""The Netflix Prize's shape from files to impressions: seconds and memory as the data grow.

Made-up files of 480 thousand users, 17,770 films and 100 million ratings, and of a hundredth and a
tenth of the users and ratings. Each size is converted by `read_netflix` in a process of its own.
`growth` is the seconds of a size over those of the size before, and `ratio` a plain loop over the
smallest size, line by line and user by user, against it. Memory as in `bench_scale.py`.
"""

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from _common import arguments, environment, report
from _steps import in_new_process, step

SHARES = (0.01, 0.1, 1.0)
QUICK_SHARES = (0.001, 0.01)
N_USERS, N_FILMS, N_RATINGS = 480_189, 17_770, 100_480_507
N_FILES = 4
FIRST_DAY, N_DAYS = np.datetime64("1999-11-11"), 2240
PLAIN = csv.WriteOptions(include_header=False, quoting_style="none")
N_VALID, N_TEST, N_TRAIN, MIN_CLICKS, MAX_HISTORY = 1, 2, 10, 8, 50
N_NEGATIVES, N_NEGATIVES_EVAL = 4, 20


def write_netflix(folder, share, seed=0):
    """Write films and ratings; some films and some users have far more than others."""
    rng = np.random.default_rng(seed)
    n_users = round(N_USERS * share)
    weight = rng.zipf(1.2, N_FILMS).clip(max=300).astype(float)
    n_ratings = rng.multinomial(round(N_RATINGS * share), weight / weight.sum())
    ids = rng.choice(2_649_429, n_users, replace=False) + 1
    activity = np.cumsum(rng.lognormal(0, 1.2, n_users))
    days = (FIRST_DAY + np.arange(N_DAYS)).astype(str)
    titles = (
        f"{film},{1950 + film % 56},Film {film}, a sequel\n" for film in range(1, N_FILMS + 1)
    )
    (folder / "movie_titles.csv").write_text("".join(titles))
    for number, films in enumerate(np.array_split(np.arange(N_FILMS), N_FILES), start=1):
        with open(folder / f"combined_data_{number}.txt", "wb") as file:
            for film in films:
                file.write(f"{film + 1}:\n".encode())
                drawn = rng.random(n_ratings[film]) * activity[-1]
                user = np.unique(np.searchsorted(activity, drawn, side="right"))
                stars = rng.integers(1, 6, len(user))
                day = days[rng.integers(0, N_DAYS, len(user))]
                if len(user):
                    csv.write_csv(pa.table([ids[user], stars, day], list("usd")), file, PLAIN)


def ours(folder, figures):
    """Convert the files; add seconds and memory."""
    from skrec.datasets import read_netflix

    with step(figures, "read"):
        data = read_netflix(folder, data_home=folder / "home")
    figures["n_rows"] = data.train.num_rows + data.valid.num_rows + data.test.num_rows


def plain(folder, figures):
    """Do the same line by line and user by user."""
    start = time.perf_counter()
    met = {}
    for file in sorted(folder.glob("combined_data_*.txt")):
        for line in file.read_text().splitlines():
            if line.endswith(":"):
                film = int(line[:-1])
            else:
                user, stars, day = line.split(",")
                met.setdefault(int(user), []).append((day, film, int(stars)))
    rng = np.random.default_rng(0)
    rows = []
    for user, events in met.items():
        clicks = [film for _, film, stars in sorted(events) if stars >= 4]
        if len(clicks) < MIN_CLICKS:
            continue
        known = {film for _, film, _ in events}
        test = len(clicks) - N_TEST
        valid = test - N_VALID
        train = valid - min(N_TRAIN, valid // 2)
        parts = [(train, valid, N_NEGATIVES), (valid, test, N_NEGATIVES_EVAL)]
        for first, last, n in [*parts, (test, len(clicks), N_NEGATIVES_EVAL)]:
            for click in clicks[first:last]:
                some = set()
                while len(some) < n:
                    film = int(rng.integers(N_FILMS)) + 1
                    if film not in known:
                        some.add(film)
                rows.append((user, clicks[:first][-MAX_HISTORY:], [click, *some]))
    figures["seconds"] = time.perf_counter() - start
    figures["n_rows"] = len(rows)


def main():
    args = arguments(__doc__, folder=tempfile.gettempdir())
    shares = QUICK_SHARES if args.quick else SHARES
    before = None
    for share in shares:
        folder = Path(tempfile.mkdtemp(prefix="ratings-", dir=args.folder))
        try:
            write_netflix(folder, share)
            figures = in_new_process(ours, folder)
            if share == shares[0]:
                slow = in_new_process(plain, folder)
        finally:
            shutil.rmtree(folder)
        read = figures.pop("read")
        if before is None:
            ratio = slow["seconds"] / read["seconds"]
            report("ratings", case="line by line", share=share, ratio=ratio, **slow)
        else:
            figures["growth"] = read["seconds"] / before
        before = read["seconds"]
        report("ratings", case="skrec", share=share, **read, **figures)
    report("environment", **environment())


if __name__ == "__main__":
    main()
