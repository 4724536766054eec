"""MovieLens files: layouts, splits, negatives, settings and damaged lines."""

import datetime
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skrec import Items
from skrec.datasets import read_movielens

LATEST_SMALL = Path(__file__).parents[3] / "shared" / "data" / "movielens-latest-small"
GENRES = """unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy
Film-Noir Horror Musical Mystery Romance Sci-Fi Thriller War Western""".split()

# id, title as published, genres
FILMS = [
    (1, "Toy Story (1995)", ["Animation", "Children's", "Comedy"]),
    (2, "Misérables, Les (1995)", ["Drama", "Musical"]),
    (3, 'Story of "It" & Co., The (1995) (V)', ["Drama"]),
    (4, "unknown", ["unknown"]),
    (5, "2001: A Space Odyssey (1968)", ["Sci-Fi"]),
    *[(n, f"Film {n} (19{n})", ["Drama"]) for n in range(10, 60)],
]
SPLITS = ("train", "valid", "test")


def some_ratings():
    """Return rows of user, film, rating, time. Users 5, 3 and 9 have 12, 9 and 1 clicks."""
    rows = [(5, 10 + n, 4 + n % 2, 1000 + 10 * n) for n in range(12)]
    rows += [(5, 30 + n, 3, 1005 + n) for n in range(4)]
    # all at the same time and in descending order, so that the film id decides
    rows += [(3, 20 - n, 5, 500) for n in range(9)]
    rows += [(9, 1, 4, 7)]
    return rows


def write_100k(folder, ratings, films=FILMS):
    lines = ["\t".join(map(str, row)) for row in ratings]
    (folder / "u.data").write_text("\n".join(lines) + "\n")
    lines = [f"{name}|{number}" for number, name in enumerate(GENRES)]
    (folder / "u.genre").write_text("\n".join(lines) + "\n\n")
    lines = []
    for number, title, genres in films:
        url = "" if title == "unknown" else f"http://us.imdb.com/M/title-exact?{number}"
        date = "" if title == "unknown" else "01-Jan-1995"
        flags = "|".join(str(int(name in genres)) for name in GENRES)
        lines.append(f"{number}|{title}|{date}||{url}|{flags}")
    (folder / "u.item").write_text("\n".join(lines) + "\n", encoding="latin-1")
    (folder / "README").write_text("SUMMARY & USAGE LICENSE")


def write_1m(folder, ratings, films=FILMS):
    lines = ["::".join(map(str, row)) for row in ratings]
    (folder / "ratings.dat").write_text("\n".join(lines) + "\n")
    lines = [f"{number}::{title}::{'|'.join(genres)}" for number, title, genres in films]
    (folder / "movies.dat").write_text("\n".join(lines) + "\n", encoding="latin-1")


def write_latest(folder, ratings, films=FILMS):
    ratings = pd.DataFrame(ratings, columns=["userId", "movieId", "rating", "timestamp"])
    ratings.astype({"rating": float}).to_csv(folder / "ratings.csv", index=False)
    genres = [
        "(no genres listed)" if "unknown" in genres else "|".join(genres) for *_, genres in films
    ]
    films = pd.DataFrame(films, columns=["movieId", "title", "genres"]).assign(genres=genres)
    films.to_csv(folder / "movies.csv", index=False)


WRITERS = [write_100k, write_1m, write_latest]


@pytest.fixture(params=WRITERS, ids=["100k", "1m", "latest"])
def folder(request, tmp_path):
    request.param(tmp_path, some_ratings())
    return tmp_path


@pytest.fixture(scope="module")
def latest_small():
    if not LATEST_SMALL.exists():
        pytest.skip(f"MovieLens latest-small is not in {LATEST_SMALL}")
    return read_movielens(LATEST_SMALL)


def read(folder, **settings):
    return read_movielens(folder, **{"n_negatives_eval": 5} | settings)


def users_of(table):
    return table["user_id"].to_pylist()


def targets_of(table):
    """Return the clicked candidate of each impression."""
    rows = zip(table["candidates"].to_pylist(), table["clicked"].to_pylist(), strict=True)
    return [candidates[clicked.index(1)] for candidates, clicked in rows]


def test_films_of_each_layout_read_alike(folder):
    items = read(folder).items
    assert isinstance(items, Items)
    assert items.ids.tolist() == [number for number, *_ in FILMS]
    assert items.roles == {"title": "text", "year": "category", "genres": "multi-category"}
    assert items.column("title").to_pylist()[:5] == [
        "Toy Story",
        "Misérables, Les",
        'Story of "It" & Co., The',
        "unknown",
        "2001: A Space Odyssey",
    ]
    years = items.column("year").cast(pa.string()).to_pylist()
    assert years[:5] == ["1995", "1995", "1995", None, "1968"]
    genres = items.column("genres").to_pylist()
    assert genres[:5] == [FILMS[0][2], FILMS[1][2], ["Drama"], [], ["Sci-Fi"]]


