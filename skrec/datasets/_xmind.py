"""Reader of xMIND: MIND with its news in other languages."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import preview
from skrec.datasets._files.bunch import DataBunch
from skrec.datasets._files.converter import Converter
from skrec.datasets._files.files import AnyPath
from skrec.datasets._files.texts import undo_quotes
from skrec.datasets._mind import read_mind

if TYPE_CHECKING:
    from skrec._data.items import Items

_TEXTS = {"nid": pa.string(), "title": pa.string(), "abstract": pa.string()}
_SIZE = re.compile(r"MIND(small|large)")
# a text that contains quotes, as quoted in CSV; titles enclosed in quotes occur in unquoted files
_QUOTED = r'^"(?:[^"]|"")*""(?:[^"]|"")*"$'
_DESCR = """\
xMIND: MIND in another language, as impressions
-----------------------------------------------
Titles and abstracts of MIND's news, translated by a machine (NLLB 3.3B), read from
{path}
with the clicks of MIND, described below.

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
    """Read MIND with its news in another language: texts of xMIND, clicks of MIND.

    Nothing is downloaded.

    Parameters
    ----------
    path : str or path-like
        Folder of one language, or a folder that contains folders of languages. A language folder
        contains the archives of the owners, such as ``xMINDsmall_train.zip``, or their contents,
        such as ``xMINDsmall_train/news.tsv``, or the parquet files of the Hugging Face hub, such as
        ``train.parquet.gzip``. If it contains both sizes, only files with the size of `mind` in
        their paths are read.
    mind : str or path-like
        Folder of MIND in the same size, small or large. See `path` of :func:`read_mind`. The sizes
        number their news differently, so translations of the other size belong to other news.
    language : str, default=None
        Name of the language folder in `path`, such as "swh". Mandarin is "cmn" on GitHub and "zho"
        on the hub. None if `path` is the language folder.
    valid_days : int, default=1
        Number of days at the end of the training part that become `valid`.
    data_home : str or path-like, default=None
        Folder for the converted copy of MIND. See :func:`get_data_home`.
    verbose : bool, default=False
        Whether to print progress.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Return value of :func:`read_mind`, with `title` and `abstract` of the `items` in the other
        language. The categories are those of MIND.

    Raises
    ------
    FileNotFoundError
        If there are no translations, or if MIND is missing.
    ValueError
        If a line can't be read, with the file and the line in the message; if news of MIND have no
        translation; if the translations belong to the other size of MIND.

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
    converter = Converter(folder, verbose)
    news = _read_texts(folder, _size_of(data.sources), converter)
    fields = dict(data)
    return DataBunch(
        **fields
        | {
            "items": _translate(data.items, news, folder),
            "sources": [*data.sources, *converter.sources],
            "DESCR": _DESCR.format(path=folder, mind=data.DESCR),
        }
    )


def _size_of(paths: Any) -> str | None:
    """Return the size of MIND that paths contain, or None if they contain no size or both."""
    found = {size for path in paths for size in _SIZE.findall(str(path))[-1:]}
    return found.pop() if len(found) == 1 else None


def _read_texts(folder: Path, size: str | None, converter: Converter) -> pa.Table:
    """Read the texts of all parts of a size. Texts can repeat."""
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
    return pa.concat_tables(_read_text(file, converter) for file in wanted)


def _find_texts(folder: Path) -> Iterator[AnyPath]:
    """Yield the files with texts. An archive is opened unless it is unpacked next to it."""
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


def _read_text(file: AnyPath, converter: Converter) -> pa.Table:
    """Read the texts of one file."""
    if isinstance(file, zipfile.Path) or file.name == "news.tsv":
        texts = converter.read_table(file, _TEXTS)
        columns = [
            texts["nid"],
            *(undo_quotes(texts[name], _QUOTED) for name in ("title", "abstract")),
        ]
        return pa.table(columns, list(_TEXTS))
    table = pa.concat_tables(converter.read_parquet(file, list(_TEXTS)))
    return table.cast(pa.schema(list(_TEXTS.items())))


def _translate(items: Items, news: pa.Table, folder: Path) -> Items:
    """Return a catalogue with its titles and abstracts replaced."""
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


def _check_same_news(english: pa.Array, translated: pa.Array, folder: Path) -> None:
    """Raise a ValueError if translated abstracts belong to other news than the English ones.

    The owners translated all abstracts, so the same news must lack an abstract in both languages.
    """
    is_empty = [
        pc.equal(texts, "").to_numpy(zero_copy_only=False) for texts in (english, translated)
    ]
    n_both = np.count_nonzero(is_empty[0] & is_empty[1])
    if n_both < min(np.count_nonzero(each) for each in is_empty) / 2:
        raise ValueError(
            f"the translations in {folder} are not of these news of MIND: only {n_both} lack an "
            "abstract in both; are both of the same size, small or large?"
        )
