"""Reader of MIND: news of MSN, with impressions and clicks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.checks import check_count
from skrec._data.arrow import lists
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.copies import read_cached
from skrec.datasets._files.files import AnyPath, find_layout, open_folder_or_zip
from skrec.datasets._files.texts import as_category

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
News and the behavior of readers of MSN News in six weeks of 2019, read from
{source}

Items        {n_items} news: title, abstract, category, subcategory
Train        {n_train} impressions of the file train, without its last {valid_days} day(s)
Valid        {n_valid} impressions of these days
Test         {n_test} impressions of the file dev, because the file test has no labels
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
    """Read MIND: the candidates that readers were shown, and which of them they clicked.

    Nothing is downloaded.

    Parameters
    ----------
    path : str or path-like
        Folder with the parts of MINDsmall, MINDlarge or a demo. A part is a folder or a published
        .zip file with "train", "dev" (or "valid") or "test" in its name, such as
        ``MINDsmall_train.zip``. It can also be the path of a single part.
    valid_days : int, default=1
        Number of days at the end of the training part that become `valid`.
    data_home : str or path-like, default=None
        Folder for the converted copy that later calls read. See :func:`get_data_home`.
    verbose : bool, default=False
        Whether to print progress.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary with these fields.

        items : Items
            The news of all parts: `title` and `abstract` (text), `category` and `subcategory`
            (category). The ids are those of MIND, such as "N55528".
        train, valid, test : pyarrow.Table
            One row per impression: `impression_id` (unique over the tables), `user_id`, `time`,
            `history` (list of ids, oldest first, empty for new readers), `candidates` (list of ids
            in the order of the files) and `clicked` (list of 0 and 1). `test` is the part dev. If a
            part is missing, its table is empty.
        unlabelled : pyarrow.Table or None
            The part test, whose clicks are not published.
        feature_names : list of str
            Names of the content columns of `items`.
        sources : list of str
            Paths of the files that were read.
        DESCR : str
            Description of the data, their license, and what to cite.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist or contains no part of MIND.
    ValueError
        If a line can't be read, with the file and the line in the message, or if the folder
        contains parts of two sizes. The sizes number their news differently.

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
    return read_cached(
        "mind",
        path,
        {"valid_days": valid_days},
        _read,
        data_home=data_home,
        verbose=verbose,
    )


def _read(path: Path, converter: Converter, valid_days: int) -> DataBunch:
    """Read the news and impressions of all parts."""
    from skrec._data.items import Items

    news, parts, n_before = [], {}, 0
    for name, part in _find_parts(path).items():
        with open_folder_or_zip(part) as root:
            folder, _ = find_layout(root, _FILES, "MIND")
            news.append(_read_news(folder / "news.tsv", converter))
            blocks = read_behaviors(folder / "behaviors.tsv", n_before, converter)
            if name == "train":
                parts["train"], parts["valid"] = converter.write_train_valid(blocks, valid_days)
            else:
                parts[name] = converter.write(name, blocks)
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
    """Return the folder or archive of each part: train, test (MIND's dev) and unlabelled."""
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
            f"{path} contains parts of MIND {' and '.join(sorted(sizes))}, which number their news "
            "differently; put each size into a separate folder"
        )
    # an unpacked folder sorts before its archive and takes precedence
    first = dict(reversed(found))
    return {name: first[name] for name in _PARTS if name in first}


def _part_of(name: str) -> str | None:
    """Return the part that a file name contains, or None."""
    for part, pattern in _PARTS.items():
        if re.search(pattern, name, re.IGNORECASE):
            return part
    return None


def _read_news(file: AnyPath, converter: Converter) -> pa.Table:
    """Read the columns of the catalogue."""
    table = converter.read_table(file, dict.fromkeys(_NEWS, pa.string()))
    for name in ("category", "subcategory"):
        at = table.column_names.index(name)
        table = table.set_column(at, name, as_category(table[name]))
    return table.select(["item_id", "title", "abstract", "category", "subcategory"])


def _distinct(news: pa.Table) -> pa.Table:
    """Keep the first row of each id, because parts repeat each other's news."""
    codes = news["item_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    return news.unify_dictionaries().combine_chunks().take(pa.array(np.sort(first)))


def read_behaviors(file: AnyPath, n_before: int, converter: Converter) -> Iterator[pa.Table]:
    """Yield blocks of impressions of a ``behaviors.tsv``.

    Parameters
    ----------
    file : Path or zipfile.Path
    n_before : int
        Number of impressions in other files. It is added to the ids, which start at 1 in each file.
    converter : Converter

    Yields
    ------
    pyarrow.Table
        Impressions, without `clicked` if the file has no labels.
    """
    is_labelled = None
    for first_line, rows in converter.read_rows(file, _BEHAVIORS):
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
        if is_labelled is None:
            is_labelled = bool(has_label.any()) or not len(has_label)
        if not is_labelled:
            yield pa.table({**columns, "candidates": lists(shown, n_shown)})
            continue
        if not has_label.all():
            at = int(np.argmin(has_label))
            line = first_line + 1 + int(np.repeat(np.arange(len(n_shown)), n_shown)[at])
            raise ValueError(
                f"{file}, line {line}: {shown[at]} must be a news id with -0 or -1 at its end"
            )
        ids = pc.utf8_slice_codeunits(shown, 0, -2)
        clicked = clicked.to_numpy(zero_copy_only=False).astype(np.int8)
        yield pa.table(
            {**columns, "candidates": lists(ids, n_shown), "clicked": lists(clicked, n_shown)}
        )


def read_time_column(column: pa.ChunkedArray, file: AnyPath) -> pa.ChunkedArray:
    """Convert times such as 11/13/2019 8:36:57 AM to timestamps."""
    try:
        return pc.strptime(column, format=_TIME, unit="s")
    except pa.ArrowInvalid as error:
        raise ValueError(f"{file}: {error}; expected a time like 11/13/2019 8:36:57 AM") from error


def split_words(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Split texts at blanks. Return all words, and the number of words per text."""
    split = pc.split_pattern(column.combine_chunks(), " ")
    words, row = split.flatten(), pc.list_parent_indices(split)
    is_word = pc.not_equal(words, "")
    n_words = np.bincount(row.filter(is_word).to_numpy(), minlength=len(column))
    return words.filter(is_word), n_words