def test_years_at_the_end_of_titles(tmp_path):
    titles = {
        "Fawlty Towers (1975-1979)": ("Fawlty Towers", "1975"),
        "Big Bang Theory, The (2007-)": ("Big Bang Theory, The", "2007"),
        "Death Note (2006–2007)": ("Death Note", "2006"),
        "(500) Days of Summer (2009) ": ("(500) Days of Summer", "2009"),
        "Cité des enfants perdus (City) (1995)": ("Cité des enfants perdus (City)", "1995"),
        "1984 (1956)": ("1984", "1956"),
        "NA (2001)": ("NA", "2001"),
        "Hyena Road": ("Hyena Road", None),
    }
    films = FILMS + [(100 + n, title, ["Drama"]) for n, title in enumerate(titles)]
    write_latest(tmp_path, some_ratings(), films)
    items = read(tmp_path).items
    years = items.column("year").cast(pa.string()).to_pylist()
    found = zip(items.column("title").to_pylist(), years, strict=True)
    assert list(found)[len(FILMS) :] == list(titles.values())


def test_layouts_give_the_same_impressions(tmp_path):
    found = []
    for writer in WRITERS:
        folder = tmp_path / writer.__name__
        folder.mkdir()
        writer(folder, some_ratings())
        found.append(read(folder))
    for data in found[1:]:
        for name in SPLITS:
            assert data[name].equals(found[0][name])


def test_split_by_time(folder):
    data = read(folder)
    # of 12 clicks, 2 are in test, 1 in valid and half of the other 9 in train; of 9 clicks, 3
    assert users_of(data.test) == [3, 3, 5, 5]
    assert targets_of(data.test) == [19, 20, 20, 21]
    assert targets_of(data.valid) == [18, 19]
    assert targets_of(data.train) == [15, 16, 17, 15, 16, 17, 18]
    assert data.train["history"].to_pylist()[0] == [12, 13, 14]
    assert data.train["history"].to_pylist()[-1] == [10, 11, 12, 13, 14]
    assert data.test["history"].to_pylist()[-1] == list(range(10, 20))


def test_repeated_ratings(tmp_path):
    ratings = some_ratings()
    for name, rows in {"once": ratings, "twice": ratings * 2}.items():
        (tmp_path / name).mkdir()
        write_latest(tmp_path / name, rows)
    once, twice = read(tmp_path / "once"), read(tmp_path / "twice")
    for name in SPLITS:
        assert twice[name].equals(once[name])
    (tmp_path / "later").mkdir()
    later = [(user, film, rating, time + 10**6) for user, film, rating, time in ratings[::3]]
    write_latest(tmp_path / "later", [*ratings, *later])
    first = read(tmp_path / "later", first_only=True)
    for name in SPLITS:
        assert first[name].equals(once[name])
    assert not read(tmp_path / "later").test.equals(once.test)


def test_times_are_those_of_the_clicks(folder):
    time = read(folder).test["time"]
    assert time.type == pa.timestamp("s")
    assert time.to_pylist()[0] == datetime.datetime(1970, 1, 1, 0, 8, 20)
    assert time.cast(pa.int64()).to_pylist() == [500, 500, 1100, 1110]


def test_settings_change_the_split(folder):
    data = read(folder, n_test=1, n_valid=0, n_train=2, max_history=4, min_clicks=10)
    assert data.valid.num_rows == 0
    assert users_of(data.train) == [5, 5]
    assert targets_of(data.train) == [19, 20]
    assert targets_of(data.test) == [21]
    assert data.train["history"].to_pylist() == [[15, 16, 17, 18]] * 2
    assert data.test["history"].to_pylist() == [[17, 18, 19, 20]]


def test_threshold_decides_what_is_a_click(folder):
    data = read(folder, threshold=3, n_test=16 - 1, n_valid=0, min_clicks=16)
    # times of the four lower ratings lie between those of the first two clicks
    assert [10, *targets_of(data.test)][:6] == [10, 30, 31, 32, 33, 11]


def test_number_of_candidates(folder):
    data = read(folder, n_negatives=3, n_negatives_eval=7)
    for name, n in (("train", 4), ("valid", 8), ("test", 8)):
        assert set(map(len, data[name]["candidates"].to_pylist())) == {n}
        assert all(sum(row) == 1 and len(row) == n for row in data[name]["clicked"].to_pylist())


def test_impression_ids_differ_between_the_tables(folder):
    data = read(folder)
    ids = [number for name in SPLITS for number in data[name]["impression_id"].to_pylist()]
    assert ids == list(range(len(ids)))


