"""xMIND: MIND's news in other languages, with MIND's clicks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skrec._arrow import preview
from skrec.datasets._bunch import DataBunch
from skrec.datasets._mind import read_mind
from skrec.datasets._reading import Reading

_TEXTS = {"nid": pa.string(), "title": pa.string(), "abstract": pa.string()}
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
        The folder of one language, or of several. Below it are ``news.tsv`` files (id, title and
        abstract, as in ``xMINDsmall_train/news.tsv``), or the parquet files ``train.parquet.gzip``
        and its like.
    mind : str or path-like
        MIND of the same size, small or large, as :func:`read_mind` takes it.
    language : str, default=None
        Name of the language's folder in `path`, such as "swh"; None where `path` is that folder.
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
        For a line that can't be read, with file and line, and where news of MIND are not
        translated.

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
    news = _read_texts(folder, reading)
    fields = dict(data)
    return DataBunch(
        **fields
        | {
            "items": _translated(data.items, news, folder),
            "sources": [*data.sources, *reading.sources],
            "DESCR": _DESCR.format(path=folder, mind=data.DESCR),
        }
    )


def _read_texts(folder: Path, reading: Reading) -> pa.Table:
    """Read the texts of all parts; parts repeat each other."""
    lines, tables = sorted(folder.rglob("news.tsv")), sorted(folder.rglob("*.parquet*"))
    if not lines and not tables:
        found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10]) or "nothing"
        raise FileNotFoundError(
            f"no translations in {folder}: looked for news.tsv and *.parquet.gzip; found {found}"
        )
    parts = [reading.table(file, _TEXTS) for file in lines]
    for file in tables:
        part = pa.concat_tables(reading.parquet(file, list(_TEXTS)))
        parts.append(part.cast(pa.schema(list(_TEXTS.items()))))
    return pa.concat_tables(parts)


def _translated(items: Any, news: pa.Table, folder: Path) -> Any:
    from skrec._items import Items

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
    return Items(pa.table({items.id: ids, **columns, **texts}), roles=items.roles)
