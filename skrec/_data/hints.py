"""What a table probably is, if it is not what was expected: the ends of messages.

A name is compared in lower case and without separators, so that "itemId" and "item_id" are equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import warn
from skrec._data.table import Table

ITEM_NAMES = frozenset(
    "item items itemid itemids iid news newsid article articleid product productid productcode sku "
    "asin parentasin movie movieid film filmid book bookid isbn track trackid song songid video "
    "videoid recipeid business businessid hotelid job jobid doc docid document documentid content "
    "contentid post postid ad adid".split()
)
CANDIDATE_NAMES = ITEM_NAMES | frozenset(
    "target targets targetid targetitem targetitems targetitemid nextitem nextitemid nextclick "
    "candidateid candidateids candidateitem candidateitems candidatelist impression impressions "
    "inview articleidsinview positive positives negative negatives pos neg posid negid positem "
    "negitem positiveitem negativeitem slate shown recommended".split()
)
LABEL_NAMES = frozenset(
    "label labels target targets y click clicks isclick isclicked wasclicked clickedids "
    "articleidsclicked rating ratings stars score liked like isliked purchased purchase bought "
    "outcome response converted conversion interaction interacted feedback".split()
)
USER_NAMES = frozenset(
    "user userid users uid customer customerid reviewer reviewerid member memberid visitor "
    "visitorid session sessionid account accountid client clientid profileid".split()
)
TIME_NAMES = frozenset(
    "time timestamp ts t date datetime day created createdat createdutc unixreviewtime tdat "
    "eventtime clicktime when at".split()
)
CONTENT_NAMES = frozenset(
    "title text abstract body description name headline summary genre genres category categories "
    "subcategory topic tags price brand author".split()
)
CATEGORY_WORDS = frozenset(
    "id ids category categories cat subcategory genre genres brand topic class type kind code "
    "group department section channel publisher author artist album label language country region "
    "city zip postcode color colour store shop seller director studio cluster segment tag".split()
)
FLOAT32_MAX = float(np.finfo(np.float32).max)
ROW_NUMBERS = re.compile(r"Unnamed: ?\d+(_level_\d+)?|index|level_\d+|__index_level_\d+__", re.I)
LIST_OF_TEXT = re.compile(r"\s*[\[({].*[\])}]\s*", re.DOTALL)


def plain(name: str) -> str:
    """Return a name in lower case and without separators."""
    return re.sub(r"[^0-9a-z]", "", name.lower())


def named(names: Iterable[str], known: frozenset[str]) -> list[str]:
    """Return those of some names that `known` contains."""
    return [name for name in names if plain(name) in known]


def hint_for_rows(names: list[str]) -> str:
    """Return what to do with a table that has no column `history`, or ""."""
    users, times = named(names, USER_NAMES), named(names, TIME_NAMES)
    clicked_items = named(names, ITEM_NAMES)
    if clicked_items and (users or (times and not named(names, CONTENT_NAMES))):
        found = {"user": users[:1], "item": clicked_items[:1], "time": times[:1]}
        columns = {role: names[0] for role, names in found.items() if names}
        keywords = ", ".join(f"{role}={name!r}" for role, name in columns.items())
        return (
            ". It looks like a log with one click per row. fit takes it with "
            f"columns={columns}. To score, evaluate or search, and to predict, make rows of it "
            f"first: skrec.datasets.impressions_from_clicks(log, {keywords}) cuts it into train, "
            "valid and test, and histories_from_clicks makes one row per user"
        )
    if clicked_items:
        return (
            ". It looks like the catalogue: the rows of clicks come first, and the catalogue "
            "second, as in rec.fit(X, items)"
        )
    return ""


def hint_for_clicks(names: list[str]) -> str:
    """Return what to do with columns that may contain the clicks under another name, or ""."""
    found = named(names, LABEL_NAMES)
    return f"; if column {found[0]!r} contains them, rename it to 'clicked'" if found else ""


def hint_for_candidates(names: list[str]) -> str:
    """Return what to do with columns that may contain candidates under another name, or ""."""
    found = named(names, CANDIDATE_NAMES)
    if not found:
        return ""
    return (
        f"; if column {found[0]!r} contains them, rename it to 'candidate' (one id per row) or "
        "'candidates' (a list per row)"
    )


def unread_candidates(names: list[str]) -> str | None:
    """Return a warning about candidates or labels under another name, or None.

    Parameters
    ----------
    names : list of str
        Columns of bare histories.

    Returns
    -------
    str or None
    """
    found = named(names, CANDIDATE_NAMES | LABEL_NAMES)
    if "clicked" in names:
        found.append("clicked")
    if not found:
        return None
    shown = " and ".join(repr(name) for name in found)
    are = f"column {shown} of X is" if len(found) == 1 else f"columns {shown} of X are"
    return (
        f"{are} not used: "
        "without a column 'candidate' or 'candidates', the rows are bare histories. Rename "
        "candidates to 'candidate' (one id per row) or 'candidates' (a list per row), and labels "
        "to 'clicked', or drop these columns"
    )


def hint_for_text(table: Table, name: str) -> str:
    """Return how to convert a column of texts that should contain lists, or ""."""
    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        return ""
    return hint_for_texts(column, f"X[{name!r}]")


def hint_for_texts(column: pa.ChunkedArray, what: str) -> str:
    """Return how to convert texts such as "[1, 2]" to lists, or "" if the values are no texts.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        The column.
    what : str
        Python expression for the column.

    Returns
    -------
    str
    """
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return ""
    first: Any = next((text for text in column.slice(0, 1000).to_pylist() if text), "")
    if LIST_OF_TEXT.fullmatch(first):
        if "," not in first and len(first.split()) > 1:  # an array that was printed
            convert = f"{what}.str.strip('[]').str.split()"
        else:
            convert = f"{what}.map(ast.literal_eval)"
        return (
            f" such as {first[:40]!r}. A CSV file keeps lists as text: convert them with "
            f"{convert}, or keep the table as parquet"
        )
    if len(first.split()) > 1 or "," in first or "|" in first:
        by = next((f"'{sign}'" for sign in ",|;" if sign in first), "")
        return f" such as {first[:40]!r}; split them with {what}.str.split({by})"
    return ""


def hint_for_index(data: Any) -> str:
    """Return what to do with a data frame whose index may contain the ids, or ""."""
    if not isinstance(data, pd.DataFrame) or data.index.equals(pd.RangeIndex(len(data))):
        return ""
    return ". If its index contains the ids, write df.rename_axis('item_id')"


def hint_for_catalogue(names: list[str]) -> str:
    """Return what to do with a catalogue that is X, or ""."""
    if "history" not in names:
        return ""
    return ". It has a column 'history', so it is X: write rec.fit(X, items)"


def warn_odd_columns(columns: dict[str, pa.ChunkedArray], roles: dict[str, str]) -> None:
    """Warn about columns whose default role is probably wrong.

    Parameters
    ----------
    columns : dict of str to pyarrow.ChunkedArray
        Content columns with a default role.
    roles : dict of str to str
        Their roles.
    """
    for name, column in columns.items():
        if roles[name] != "number":
            continue
        message = None
        if ROW_NUMBERS.fullmatch(name):
            message = (
                f"column {name!r} of the catalogue looks like the row numbers that to_csv writes: "
                "drop it, or read the file with index_col=0"
            )
        elif pa.types.is_integer(column.type) and CATEGORY_WORDS & set(words_of(name)):
            message = (
                f"column {name!r} of the catalogue contains ints, so it is read as a number, but "
                f"its name is that of a category: give roles={{{name!r}: 'category'}} if the size "
                "of the numbers has no meaning, and roles={..: 'number'} otherwise"
            )
        elif _is_huge(column):
            message = (
                f"column {name!r} of the catalogue contains numbers above {FLOAT32_MAX:.1e}, the "
                "largest float32, so the other numbers are nearly equal in comparison: correct "
                "them, or take logarithms"
            )
        if message:
            warn(message)


def _is_huge(column: pa.ChunkedArray) -> bool:
    """Whether a column contains numbers that float32 cannot represent."""
    if not pa.types.is_floating(column.type):
        return False
    return bool(pc.any(pc.greater(pc.abs(column.cast(pa.float64())), FLOAT32_MAX)).as_py())


def words_of(name: str) -> list[str]:
    """Return the words of a name such as "genre_id" or "genreId", in lower case."""
    return re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
