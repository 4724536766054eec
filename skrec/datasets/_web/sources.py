"""The table of the data sets that can be downloaded: owners, licenses, addresses and checksums."""

from __future__ import annotations

from typing import Any, NamedTuple


class File(NamedTuple):
    """A file of a data set.

    Parameters
    ----------
    folder : str
        Address of the folder that contains the file.
    name : str
        Name of the file, there and in `data_home`.
    checksum : str, default="sha256:"
        Checksum, as ``"md5:<digits>"`` or ``"sha256:<digits>"``. ``"md5:"`` means that the digits
        are in the file ``<name>.md5`` on the server. ``"sha256:"`` means that nobody publishes
        them: those of the first download are recorded, and later downloads must match them.
    member : str, default=""
        Pattern of the name of a file in an archive. If it is given, the archive is unpacked.
    """

    folder: str
    name: str
    checksum: str = "sha256:"
    member: str = ""


class Source(NamedTuple):
    """A family of data sets.

    Parameters
    ----------
    title : str
        Name of the family.
    license : str
        Terms of use, in a few words.
    terms : str
        Address of the terms.
    page : str
        Address of the owner's page.
    files : dict
        Lists of files by version. If there is a second parameter, by version and this parameter.
    """

    title: str
    license: str
    terms: str
    page: str
    files: Any


_UCSD = "https://mcauleylab.ucsd.edu/public_datasets"

_MIND_PARTS = {
    "demo": ["train", "dev"],
    "small": ["train", "dev"],
    "large": ["train", "dev", "test"],
}
_XMIND_LANGUAGES = "cmn fin grn hat ind jpn kat ron som swh tam tha tur vie".split()
# GroupLens publishes the MD5s. The files of the last two versions change from time to time.
_MOVIELENS_MD5 = {
    "100k": "0e33842e24a9c977be4e0107933c0723",
    "1m": "c4d9eecfca2ab87c1945afe126590906",
    "10m": "ce571fd55effeba0271552578f2648bd",
    "20m": "cd245b17a1ae2cc31bb14903e1204af3",
    "25m": "6b51fb2759a8657d3bfcbfc42b592ada",
    "32m": "d472be332d4daa821edc399621853b57",
    "latest": "",
    "latest-small": "",
}
# The owners publish no checksums. OmniRec, a public library of loaders, has these SHA-256s of the
# interactions.
_GOODREADS_SHA256 = {
    "children": "d8ce59259e45262b3322bd87f5c2a13228cd8bb659332414a05660aed7cd7c71",
    "comics_graphic": "b55fbe66c2c802cefad5051808724d5074e342d6a4004309595a972702a62f4d",
    "fantasy_paranormal": "ec6a2444c13aa05b056988ac2671c5d643883c9aca0d8f9e46e413fc5773fa4b",
    "history_biography": "c08c7ebe477807556d4f92b75ba146916f2ae49e3ed269e3966fd9ca4ce517ca",
    "mystery_thriller_crime": "9c3c179ce5e5612cf72dc7aa2e570b49ab655b42a44cb8e9ddd5697393c43c4f",
    "poetry": "65fb9777f5e482695f0e4b71ef9884f6a7e5ab31c224dabc7ae0c2dcd60e49de",
    "romance": "3dde6e1dae8ebb7384f849e4378f5f294cbd6385abeac238aea2ce7e66e0faf0",
    "young_adult": "6d03182383f10e1eec36ac0a972533806518e2a082089867e3deb941ed77d6c4",
}
_AMAZON_COMMON = """
All_Beauty Appliances Arts_Crafts_and_Sewing Automotive Books CDs_and_Vinyl
Cell_Phones_and_Accessories Clothing_Shoes_and_Jewelry Digital_Music Electronics Gift_Cards
Grocery_and_Gourmet_Food Home_and_Kitchen Industrial_and_Scientific Kindle_Store
Magazine_Subscriptions Movies_and_TV Musical_Instruments Office_Products Patio_Lawn_and_Garden
Pet_Supplies Software Sports_and_Outdoors Tools_and_Home_Improvement Toys_and_Games Video_Games
""".split()
_AMAZON_ONLY_2018 = ["AMAZON_FASHION", "Luxury_Beauty", "Prime_Pantry"]
_AMAZON_ONLY_2023 = """
Amazon_Fashion Baby_Products Beauty_and_Personal_Care Handmade_Products Health_and_Household
Health_and_Personal_Care Subscription_Boxes Unknown
""".split()

