"""Small files in the formats of their owners, all with the same events."""

import gzip
import json
from functools import partial

import numpy as np

from skrec.datasets import (
    read_amazon,
    read_goodreads,
    read_hm,
    read_hotelrec,
    read_lastfm,
    read_microlens,
    read_netflix,
    read_yelp,
)

N_USERS, N_ITEMS = 6, 40
NO_TIMES = ("lastfm", "lastfm msd")
DAYS = ("hm", "netflix")  # data sets whose times are days; the clicks of a day are sorted by id
SETTINGS = {"min_clicks": 5, "n_negatives_eval": 5, "n_negatives": 2}


def events():
    """Return events in the order of time: user, item, stars (1 to 5), second."""
    rng = np.random.default_rng(0)
    return [
        (user, int(item), int(rng.integers(1, 6)) if at > 7 else 5, 1_600_000_000 + 60 * at)
        for user in range(N_USERS)
        for at, item in enumerate(rng.permutation(N_ITEMS)[:12])
    ]


def json_lines(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def csv_lines(path, *rows):
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def amazon_2018(folder):
    json_lines(
        folder / "meta_Video_Games.json.gz",
        [
            {
                "asin": f"B{i:03}",
                "title": f"Game {i}",
                "description": ["A game.", "Second part."],
                "brand": f"Brand {i % 3}",
                "category": ["Video Games", f"Shelf {i % 4}"],
                "price": "$1.99",
                "details": {"a": "b"},
            }
            for i in range(N_ITEMS)
        ]
        + [{"asin": "B000", "title": "Game 0 again"}],  # some products occur twice
    )
    json_lines(
        folder / "Video_Games_5.json.gz",
        [
            {
                "overall": float(stars),
                "verified": True,
                "reviewTime": "10 17, 2015",
                "reviewerID": f"A{user}",
                "asin": f"B{item:03}",
                "reviewText": "fun",
                "unixReviewTime": second,
            }
            for user, item, stars, second in events()
        ]
        + [{"overall": 5.0, "reviewerID": "A0", "asin": "GONE", "unixReviewTime": 1}],
    )


def amazon_2023(folder):
    json_lines(
        folder / "meta_Video_Games.jsonl",
        [
            {
                "main_category": "Video Games",
                "title": f"Game {i}",
                "features": [],
                "description": ["A game.", "Second part."],
                "price": None,
                "store": f"Brand {i % 3}",
                "categories": ["Video Games", f"Shelf {i % 4}"],
                "parent_asin": f"B{i:03}",
            }
            for i in range(N_ITEMS)
        ],
    )
    json_lines(
        folder / "Video_Games.jsonl",
        [
            {
                "rating": float(stars),
                "title": "fun",
                "asin": f"X{item}",
                "parent_asin": f"B{item:03}",
                "user_id": f"A{user}",
                "timestamp": second * 1000 + 7,
            }
            for user, item, stars, second in events()
        ],
    )


def yelp(folder):
    json_lines(
        folder / "yelp_academic_dataset_business.json",
        [
            {
                "business_id": f"B{i:03}",
                "name": f"Café {i}",
                "city": "Tucson",
                "state": "AZ",
                "stars": 4.5,
                "attributes": None,
                "categories": "Food, Coffee & Tea" if i else None,
            }
            for i in range(N_ITEMS)
        ],
    )
    json_lines(
        folder / "yelp_academic_dataset_review.json",
        [
            {
                "review_id": f"r{user}{item}",
                "user_id": f"A{user}",
                "business_id": f"B{item:03}",
                "stars": float(stars),
                "text": "good\ncoffee",
                "date": str(np.datetime64(second, "s")).replace("T", " "),
            }
            for user, item, stars, second in events()
        ],
    )


def goodreads(folder):
    json_lines(
        folder / "goodreads_books_poetry.json.gz",
        [
            {
                "book_id": f"B{i:03}",
                "title": f"Poems {i}",
                "description": "",
                "publisher": "Faber",
                "language_code": "eng",
                "popular_shelves": [{"count": "9", "name": f"shelf {n}"} for n in range(i % 8)],
                "authors": [{"author_id": "1", "role": ""}],
            }
            for i in range(N_ITEMS)
        ],
    )
    json_lines(
        folder / "goodreads_interactions_poetry.json.gz",
        [
            {
                "user_id": f"A{user}",
                "book_id": f"B{item:03}",
                "is_read": True,
                "rating": stars,
                "date_added": "Mon Aug 01 13:41:57 -0700 2011",
                # 7 hours west of Greenwich
                "date_updated": (
                    np.datetime64(second - 7 * 3600, "s")
                    .astype(object)
                    .strftime("%a %b %d %H:%M:%S -0700 %Y")
                ),
            }
            for user, item, stars, second in events()
        ],
    )


HM = [
    *("prod_name", "product_type_name", "product_group_name", "graphical_appearance_name"),
    *("colour_group_name", "department_name", "index_name", "section_name"),
    *("garment_group_name", "detail_desc"),
]


def hm(folder):
    csv_lines(
        folder / "articles.csv",
        ",".join(["article_id", "product_code", *HM]),
        *(
            f'0{i + 100},0{i},Strap top,Vest,Upper,Solid,Black,Jersey,"Ladies, all",Basics,Jersey,'
            f'"Top ""{i}"", soft"'
            for i in range(N_ITEMS)
        ),
    )
    csv_lines(
        folder / "transactions_train.csv",
        "t_dat,customer_id,article_id,price,sales_channel_id",
        *(
            f"{np.datetime64(second, 's').astype('datetime64[D]')},A{user},0{item + 100},0.05,2"
            for user, item, _, second in events()
        ),
    )


def microlens(folder):
    csv_lines(
        folder / "MicroLens-100k_title_en.csv",
        *(f'{i + 100},"A title, {i}"' if i % 2 else f"{i + 100},A title" for i in range(N_ITEMS)),
    )
    csv_lines(
        folder / "MicroLens-100k_pairs.csv",
        "user,item,timestamp",
        *(f"{user},{item + 100},{second}123" for user, item, _, second in events()),
    )


def netflix(folder):
    text = "".join(f"{i + 100},{1990 + i if i else 'NULL'},Été, part {i}\n" for i in range(N_ITEMS))
    (folder / "movie_titles.csv").write_bytes(text.encode("latin-1"))
    parts = {1: range(20), 2: range(20, N_ITEMS)}
    for part, items in parts.items():
        lines = []
        for item in items:
            lines.append(f"{item + 100}:")
            lines += [
                f"{user},{stars},{np.datetime64(second, 's').astype('datetime64[D]')}"
                for user, met, stars, second in events()
                if met == item
            ]
        csv_lines(folder / f"combined_data_{part}.txt", *lines)


def hotelrec(folder):
    json_lines(
        folder / "HotelRec.txt",
        [
            {
                "hotel_url": f"Hotel_Review-g{item % 3}-d{item + 100}"
                f"-Reviews-Hotel_{item}-Rome_Lazio.html",
                "author": f"A{user}",
                "date": str(np.datetime64(second, "s")),
                "rating": float(stars),
                "title": "good",
                "text": 'bed\nand "breakfast"',
                "property_dict": {"sleep quality": 4.0},
            }
            for user, item, stars, second in [*events(), *((99, i, 1, 5) for i in range(N_ITEMS))]
        ],
    )


def artist_of(item):
    """Return the id and name of an artist. Some artists have no id."""
    return ("", f"B{item:03}") if item % 2 else (f"B{item:03}", "Björk")


def lastfm(folder):
    csv_lines(
        folder / "usersha1-artmbid-artname-plays.tsv",
        *(
            "\t".join([f"A{user}", *artist_of(item), f" {stars}"])
            for user, item, stars, _ in [*events(), *((99, i, 1, 5) for i in range(N_ITEMS))]
        ),
    )


def lastfm_msd(folder):
    csv_lines(
        folder / "unique_tracks.txt",
        *(f"TR{i}<SEP>B{i:03}<SEP>Björk<SEP>Song, {i}" for i in range(N_ITEMS)),
        "TR99<SEP>B000<SEP>Björk<SEP>Song 0, again",  # a song has several tracks
    )
    csv_lines(
        folder / "train_triplets.txt",
        *(f"A{user}\tB{item:03}\t{plays}" for user, item, plays, _ in events()),
    )


def lastfm_1k(folder):
    """Write one line per play, latest first. Songs are played several times, some have no id."""
    plays = [(0, 0, 0, 1_700_000_000), (0, 1, 0, 1_700_000_001)]
    plays += [(user, item, stars, at + 999) for user, item, stars, at in events() if item % 5]
    plays += [(50 + item // 4, item, 1, item) for item in range(N_ITEMS)]  # too few clicks each
    csv_lines(
        folder / "userid-timestamp-artid-artname-traid-traname.tsv",
        *(
            "\t".join([f"A{user}", f"{np.datetime64(second, 's')}Z", "", "Björk", *song])
            for user, item, stars, second in [*plays[::-1], *events()[::-1]]
            for song in [(f"B{item:03}" if stars else "", f'"Song, {item}')]
        ),
    )


FAMILIES = {
    "amazon 2018": (amazon_2018, read_amazon, True),
    "amazon 2023": (amazon_2023, read_amazon, True),
    "yelp": (yelp, read_yelp, True),
    "goodreads": (goodreads, read_goodreads, True),
    "hm": (hm, read_hm, False),
    "microlens": (microlens, read_microlens, False),
    "netflix": (netflix, read_netflix, True),
    "hotelrec": (hotelrec, read_hotelrec, True),
    "lastfm": (lastfm, partial(read_lastfm, threshold=4), False),
    "lastfm 1k": (lastfm_1k, read_lastfm, False),
    "lastfm msd": (lastfm_msd, partial(read_lastfm, threshold=4), False),
}
