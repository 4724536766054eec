"""MIND: news of MSN, and what readers were shown and clicked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.checks import check_count
from skrec._data.arrow import lists
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.copies import kept_copy
from skrec.datasets._files.files import find_folder, opened
from skrec.datasets._files.reading import Reading

_FILES = {"MIND": ("behaviors.tsv", "news.tsv")}
_SIZE = re.compile(r"demo|small|large", re.IGNORECASE)
_PARTS = {"train": r"train", "test": r"dev|valid", "unlabelled": r"test"}
_NEWS = [
    *("item_id", "category", "subcategory", "title", "abstract"),
    *("url", "title_entities", "abstract_entities"),
]
_BEHAVIORS = {
    "impression_id": pa.int64(),
    "user_id": pa.string(),
    "time": pa.string(),
    "history": pa.string(),
    "impressions": pa.string(),
}
_TIME = "%m/%d/%Y %I:%M:%S %p"

_DESCR = """\
MIND, the Microsoft News Dataset, as impressions
------------------------------------------------
News and the behaviour of readers of MSN News in six weeks of 2019, read from
{source}

Items        {n_items} news: title, abstract, category, subcategory
Train        {n_train} impressions of the file train, without its last {valid_days} day(s)
Valid        {n_valid} impressions of these days
Test         {n_test} impressions of the file dev: the one called test has no labels
Unlabelled   {n_unlabelled} impressions of the file test

