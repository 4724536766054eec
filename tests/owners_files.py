"""Small files in the formats and under the names that data sets' owners give them."""

import gzip
import io
import json
import tarfile
import zipfile

# user, item and time of each click
EVENTS = [(user, (user + n) % 12, n) for user in range(8) for n in range(8)]


def movielens_zip(lowest=4):
    """Ratings as GroupLens publishes ml-1m.zip: 30 films of two genres, each user likes one."""
    films = [f"{n}::Film {n} (1999)::{'Drama' if n % 2 else 'Comedy'}" for n in range(30)]
    ratings = [
        f"{user}::{(2 * n + user) % 30}::{lowest + n % 2}::{100 * n + user}"
        for user in range(40)
        for n in range(10)
    ]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ml-1m/movies.dat", "\n".join(films) + "\n")
        archive.writestr("ml-1m/ratings.dat", "\n".join(ratings) + "\n")
    return packed.getvalue()


def json_lines(rows):
    return gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())


def amazon_files():
    reviews = [
        {"user_id": f"u{u}", "parent_asin": f"a{i}", "rating": 5.0, "timestamp": 1000 * n}
        for u, i, n in EVENTS
    ]
    products = [
        {"parent_asin": f"a{i}", "title": f"Thing {i}", "description": [], "categories": ["x"]}
        for i in range(12)
    ]
    return {"Books.jsonl.gz": json_lines(reviews), "meta_Books.jsonl.gz": json_lines(products)}


def amazon_2018_files():
    reviews = [
        {"reviewerID": f"u{u}", "asin": f"a{i}", "overall": 5.0, "unixReviewTime": n}
        for u, i, n in EVENTS
    ]
    products = [{"asin": f"a{i}", "title": f"Thing {i}", "category": ["x"]} for i in range(12)]
    return {"Books_5.json.gz": json_lines(reviews), "meta_Books.json.gz": json_lines(products)}


def goodreads_files(ending):
    events = [
        {
            "user_id": f"u{u}",
            "book_id": str(i),
            "rating": 5,
            "date_updated": f"Mon Aug 01 13:41:{n:02d} -0700 2011",
        }
        for u, i, n in EVENTS
    ]
    books = [
        {"book_id": str(i), "title": f"Book {i}", "popular_shelves": [{"name": "x"}]}
        for i in range(12)
    ]
    books_name, events_name = ending
    return {
        f"{books_name}.json.gz": json_lines(books),
        f"{events_name}.json.gz": json_lines(events),
    }


def microlens_files():
    pairs = "user,item,timestamp\n" + "".join(f"{u},{i},{n}\n" for u, i, n in EVENTS)
    titles = "item,title\n" + "".join(f"{i},Video {i}\n" for i in range(12))
    return {
        "MicroLens-50k_pairs.csv": pairs.encode(),
        "MicroLens-50k_titles.csv": titles.encode(),
    }


def lastfm_files():
    plays = "".join(f"u{u}\tm{i}\tartist {i}\t{n + 1}\n" for u, i, n in EVENTS).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("lastfm-dataset-360K/usersha1-artmbid-artname-plays.tsv")
        info.size = len(plays)
        archive.addfile(info, io.BytesIO(plays))
    return {"lastfm-dataset-360K.tar.gz": packed.getvalue()}


def hotelrec_files():
    reviews = [
        {
            "author": f"u{u}",
            "hotel_url": f"Hotel_Review-g1-d{i}-Reviews-Inn_{i}-Town_{i}.html",
            "rating": 5.0,
            "date": f"2018-01-{n + 1:02d}T00:00:00",
        }
        for u, i, n in EVENTS
    ]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("HotelRec.txt", "".join(json.dumps(row) + "\n" for row in reviews))
    return {"Full_HotelRec.zip": packed.getvalue()}


def mind_files():
    news = "".join(f"N{i}\tnews\tx\tTitle {i}\tText\thttps://x\t[]\t[]\n" for i in range(12))
    shown = "".join(
        f"{n + 1}\tU{n % 4}\t11/{10 + n}/2019 9:05:58 AM\tN1 N2\tN3-1 N4-0\n" for n in range(6)
    )
    found = {}
    for part in ("train", "dev"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("news.tsv", news)
            archive.writestr("behaviors.tsv", shown)
        found[f"MINDdemo_{part}.zip"] = packed.getvalue()
    return found


def xmind_files():
    found = mind_files()
    for part in ("train", "dev"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            news = "".join(f"N{i}\tKichwa {i}\tMaandishi\n" for i in range(12))
            archive.writestr(f"xMINDsmall_{part}/news.tsv", news)
        found[f"MINDsmall_{part}.zip"] = found.pop(f"MINDdemo_{part}.zip")
        found[f"xMINDsmall_{part}.zip"] = packed.getvalue()
    return found


def adressa_files():
    events = [
        {"userId": f"cx:{u}", "time": 1_483_225_200 + n, "id": f"a{i}", "title": f"Sak {i}"}
        | {"category1": "nyheter", "keywords": "by"}
        for u, i, n in EVENTS
    ]
    lines = "".join(json.dumps(event) + "\n" for event in events).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("one_week/20170101")
        info.size = len(lines)
        archive.addfile(info, io.BytesIO(lines))
    return {"one_week.tar.gz": packed.getvalue()}
