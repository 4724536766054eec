"""xMIND: MIND's news in other languages, with MIND's clicks."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import preview
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.reading import Reading
from skrec.datasets._mind import read_mind

_TEXTS = {"nid": pa.string(), "title": pa.string(), "abstract": pa.string()}
_SIZE = re.compile(r"MIND(small|large)")
# A text as writers of CSV quote it: in quotes, with those inside doubled.
_QUOTED = r'^"(?:[^"]|"")*""(?:[^"]|"")*"$'
_DESCR = """\
xMIND: MIND in another language, as impressions
-----------------------------------------------
Titles and abstracts of MIND's news, translated by a machine (NLLB 3.3B), read from
{path}
with the clicks of MIND, which are described below.

Licence      CC BY-NC-SA 4.0 (the translations)
Get it       https://github.com/andreeaiana/xMIND
Format       https://github.com/andreeaiana/xMIND
Cite         Andreea Iana, Goran Glavas, Heiko Paulheim. 2024. MIND Your Language: A Multilingual
             Dataset for Cross-lingual News Recommendation. SIGIR 2024. arXiv 2403.17876.

{mind}"""


def read_xmind(
    path: str | os.PathLike[str],
    mind: str | os.PathLike[str],
    language: str | None = None,
    *,
    valid_days: int = 1,
    data_home: str | os.PathLike[str] | None = None,
    verbose: bool = False,
) -> DataBunch:
    """Read MIND with its news in another language: xMIND's texts and MIND's clicks.

    Nothing is downloaded.

    Parameters
    ----------
    path : str or path-like
        The folder of one language, or of several. Below it are the owners' archives, such as
        ``xMINDsmall_train.zip``, or what is in them, such as ``xMINDsmall_train/news.tsv``, or the
        parquet files of the Hugging Face hub, such as ``train.parquet.gzip``. Where both sizes are
        there, those files are read that have the size of `mind` in their paths.
    mind : str or path-like
        MIND of the same size, small or large, as :func:`read_mind` takes it. The two sizes number
        their news differently, so that texts of the other size would be those of other news.
    language : str, default=None
        Name of the language's folder in `path`, such as "swh"; None where `path` is that folder.
        Mandarin is "cmn" on GitHub and "zho" on the hub.
    valid_days : int, default=1
        Number of days at the end of the training part that validate.
    data_home : str or path-like, default=None
        Where a converted copy of MIND is kept, as :func:`get_data_home` takes it.
    verbose : bool, default=False
        Whether to print how far reading is.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`read_mind` returns, with `title` and `abstract` of the `items` in the other
        language; categories are MIND's.

    Raises
    ------
    FileNotFoundError
        Where there are no translations, or no MIND.
    ValueError
        For a line that can't be read, with file and line, where news of MIND are not translated,
        and where the translations are those of MIND's other size.

    Notes
    -----
    The format is described at https://github.com/andreeaiana/xMIND.

    References
    ----------
    Andreea Iana, Goran Glavas, Heiko Paulheim. 2024. MIND Your Language: A Multilingual Dataset for
    Cross-lingual News Recommendation. SIGIR 2024. arXiv 2403.17876.

    Examples
    --------
    >>> from skrec import datasets
    >>> data = datasets.read_xmind("xMINDsmall", "MINDsmall", "swh")  # doctest: +SKIP
    """
    folder = Path(path).expanduser() / (language or "")
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    data = read_mind(mind, valid_days=valid_days, data_home=data_home, verbose=verbose)
    reading = Reading(folder, verbose)
    news = _read_texts(folder, _size_of(data.sources), reading)
    fields = dict(data)
    return DataBunch(
        **fields
        | {
            "items": _translated(data.items, news, folder),
            "sources": [*data.sources, *reading.sources],
            "DESCR": _DESCR.format(path=folder, mind=data.DESCR),
        }
    )


def _size_of(paths: Any) -> str | None:
    """Return the size of MIND that paths name; None where they name none, or both."""
    found = {size for path in paths for size in _SIZE.findall(str(path))[-1:]}
    return found.pop() if len(found) == 1 else None


def _read_texts(folder: Path, size: str | None, reading: Reading) -> pa.Table:
    """Read the texts of all parts of a size; parts repeat each other."""
    files = list(_find_texts(folder))
    if not files:
        found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10]) or "nothing"
        raise FileNotFoundError(
            f"no translations in {folder}: looked for xMIND*.zip, news.tsv and *.parquet.gzip; "
            f"found {found}"
        )
    sizes = {_size_of([file]) for file in files} - {None}
    if size is None and len(sizes) > 1:
        raise ValueError(
            f"{folder} has translations of MINDsmall and MINDlarge, and paths in mind don't say "
            "which of them it is; take the others out of the folder"
        )
    wanted = [
        file for file in files if None in (size, _size_of([file])) or size == _size_of([file])
    ]
    if not wanted:
        raise ValueError(f"{folder} has translations of MIND{sizes.pop()}, but mind is MIND{size}")
    return pa.concat_tables(_read_text(file, reading) for file in wanted)


def _find_texts(folder: Path) -> Iterator[Any]:
    """Yield the files with texts, those in archives too, unless these are unpacked as well."""
    for file in sorted(folder.rglob("*")):
        if file.name == "news.tsv" or file.name.endswith((".parquet", ".parquet.gzip")):
            yield file
        elif file.suffix == ".zip" and not file.with_suffix("").is_dir():
            try:
                archive = zipfile.ZipFile(file)
            except zipfile.BadZipFile as error:
                raise ValueError(f"{file}: {error}") from error
            names = [name for name in archive.namelist() if Path(name).name == "news.tsv"]
            yield from (zipfile.Path(archive, name) for name in names)


def _read_text(file: Any, reading: Reading) -> pa.Table:
    if file.name == "news.tsv":
        texts = reading.table(file, _TEXTS)
        columns = [texts["nid"], *(_unquoted(texts[name]) for name in ("title", "abstract"))]
        return pa.table(columns, list(_TEXTS))
    table = pa.concat_tables(reading.parquet(file, list(_TEXTS)))
    return table.cast(pa.schema(list(_TEXTS.items())))


def _unquoted(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take the quotes off that a writer of CSV puts around a text with quotes in it."""
    inside = pc.replace_substring(pc.utf8_slice_codeunits(texts, 1, -1), '""', '"')
    return pc.if_else(pc.match_substring_regex(texts, _QUOTED), inside, texts)


