"""Where owners publish their data, and under what terms."""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """A family of data sets.

    Parameters
    ----------
    title : str
        What it is called.
    licence : str
        Its terms, in a few words.
    terms : str
        The address of the terms.
    page : str
        The owner's page.
    """

    title: str
    licence: str
    terms: str
    page: str


class File(NamedTuple):
    """A file of a data set.

    Parameters
    ----------
    folder : str
        The address of its folder.
    name : str
        Its name there and in `data_home`.
    md5, sha256 : str, default=None
        Its checksum, where that is known.
    md5_beside : bool, default=False
        Whether the owner may have ``<name>.md5`` beside it.
    """

    folder: str
    name: str
    md5: str | None = None
    sha256: str | None = None
    md5_beside: bool = False


_GROUPLENS = "https://files.grouplens.org/datasets/movielens"
_UCSD = "https://mcauleylab.ucsd.edu/public_datasets"
_WESTLAKE = "https://recsys.westlake.edu.cn"
_XMIND = "https://github.com/andreeaiana/xMIND/raw/main/xMIND"
_MIND = "https://huggingface.co/datasets/Recommenders/MIND/resolve/main"
FAMILIES = {
    "adressa": Family(
        "Adressa",
        "CC BY-NC-SA 4.0: for research, not for commercial use",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "https://reclab.idi.ntnu.no/dataset/",
    ),
    "amazon": Family(
        "Amazon reviews",
        "for research; the collectors name no licence",
        "https://amazon-reviews-2023.github.io/",
        "https://amazon-reviews-2023.github.io/ and https://nijianmo.github.io/amazon/",
    ),
    "goodreads": Family(
        "Goodreads",
        "for academic use; not to be passed on, not for commercial use",
        "https://mengtingwan.github.io/data/goodreads",
        "https://mengtingwan.github.io/data/goodreads",
    ),
    "hotelrec": Family(
        "HotelRec",
        "for research; see the repository",
        "https://github.com/Diego999/HotelRec",
        "https://github.com/Diego999/HotelRec",
    ),
    "lastfm": Family(
        "Last.fm 360K",
        "for non-commercial use",
        "https://zenodo.org/records/6090214",
        "https://zenodo.org/records/6090214",
    ),
    "microlens": Family(
        "MicroLens",
        "for research, not for commercial use",
        "https://github.com/westlake-repl/MicroLens",
        "https://github.com/westlake-repl/MicroLens",
    ),
    "mind": Family(
        "MIND",
        "Microsoft Research License Terms: for research, not for commercial use",
        "https://github.com/msnews/MIND/blob/master/MSR%20License_Data.pdf",
        "https://msnews.github.io/ and https://huggingface.co/datasets/Recommenders/MIND",
    ),
    "movielens": Family(
        "MovieLens",
        "for research; not for commercial use without permission of GroupLens, and not to be "
        "passed on except under the terms in the README of the data",
        "https://grouplens.org/datasets/movielens/",
        "https://grouplens.org/datasets/movielens/",
    ),
    "xmind": Family(
        "xMIND",
        "CC BY-NC-SA 4.0 (the translations)",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "https://github.com/andreeaiana/xMIND",
    ),
}
# GroupLens publishes these MD5s beside the files; the others change from time to time.
_MOVIELENS_MD5 = {
    "100k": "0e33842e24a9c977be4e0107933c0723",
    "1m": "c4d9eecfca2ab87c1945afe126590906",
    "10m": "ce571fd55effeba0271552578f2648bd",
    "20m": "cd245b17a1ae2cc31bb14903e1204af3",
    "25m": "6b51fb2759a8657d3bfcbfc42b592ada",
    "32m": "d472be332d4daa821edc399621853b57",
    "latest": None,
    "latest-small": None,
}
MOVIELENS = {
    version: [File(_GROUPLENS, f"ml-{version}.zip", md5, md5_beside=md5 is None)]
    for version, md5 in _MOVIELENS_MD5.items()
}
MIND = {
    version: [File(_MIND, f"MIND{version}_{part}.zip") for part in parts]
    for version, parts in {
        "demo": ["train", "dev"],
        "small": ["train", "dev"],
        "large": ["train", "dev", "test"],
    }.items()
}
_LANGUAGES = "cmn fin grn hat ind jpn kat ron som swh tam tha tur vie".split()
XMIND = {
    version: {
        language: [File(f"{_XMIND}/{language}", f"x{file.name}") for file in MIND[version]]
        for language in _LANGUAGES
    }
    for version in ("small", "large")
}
ADRESSA = {
    version: [File("https://reclab.idi.ntnu.no/dataset", f"{version}.tar.gz")]
    for version in ("one_week", "three_month")
}
MICROLENS = {
    "50k": [
        File(f"{_WESTLAKE}/MicroLens-50k-Dataset", f"MicroLens-50k_{name}.csv")
        for name in ("pairs", "titles")
    ],
    "100k": [
        File(f"{_WESTLAKE}/MicroLens-100k-Dataset", f"MicroLens-100k_{name}.csv")
        for name in ("pairs", "title_en")
    ],
}
LASTFM = [
    File(
        "https://zenodo.org/records/6090214/files",
        "lastfm-dataset-360K.tar.gz",
        "635e6ed3fc873aa4ba33aba0ebce02b1",
    )
]
HOTELREC = [File("http://lia.epfl.ch/Datasets", "Full_HotelRec.zip")]
# The owners publish no checksums. These SHA-256 are those that a public library of loaders,
# OmniRec, has of the interactions.
_GENRES = {
    "children": "d8ce59259e45262b3322bd87f5c2a13228cd8bb659332414a05660aed7cd7c71",
    "comics_graphic": "b55fbe66c2c802cefad5051808724d5074e342d6a4004309595a972702a62f4d",
    "fantasy_paranormal": "ec6a2444c13aa05b056988ac2671c5d643883c9aca0d8f9e46e413fc5773fa4b",
    "history_biography": "c08c7ebe477807556d4f92b75ba146916f2ae49e3ed269e3966fd9ca4ce517ca",
    "mystery_thriller_crime": "9c3c179ce5e5612cf72dc7aa2e570b49ab655b42a44cb8e9ddd5697393c43c4f",
    "poetry": "65fb9777f5e482695f0e4b71ef9884f6a7e5ab31c224dabc7ae0c2dcd60e49de",
    "romance": "3dde6e1dae8ebb7384f849e4378f5f294cbd6385abeac238aea2ce7e66e0faf0",
    "young_adult": "6d03182383f10e1eec36ac0a972533806518e2a082089867e3deb941ed77d6c4",
}
_BOOKS = f"{_UCSD}/gdrive/goodreads"
GOODREADS = {
    genre: [
        File(f"{_BOOKS}/byGenre", f"goodreads_books_{genre}.json.gz"),
        File(f"{_BOOKS}/byGenre", f"goodreads_interactions_{genre}.json.gz", sha256=sha256),
    ]
    for genre, sha256 in _GENRES.items()
} | {
    "all": [
        File(_BOOKS, "goodreads_books.json.gz"),
        File(_BOOKS, "goodreads_interactions_dedup.json.gz"),
    ]
}
_COMMON = """
All_Beauty Appliances Arts_Crafts_and_Sewing Automotive Books CDs_and_Vinyl
Cell_Phones_and_Accessories Clothing_Shoes_and_Jewelry Digital_Music Electronics Gift_Cards
Grocery_and_Gourmet_Food Home_and_Kitchen Industrial_and_Scientific Kindle_Store
Magazine_Subscriptions Movies_and_TV Musical_Instruments Office_Products Patio_Lawn_and_Garden
Pet_Supplies Software Sports_and_Outdoors Tools_and_Home_Improvement Toys_and_Games Video_Games
""".split()
_OF_2018 = ["AMAZON_FASHION", "Luxury_Beauty", "Prime_Pantry"]
_OF_2023 = """
Amazon_Fashion Baby_Products Beauty_and_Personal_Care Handmade_Products Health_and_Household
Health_and_Personal_Care Subscription_Boxes Unknown
""".split()
_AMAZON_2018, _AMAZON_2023 = f"{_UCSD}/data/amazon_v2", f"{_UCSD}/data/amazon_2023/raw"
AMAZON = {
    "2018": {
        name: [
            File(f"{_AMAZON_2018}/categoryFilesSmall", f"{name}_5.json.gz"),
            File(f"{_AMAZON_2018}/metaFiles2", f"meta_{name}.json.gz"),
        ]
        for name in sorted(_COMMON + _OF_2018)
    },
    "2023": {
        name: [
            File(f"{_AMAZON_2023}/review_categories", f"{name}.jsonl.gz"),
            File(f"{_AMAZON_2023}/meta_categories", f"meta_{name}.jsonl.gz"),
        ]
        for name in sorted(_COMMON + _OF_2023)
    },
}