Licence      Microsoft Research License Terms: for research, not for commercial use
Get it       https://msnews.github.io/
Format       https://github.com/msnews/msnews.github.io/blob/master/assets/doc/introduction.md
Cite         Fangzhao Wu et al. 2020. MIND: A Large-scale Dataset for News Recommendation. ACL 2020.
"""


def read_mind(
    path: str | os.PathLike[str],
    *,
    valid_days: int = 1,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
) -> DataBunch:
    """Read MIND: impressions as they were shown, with what was clicked.

    Nothing is downloaded.

    Parameters
    ----------
    path : str or path-like
        The folder that holds the parts of MINDsmall, MINDlarge or a demo: folders or .zip files as
        published, with "train", "dev" (or "valid") and perhaps "test" in their names, such as
        ``MINDsmall_train.zip``. Or one part, which is then all that is read.
    valid_days : int, default=1
        Number of days at the end of the training part that validate.
    data_home : str or path-like, default=None
        Where a converted copy is kept for the next time, as :func:`get_data_home` takes it.
    verbose : bool, default=False
        Whether to print how far reading is.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        items : Items
            The news of all parts: `title` and `abstract` (text), `category` and `subcategory`
            (category). Their ids are those of MIND, such as "N55528".
        train, valid, test : pyarrow.Table
            One row an impression, as in the files: `impression_id` (no two alike in the tables),
            `user_id`, `time`, `history` (list of ids, oldest first, empty for new readers),
            `candidates` (list of ids, as shown) and `clicked` (list of 0 and 1). `test` is the
            part called dev; a table without such a part is empty.
        unlabelled : pyarrow.Table or None
            The part called test, whose clicks are not published.
        feature_names : list of str
            The content columns of `items`.
        sources : list of str
            The files that were read.
        DESCR : str
            What the data are, their licence, and what to cite.

    Raises
    ------
    FileNotFoundError
        Where `path` does not exist or holds no part of MIND.
    ValueError
        For a line that can't be read, with file and line, and for a folder with parts of two
        sizes, which number their news differently.

    References
    ----------
    Fangzhao Wu et al. 2020. MIND: A Large-scale Dataset for News Recommendation. ACL 2020.
    https://aclanthology.org/2020.acl-main.331

    Examples
    --------
    >>> from skrec import datasets, zoo
    >>> data = datasets.read_mind("MINDsmall")  # doctest: +SKIP
    >>> rec = zoo.NAML().fit(data.train, data.items)  # doctest: +SKIP
    """
    check_count("valid_days", valid_days, 0)
    return kept_copy(
        "mind",
        path,
        {"valid_days": valid_days},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(path: Path, reading: Reading, valid_days: int) -> DataBunch:
    from skrec._data.items import Items

    news, parts, n_before = [], {}, 0
    for name, part in _find_parts(path).items():
        with opened(part) as root:
            folder, _ = find_folder(root, _FILES, "MIND")
            news.append(_read_news(folder / "news.tsv", reading))
            blocks = read_behaviors(folder / "behaviors.tsv", n_before, reading)
            if name == "train":
                parts["train"], parts["valid"] = reading.write_days(blocks, valid_days)
            else:
                parts[name] = reading.write(name, blocks)
        n_before = sum(part.num_rows for part in parts.values())
    empty = next(iter(parts.values())).slice(0, 0)
    train, valid, test = (parts.get(name, empty) for name in ("train", "valid", "test"))
    items = Items(_distinct(pa.concat_tables(news)))
    unlabelled = parts.get("unlabelled")
    return DataBunch(
        items=items,
        train=train,
        valid=valid,
        test=test,
        unlabelled=unlabelled,
        feature_names=["title", "abstract", "category", "subcategory"],
        DESCR=_DESCR.format(
            source=path,
            n_items=items.n_items,
            n_train=train.num_rows,
            n_valid=valid.num_rows,
            n_test=test.num_rows,
            n_unlabelled=0 if unlabelled is None else unlabelled.num_rows,
            valid_days=valid_days,
        ),
    )


def _find_parts(path: Path) -> dict[str, Path]:
    """Return the folders or archives of the parts by what they become."""
    if not path.is_dir() or (path / "behaviors.tsv").exists():
        return {_part_of(path.name) or "train": path}
    found: list[tuple[str, Path]] = []
    for entry in sorted(path.iterdir()):
        name = _part_of(entry.name)
        if name and (entry.is_dir() or entry.suffix == ".zip"):
            found.append((name, entry))
    if not found:
        raise FileNotFoundError(
            f"no part of MIND in {path}: looked for folders or .zip files with train, dev or test "
            f"in their names; found {', '.join(e.name for e in sorted(path.iterdir())[:10])}"
        )
    sizes = {size.lower() for _, part in found for size in _SIZE.findall(part.name)}
    if len(sizes) > 1:
        raise ValueError(
            f"{path} holds parts of MIND {' and '.join(sorted(sizes))}, which number their news "
            "differently; put each size into a folder of its own"
        )
    # the folder comes before the archive it is from
    first = dict(reversed(found))
    return {name: first[name] for name in _PARTS if name in first}


def _part_of(name: str) -> str | None:
    for part, pattern in _PARTS.items():
        if re.search(pattern, name, re.IGNORECASE):
            return part
    return None


def _read_news(file: Any, reading: Reading) -> pa.Table:
    table = reading.table(file, dict.fromkeys(_NEWS, pa.string()))
    for name in ("category", "subcategory"):
        at = table.column_names.index(name)
        table = table.set_column(at, name, table[name].combine_chunks().dictionary_encode())
    return table.select(["item_id", "title", "abstract", "category", "subcategory"])


def _distinct(news: pa.Table) -> pa.Table:
    """Keep the first of the news with each id: parts repeat each other."""
    codes = news["item_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    return news.unify_dictionaries().combine_chunks().take(pa.array(np.sort(first)))


def read_behaviors(file: Any, n_before: int, reading: Reading) -> Iterator[pa.Table]:
    """Yield blocks of impressions; their numbers start anew in each file, so files before count."""
    labelled = None
    for first_line, rows in reading.rows(file, _BEHAVIORS):
        shown, n_shown = split_words(rows["impressions"])
        columns = {
            "impression_id": pc.add(rows["impression_id"], n_before),
            "user_id": rows["user_id"],
            "time": read_time_column(rows["time"], file),
            "history": lists(*split_words(rows["history"])),
        }
        labels = pc.utf8_slice_codeunits(shown, -2)
        clicked = pc.equal(labels, "-1")
        has_label = pc.or_(clicked, pc.equal(labels, "-0")).to_numpy(zero_copy_only=False)
        if labelled is None:
            labelled = bool(has_label.any()) or not len(has_label)
        if not labelled:
            yield pa.table({**columns, "candidates": lists(shown, n_shown)})
            continue
        if not has_label.all():
            at = int(np.argmin(has_label))
            line = first_line + 1 + int(np.repeat(np.arange(len(n_shown)), n_shown)[at])
            raise ValueError(
                f"{file}, line {line}: {shown[at]} must be a news id with -0 or -1 behind it"
            )
        ids = pc.utf8_slice_codeunits(shown, 0, -2)
        clicked = clicked.to_numpy(zero_copy_only=False).astype(np.int8)
        yield pa.table(
            {**columns, "candidates": lists(ids, n_shown), "clicked": lists(clicked, n_shown)}
        )


def read_time_column(column: pa.ChunkedArray, file: Any) -> pa.ChunkedArray:
    """Read times such as 11/13/2019 8:36:57 AM."""
    try:
        return pc.strptime(column, format=_TIME, unit="s")
    except pa.ArrowInvalid as error:
        raise ValueError(f"{file}: {error}; times are such as 11/13/2019 8:36:57 AM") from error


def split_words(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Split texts at blanks: return all words, and how many each text has."""
    split = pc.split_pattern(column.combine_chunks(), " ")
    words, row = split.flatten(), pc.list_parent_indices(split)
    real = pc.not_equal(words, "")
    n_words = np.bincount(row.filter(real).to_numpy(), minlength=len(column))
    return words.filter(real), n_words