def _translated(items: Any, news: pa.Table, folder: Path) -> Any:
    from skrec._data.items import Items

    ids = pa.array(items.ids)
    at = pc.index_in(ids, value_set=news["nid"].combine_chunks().cast(ids.type))
    if at.null_count:
        missing = ids.filter(at.is_null()).to_pylist()
        raise ValueError(
            f"{len(missing)} of the {items.n_items} news in MIND have no translation in {folder}, "
            f"such as {preview(missing)}; are both of the same size, small or large?"
        )
    columns = {name: items.column(name) for name in items.roles}
    texts = {name: pc.fill_null(news[name].take(at), "") for name in ("title", "abstract")}
    _check_same_news(columns["abstract"], texts["abstract"], folder)
    return Items(pa.table({items.id: ids, **columns, **texts}), roles=items.roles)


def _check_same_news(english: Any, translated: Any, folder: Path) -> None:
    """Raise where the texts are those of other news, which few times lack an abstract in both."""
    # the owners translated an abstract where MIND has one
    lacks = [pc.equal(texts, "").to_numpy(zero_copy_only=False) for texts in (english, translated)]
    n_both = np.count_nonzero(lacks[0] & lacks[1])
    if n_both < min(np.count_nonzero(each) for each in lacks) / 2:
        raise ValueError(
            f"the translations in {folder} are not of these news of MIND: only {n_both} lack an "
            "abstract in both; are both of the same size, small or large?"
        )
