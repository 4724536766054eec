"""Where owners publish their data, under what terms, and what of it is in `data_home`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from skrec.datasets._download import (
    check_retries,
    download,
    is_there,
    published_md5,
    unusable,
)
from skrec.datasets._home import get_data_home
from skrec.datasets._transfer import check_url, say


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
    md5 : str, default=None
        Its MD5, where that is known.
    md5_beside : bool, default=False
        Whether the owner may have ``<name>.md5`` beside it.
    """

    folder: str
    name: str
    md5: str | None = None
    md5_beside: bool = False


_GROUPLENS = "https://files.grouplens.org/datasets/movielens"
_UCSD = "https://mcauleylab.ucsd.edu/public_datasets"
_WESTLAKE = "https://recsys.westlake.edu.cn"
_MIND = "https://huggingface.co/datasets/Recommenders/MIND/resolve/main"

FAMILIES = {
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

_GENRES = (
    *("children", "comics_graphic", "fantasy_paranormal", "history_biography"),
    *("mystery_thriller_crime", "poetry", "romance", "young_adult"),
)
GOODREADS = {
    genre: [
        File(f"{_UCSD}/gdrive/goodreads/byGenre", f"goodreads_{name}_{genre}.json.gz")
        for name in ("books", "interactions")
    ]
    for genre in _GENRES
} | {
    "all": [
        File(f"{_UCSD}/gdrive/goodreads", f"goodreads_{name}.json.gz")
        for name in ("books", "interactions_dedup")
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


def choose(parameter: str, value: Any, table: Iterable[str]) -> str:
    """Return a value that a table has; a ValueError otherwise."""
    allowed = list(table)
    if value not in allowed:
        raise ValueError(f"{parameter} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def fetch_files(
    family: str,
    version: str,
    files: Sequence[File],
    *,
    data_home: str | os.PathLike[str] | None,
    download_if_missing: bool,
    n_retries: int,
    delay: float,
    url: str | None,
    verbose: bool,
) -> Path:
    """Bring those files of a data set that are not in `data_home`.

    Parameters
    ----------
    family, version : str
        Names of the folders below `data_home`.
    files : sequence of File
    data_home : str, path-like or None
    download_if_missing : bool
    n_retries : int
    delay : float
    url : str or None
        The address of another folder with files of these names.
    verbose : bool
        Whether the licence and progress are printed.

    Returns
    -------
    Path
        The folder with the files.

    Raises
    ------
    OSError
        Where a file is missing and is not to be downloaded, and as `download` does.
    """
    check_retries(n_retries, delay)
    if url is not None:
        check_url(url)
    try:
        folder = get_data_home(data_home) / family / version
    except OSError as error:
        raise unusable(Path(error.filename or str(data_home)), error) from error
    known = {file.name: {"md5": file.md5} if file.md5 else {} for file in files}
    missing = [file for file in files if not is_there(folder / file.name, **known[file.name])]
    if not missing:
        return folder
    about = FAMILIES[family]
    names = ", ".join(file.name for file in missing)
    if not download_if_missing:
        raise OSError(
            f"{about.title}: no {names} in '{folder}', and download_if_missing is False; they are "
            f"at {about.page}"
        )
    say(f"{about.title}: {about.licence}. The terms: {about.terms}", verbose)
    for file in missing:
        address = f"{(url or file.folder).rstrip('/')}/{file.name}"
        md5 = file.md5
        if md5 is None and file.md5_beside:
            md5 = published_md5(f"{address}.md5", n_retries=n_retries, delay=delay)
        download(
            address,
            folder / file.name,
            md5=md5,
            n_retries=n_retries,
            delay=delay,
            help=f"See {about.page}: url= takes the address of another folder that has "
            f"{file.name}, or put the file into '{folder}'.",
            verbose=verbose,
        )
    return folder


def folder_with(root: Path, pattern: str) -> Path:
    """Return the folder below another that holds a file of this name."""
    found = sorted(path.parent for path in root.rglob(pattern) if path.is_file())
    if not found:
        inside = ", ".join(sorted(path.name for path in root.iterdir())[:10]) or "nothing"
        raise FileNotFoundError(f"no {pattern} below '{root}', which holds {inside}")
    return found[0]