def test_ratings_of_unlisted_films_are_left_out(tmp_path):
    write_latest(tmp_path, [*some_ratings(), (5, 999, 5, 10**6), (3, 7, 5, 10**6)])
    assert targets_of(read(tmp_path).test) == [19, 20, 20, 21]


def test_all_unrated_films_can_be_negatives(tmp_path):
    # user 3 rated 9 of 55 films, so these are all the others, each once
    write_latest(tmp_path, [row for row in some_ratings() if row[0] == 3])
    data = read(tmp_path, n_negatives_eval=46)
    unrated = {number for number, *_ in FILMS} - set(range(12, 21))
    for candidates, target in zip(
        data.test["candidates"].to_pylist(), targets_of(data.test), strict=True
    ):
        assert sorted(candidates) == sorted(unrated | {target})


def test_negatives_and_places_are_uniform(tmp_path):
    ratings = [(user, 10 + n, 5, n) for user in range(2000) for n in range(8)]
    write_latest(tmp_path, ratings)
    table = read(tmp_path, n_negatives_eval=4).test
    candidates = np.array(table["candidates"].to_pylist())
    clicked = np.array(table["clicked"].to_pylist())
    # 16,000 draws among 47 films: six standard deviations are about a third of the mean
    counts = pd.Series(candidates[clicked == 0]).value_counts()
    assert len(counts) == 47
    assert counts.between(16_000 / 47 * 0.67, 16_000 / 47 * 1.33).all()
    assert np.all(np.abs(clicked.mean(axis=0) - 0.2) < 0.04)


def test_too_few_negatives(folder):
    message = "cannot draw 47 negatives for user 3, who never met 46 of 55 items; lower"
    with pytest.raises(ValueError, match=message):
        read(folder, n_negatives_eval=47)


def test_same_seed_gives_the_same_impressions(folder):
    one, same, other = (read(folder, random_state=seed) for seed in (1, 1, 2))
    for name in SPLITS:
        assert one[name].equals(same[name])
    assert not one.test.equals(other.test)
    generators = [read(folder, random_state=np.random.default_rng(3)).test for _ in range(2)]
    assert generators[0].equals(generators[1])


def test_settings_of_train_leave_the_test_set_alone(folder):
    # otherwise models trained with other settings could not be compared
    one, other = read(folder), read(folder, n_negatives=8, n_train=2)
    for name in ("valid", "test"):
        dropped = (data[name].drop_columns("impression_id") for data in (one, other))
        assert next(dropped).equals(next(dropped))