SOURCES = {
    "adressa": Source(
        "Adressa",
        "CC BY-NC-SA 4.0: for research, not for commercial use",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "https://reclab.idi.ntnu.no/dataset/",
        {
            version: [File("https://reclab.idi.ntnu.no/dataset", f"{version}.tar.gz")]
            for version in ("one_week", "three_month")
        },
    ),
    "amazon": Source(
        "Amazon reviews",
        "for research; the collectors name no license",
        "https://amazon-reviews-2023.github.io/",
        "https://amazon-reviews-2023.github.io/ and https://nijianmo.github.io/amazon/",
        {
            "2018": {
                name: [
                    File(f"{_UCSD}/data/amazon_v2/categoryFilesSmall", f"{name}_5.json.gz"),
                    File(f"{_UCSD}/data/amazon_v2/metaFiles2", f"meta_{name}.json.gz"),
                ]
                for name in sorted(_AMAZON_COMMON + _AMAZON_ONLY_2018)
            },
            "2023": {
                name: [
                    File(f"{_UCSD}/data/amazon_2023/raw/review_categories", f"{name}.jsonl.gz"),
                    File(f"{_UCSD}/data/amazon_2023/raw/meta_categories", f"meta_{name}.jsonl.gz"),
                ]
                for name in sorted(_AMAZON_COMMON + _AMAZON_ONLY_2023)
            },
        },
    ),
    "goodreads": Source(
        "Goodreads",
        "for academic use; not to be passed on, not for commercial use",
        "https://mengtingwan.github.io/data/goodreads",
        "https://mengtingwan.github.io/data/goodreads",
        {
            genre: [
                File(f"{_UCSD}/gdrive/goodreads/byGenre", f"goodreads_books_{genre}.json.gz"),
                File(
                    f"{_UCSD}/gdrive/goodreads/byGenre",
                    f"goodreads_interactions_{genre}.json.gz",
                    f"sha256:{sha256}",
                ),
            ]
            for genre, sha256 in _GOODREADS_SHA256.items()
        }
        | {
            "all": [
                File(f"{_UCSD}/gdrive/goodreads", "goodreads_books.json.gz"),
                File(f"{_UCSD}/gdrive/goodreads", "goodreads_interactions_dedup.json.gz"),
            ]
        },
    ),
    "hotelrec": Source(
        "HotelRec",
        "for research; see the repository",
        "https://github.com/Diego999/HotelRec",
        "https://github.com/Diego999/HotelRec",
        {"full": [File("https://lia.epfl.ch/Datasets", "Full_HotelRec.zip", member="HotelRec*.*")]},
    ),
    "lastfm": Source(
        "Last.fm 360K",
        "for non-commercial use",
        "https://zenodo.org/records/6090214",
        "https://zenodo.org/records/6090214",
        {
            "360k": [
                File(
                    "https://zenodo.org/records/6090214/files",
                    "lastfm-dataset-360K.tar.gz",
                    "md5:635e6ed3fc873aa4ba33aba0ebce02b1",
                    member="usersha1-*.tsv",
                )
            ]
        },
    ),
    "microlens": Source(
        "MicroLens",
        "for research, not for commercial use",
        "https://github.com/westlake-repl/MicroLens",
        "https://github.com/westlake-repl/MicroLens",
        {
            version: [
                File(
                    f"https://recsys.westlake.edu.cn/MicroLens-{version}-Dataset",
                    f"MicroLens-{version}_{name}.csv",
                )
                for name in names
            ]
            for version, names in {
                "50k": ["pairs", "titles"],
                "100k": ["pairs", "title_en"],
            }.items()
        },
    ),
    "mind": Source(
        "MIND",
        "Microsoft Research License Terms: for research, not for commercial use",
        "https://github.com/msnews/MIND/blob/master/MSR%20License_Data.pdf",
        "https://msnews.github.io/ and https://huggingface.co/datasets/Recommenders/MIND",
        {
            version: [
                File(
                    "https://huggingface.co/datasets/Recommenders/MIND/resolve/main",
                    f"MIND{version}_{part}.zip",
                )
                for part in parts
            ]
            for version, parts in _MIND_PARTS.items()
        },
    ),
    "movielens": Source(
        "MovieLens",
        "for research; not for commercial use without permission of GroupLens, and not to be "
        "passed on except under the terms in the README of the data",
        "https://grouplens.org/datasets/movielens/",
        "https://grouplens.org/datasets/movielens/",
        {
            version: [
                File(
                    "https://files.grouplens.org/datasets/movielens",
                    f"ml-{version}.zip",
                    f"md5:{md5}",
                )
            ]
            for version, md5 in _MOVIELENS_MD5.items()
        },
    ),
    "xmind": Source(
        "xMIND",
        "CC BY-NC-SA 4.0 (the translations)",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "https://github.com/andreeaiana/xMIND",
        {
            version: {
                language: [
                    File(
                        f"https://github.com/andreeaiana/xMIND/raw/main/xMIND/{language}",
                        f"xMIND{version}_{part}.zip",
                    )
                    for part in _MIND_PARTS[version]
                ]
                for language in _XMIND_LANGUAGES
            }
            for version in ("small", "large")
        },
    ),
}