def test_zip_as_published(tmp_path):
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    write_1m(folder, some_ratings())
    with zipfile.ZipFile(tmp_path / "ml-1m.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"ml-1m/{file.name}")
    data, same, outer = (read(tmp_path / name) for name in ("ml-1m.zip", "ml-1m", "."))
    assert data.test.equals(same.test)
    assert data.test.equals(outer.test)
    assert data.items.ids.tolist() == same.items.ids.tolist()


def test_carriage_returns_and_blank_lines_at_the_end(tmp_path):
    write_latest(tmp_path, some_ratings())
    expected = read(tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    data = read(tmp_path)
    assert data.test.equals(expected.test)
    assert data.items.column("genres").equals(expected.items.column("genres"))


def test_description(folder):
    data = read(folder)
    assert data.feature_names == ["title", "year", "genres"]
    for text in ("26 ratings of 55 films by 3 users", "2 with at least 8", "Harper", "Licence"):
        assert text.lower() in data.DESCR.lower()
    assert "https://grouplens.org/datasets/movielens/" in data.DESCR


def test_no_such_path(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder: .*ml-99m"):
        read_movielens(tmp_path / "ml-99m")


def test_folder_without_data(tmp_path):
    (tmp_path / "ratings.csv").touch()
    (tmp_path / "notes.txt").touch()
    message = (
        r"looked for u.data, u.item, u.genre \(100k\); ratings.dat, movies.dat .*"
        r"ratings.csv, movies.csv .*found notes.txt, ratings.csv"
    )
    with pytest.raises(FileNotFoundError, match=message):
        read_movielens(tmp_path)


def test_file_that_is_no_zip(tmp_path):
    write_latest(tmp_path, some_ratings())
    with pytest.raises(ValueError, match=r"path must be a folder or a \.zip file, got .*\.csv"):
        read_movielens(tmp_path / "ratings.csv")


@pytest.mark.parametrize(
    ("writer", "file", "line", "message"),
    [
        (write_100k, "u.data", "1\t2\t3", r"u\.data, line 3: Expected 4 columns, got 3: 1\t2\t3"),
        (write_100k, "u.item", "9|Film|", r"u\.item, line 3: Expected 24 columns, got 3"),
        (write_1m, "ratings.dat", "1::2::3", "line 3: Expected 4 columns, got 3: 1::2::3"),
        (write_1m, "ratings.dat", "1::2::3::x", "line 3: timestamp: .*invalid value 'x'"),
        (write_1m, "movies.dat", "1::Film", r"movies\.dat, line 3: Expected 3 columns, got 2"),
        (write_latest, "ratings.csv", "1,2,,4", "line 3: rating: .*invalid value ''"),
        (write_latest, "ratings.csv", "", r"ratings\.csv, line 3: "),
        (write_latest, "movies.csv", "1,a,b,c", r"movies\.csv, line 3: Expected 3 columns, got 4"),
    ],
)
def test_unreadable_line_is_named(tmp_path, writer, file, line, message):
    writer(tmp_path, some_ratings())
    lines = (tmp_path / file).read_text(encoding="latin-1").split("\n")
    lines[2] = line
    (tmp_path / file).write_text("\n".join(lines), encoding="latin-1")
    with pytest.raises(ValueError, match=message):
        read_movielens(tmp_path)


def test_header_of_another_file(tmp_path):
    write_latest(tmp_path, some_ratings())
    (tmp_path / "ratings.csv").write_text("user,film,stars,time\n1,2,3,4\n")
    message = "line 1: expected the header userId,movieId,rating,timestamp, got user,film,stars"
    with pytest.raises(ValueError, match=message):
        read_movielens(tmp_path)


def test_empty_file(tmp_path):
    write_latest(tmp_path, some_ratings())
    (tmp_path / "ratings.csv").write_text("")
    with pytest.raises(ValueError, match=r"ratings\.csv is empty"):
        read_movielens(tmp_path)


def test_no_user_with_enough_clicks(folder):
    message = "no user has min_clicks=13 clicks; the most is 12"
    with pytest.raises(ValueError, match=message):
        read(folder, min_clicks=13)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_test": -1}, ValueError, "n_test must be an int of at least 0, got -1"),
        ({"n_negatives": 0}, ValueError, "n_negatives must be an int of at least 1, got 0"),
        ({"max_history": 2.5}, TypeError, "max_history must be an int of at least 1, got 2.5"),
        ({"threshold": "4"}, ValueError, "threshold must be a number in .*, got '4'"),
        ({"min_clicks": 3}, ValueError, r"min_clicks must be more than n_valid \+ n_test = 3"),
    ],
)
def test_settings_out_of_range(tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        read_movielens(tmp_path, **settings)


def test_latest_small_sizes(latest_small):
    ratings = pd.read_csv(LATEST_SMALL / "ratings.csv")
    n_users = (ratings.loc[ratings["rating"] >= 4, "userId"].value_counts() >= 8).sum()
    assert latest_small.items.n_items == 9125
    assert latest_small.valid.num_rows == n_users
    assert latest_small.test.num_rows == 2 * n_users
    assert len(set(users_of(latest_small.train))) == n_users


def test_latest_small_negatives_are_never_rated(latest_small):
    ratings = pd.read_csv(LATEST_SMALL / "ratings.csv")
    rated = ratings.groupby("userId")["movieId"].agg(set)
    for name in SPLITS:
        rows = latest_small[name].to_pylist()
        for row, target in zip(rows, targets_of(latest_small[name]), strict=True):
            assert len(set(row["candidates"])) == len(row["candidates"])
            assert rated[row["user_id"]].intersection(row["candidates"]) == {target}


def test_latest_small_histories_contain_earlier_clicks_only(latest_small):
    ratings = pd.read_csv(LATEST_SMALL / "ratings.csv")
    clicks = ratings[ratings["rating"] >= 4].sort_values(["timestamp", "movieId"])
    clicks_of = clicks.groupby("userId")["movieId"].agg(list)
    for name in SPLITS:
        rows = latest_small[name].to_pylist()
        for row, target in zip(rows, targets_of(latest_small[name]), strict=True):
            mine = clicks_of[row["user_id"]]
            stop = mine.index(row["history"][-1]) + 1
            assert mine[max(0, stop - 50) : stop] == row["history"]
            assert mine.index(target) >= stop


def test_latest_small_test_is_later_than_train(latest_small):
    times = {
        name: latest_small[name].select(["user_id", "time"]).to_pandas().groupby("user_id")["time"]
        for name in SPLITS
    }
    assert (times["train"].max() <= times["valid"].min()).all()
    assert (times["valid"].max() <= times["test"].min()).all()


def test_latest_small_columns_have_one_value_per_item(latest_small):
    items = latest_small.items
    titles = items.column("title").to_pylist()
    assert "Léon: The Professional (a.k.a. The Professional) (Léon)" in titles
    assert "11'09\"01 - September 11" in titles
    assert items.column("year").null_count == 4
    assert sum(not genres for genres in items.column("genres").to_pylist()) == 18
