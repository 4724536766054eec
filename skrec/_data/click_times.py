"""Times of clicks: their types, and columns that look like times under another name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skrec._common.messages import preview
from skrec._data.arrow import SLICE
from skrec._data.table import Table
from skrec._data.times import decoded, describe_text_times, is_text

N_SAMPLED = 100  # number of rows that decide whether a column of texts looks like times
# words in names such as event_time, createdAt and t_dat
_WORDS = {
    *("time", "timestamp", "ts", "date", "datetime", "dt", "dat", "day"),
    *("epoch", "unix", "when", "created", "occurred"),
}
_ENDINGS = ("time", "timestamp", "date", "datetime")
# words that end like a time but are none
_OTHER_WORDS = {"candidate", "update", "validate", "mandate", "runtime", "uptime", "lifetime"}
# words that turn a time into a duration or a part of a day, as in dwell_time and time_of_day
_DURATIONS = re.compile(
    r"\b(?:dwell|read|watch|play|listen|spent|elapsed|since|between|until|response|wait|total|"
    r"avg|average|mean|median|max|min|zone|screen|delta|diff|part|full)"
)
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$"
# the first second of 2000; smaller numbers can be durations
_EPOCH = 946_684_800
# units of epoch times, and the smallest number that is one; 1e8 seconds, and 1e11 milliseconds, are
# in 1973, and 1e11 seconds are in 5138
_UNITS = (("s", "seconds"), ("ms", "milliseconds"), ("us", "microseconds"), ("ns", "nanoseconds"))
_SMALLEST = (1e8, 1e11, 1e14, 1e17)
_MICROSECONDS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
TIME_IN_ZONE = pa.timestamp("us", "UTC")


def checked_times(column: pa.ChunkedArray, what: str) -> pa.Array:
    """Return a column of times, after a check of its type and values.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of shape (n,)
    what : str
        Description of the column, such as ``"column 'time' of clicks"``.

    Returns
    -------
    pyarrow.Array of shape (n,)
        Numbers, dates, timestamps or durations, as in the column. Decimals become floats.

    Raises
    ------
    TypeError
        If the column contains texts, or anything else that is not a time.
    ValueError
        If a time is null, NaN or infinite, or if numbers are epoch times of different units.
    """
    column = decoded(column)
    if column.null_count:
        raise ValueError(f"{what} has {column.null_count} nulls")
    if is_text(column.type):
        name = re.sub(r"^column '(.*)' of .*$", r"\1", what)
        raise TypeError(f"{what} contains {describe_text_times('clicks', name, column)}")
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if not (_is_number(column.type) or _is_date(column.type) or pa.types.is_duration(column.type)):
        raise TypeError(f"{what} must contain numbers, dates or timestamps, got {column.type}")
    if pa.types.is_floating(column.type):
        n_bad = len(column) - (pc.sum(pc.is_finite(column)).as_py() or 0)
        if n_bad:
            raise ValueError(f"{what} has {n_bad} values that are NaN or infinite")
    if _is_number(column.type):
        epoch_unit(column, what)
    return column.combine_chunks()


def epoch_unit(column: pa.Array | pa.ChunkedArray, what: str) -> str | None:
    """Return the unit of numbers that count the time since 1970, judged by their size.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray of numbers
    what : str
        Description of the column.

    Returns
    -------
    {"s", "ms", "us", "ns"} or None
        None if the numbers count something else, such as the order of the clicks.

    Raises
    ------
    ValueError
        If the numbers have different units, or if some are 0 or -1, which would be 1970.
    """
    counts, n_placeholders = np.zeros(len(_UNITS) + 1, dtype=np.int64), 0
    for start in range(0, len(column), SLICE):
        values = column.slice(start, SLICE).cast(pa.float64(), safe=False).to_numpy()
        counts += np.bincount(np.digitize(values, _SMALLEST), minlength=len(counts))
        n_placeholders += int(np.count_nonzero((values == 0) | (values == -1)))
    n_small, found = counts[0], np.flatnonzero(counts[1:])
    if not len(found):
        return None
    names = [_UNITS[at][1] for at in found]
    if n_small and n_small > n_placeholders:
        return None  # counts from another start, or before 1973
    if n_small:
        raise ValueError(
            f"{what} has {n_small} values that are 0 or -1, and the others are {names[0]} since "
            "1970; leave these rows out, since their time is not known"
        )
    if len(found) > 1:
        raise ValueError(
            f"{what} mixes {' and '.join(names)} since 1970, judged by the size of the numbers; "
            "convert them to one unit"
        )
    return _UNITS[found[0]][0]


def comparable_times(times: pa.Array, like: pa.DataType | None = None) -> pa.Array:
    """Convert times so that those of several logs can be compared.

    Parameters
    ----------
    times : pyarrow.Array
        As returned by `checked_times`.
    like : pyarrow.DataType, default=None
        Type of earlier times. If it is float64, numbers are not judged by their size.

    Returns
    -------
    pyarrow.Array
        For dates and timestamps without a zone, timestamps in microseconds. For timestamps with a
        zone and numbers that count the time since 1970, timestamps in microseconds and UTC. For
        other numbers and durations, float64.
    """
    kind = times.type
    if _is_date(kind):
        zone = getattr(kind, "tz", None) and "UTC"
        return times.cast(pa.timestamp("us", zone), safe=False)
    if pa.types.is_duration(kind):
        return times.cast(pa.int64()).cast(pa.float64(), safe=False)
    if like == pa.float64():
        unit = None
    else:
        unit = epoch_unit(times, "the column of times")
    if unit is None:
        return times.cast(pa.float64(), safe=False)
    if pa.types.is_floating(kind):  # fractions of a unit
        microseconds = times.to_numpy(zero_copy_only=False) * _MICROSECONDS[unit]
        times = pa.array(np.round(microseconds).astype(np.int64))
        unit = "us"
    return times.cast(pa.int64()).cast(pa.timestamp(unit, "UTC")).cast(TIME_IN_ZONE, safe=False)


def check_row_order(
    data: Any, table: Table, user: np.ndarray, skipped: tuple[str, ...] = ("user_id", "item_id")
) -> None:
    """Raise a ValueError if a column that looks like a time contradicts the order of rows.

    Call it for clicks without a column `time`, which must be in the order of time for each user.

    Parameters
    ----------
    data : table
        The clicks as the user passed them.
    table : Table
        The same clicks.
    user : ndarray of int, shape (n,)
        Position of each row's user; -1 for rows that are left out.
    skipped : tuple of str
        Names of columns that are no times.

    Raises
    ------
    ValueError
        If there are such columns. The message names them and says what to pass.
    """
    levels = _index_levels(data)
    columns = _find_times(data, table, skipped) | _find_times(levels, Table(levels), ())
    parsed = {name: _parsed(column) for name, column in columns.items()}
    steps = {name: _steps(column, user) for name, column in parsed.items() if column is not None}
    wrong = [name for name, (_, falls) in steps.items() if falls]
    if not any(rises for rises, _ in steps.values()):
        # no other column shows the order of time
        wrong += [name for name, column in parsed.items() if column is None]
    if not wrong:
        return
    first, reasons = wrong[0], []
    clicks = "clicks.reset_index()" if first in levels else "clicks"
    if first in steps:
        reasons.append("the rows of each user are not in its order")
    column = columns[first]
    if column is None:
        reasons.append("it can't be read")
    elif is_text(column.type):
        reasons.append(f"it contains {describe_text_times('clicks', first, column)}")
    raise ValueError(
        f"clicks has no column 'time', but {preview(wrong)} looks like one, and "
        f"{', and '.join(reasons)}; rename the column with the times of the clicks, for instance "
        f"with {clicks}.rename(columns={{{first!r}: 'time'}}), or leave {preview(wrong)} out if "
        "the rows are in the order of the clicks"
    )


def _index_levels(data: Any) -> dict[str, pd.Index]:
    """Return the levels of a data frame's index that are no columns, by the names of `reset_index`.

    An index without a name is called "index".
    """
    if not isinstance(data, pd.DataFrame) or isinstance(data.index, pd.RangeIndex):
        return {}
    levels = {
        "index" if name is None else str(name): data.index.get_level_values(at)
        for at, name in enumerate(data.index.names)
    }
    return {name: level for name, level in levels.items() if name not in data.columns}


def _find_times(
    data: Any, table: Table, skipped: tuple[str, ...]
) -> dict[str, pa.ChunkedArray | None]:
    """Return the columns that look like times. The value is None if a column can't be read."""
    found: dict[str, pa.ChunkedArray | None] = {}
    sample = _sample(data, table)
    for name in dict.fromkeys(table.names):
        by_name = looks_like_time(name)
        try:
            if name in skipped or not _may_be_time(sample, name, by_name):
                continue
            column = decoded(table.column(name))
            if not (by_name and _is_number(column.type) and _is_duration(name, column)):
                found[name] = column
        except (ValueError, TypeError, pa.ArrowException):
            if by_name:
                found[name] = None
    return found


def looks_like_time(name: str) -> bool:
    """Return whether a column name is one of times, such as timestamp, createdAt or t_dat."""
    words = _words(name)
    if not words or "of" in words:
        return False
    if words[-1] == "at" or words == ["t"] or not _WORDS.isdisjoint(words):
        return True
    return any(word.endswith(_ENDINGS) and word not in _OTHER_WORDS for word in words)


def _words(name: str) -> list[str]:
    """Return the words of a name in lower case, such as event and time for eventTime."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z]+", parted.lower())


def _is_duration(name: str, column: pa.ChunkedArray) -> bool:
    """Return whether a column of numbers contains durations, such as dwell_time."""
    words = " ".join(_words(name))
    if "date" in words or "stamp" in words or not _DURATIONS.search(words):
        return False
    smallest = pc.min(column).as_py()
    return smallest is None or smallest < _EPOCH


def _sample(data: Any, table: Table) -> Table:
    """Return the first rows of a table whose columns would have to be converted."""
    if isinstance(data, pd.DataFrame):
        return Table(data.head(N_SAMPLED))
    if isinstance(data, Mapping):
        try:
            return Table({name: values[:N_SAMPLED] for name, values in data.items()})
        except (TypeError, KeyError):
            return table  # values that can't be sliced
    return table


def _may_be_time(sample: Table, name: str, by_name: bool) -> bool:
    """Return whether a column looks like times, by its name and its first rows."""
    kind = sample.type(name)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _is_date(kind):
        return True
    if _is_number(kind):
        return by_name
    if not is_text(kind):
        return False
    chunk = next((chunk for chunk in sample.chunks(name) if len(chunk)), pa.array([], kind))
    texts = decoded(pa.chunked_array([chunk[:N_SAMPLED]])).drop_null()
    pattern = r"\d" if by_name else _ISO
    return bool(len(texts)) and pc.all(pc.match_substring_regex(texts, pattern)).as_py()


def _parsed(column: pa.ChunkedArray | None) -> pa.ChunkedArray | None:
    """Return texts as times or numbers, or None if their format is not clear."""
    if column is None or not is_text(column.type):
        return column
    for kind in (pa.float64(), pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return column.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
    return None


def _steps(column: pa.ChunkedArray, user: np.ndarray) -> tuple[bool, bool]:
    """Return whether the values of a user rise or fall from row to row. Nulls are left out."""
    valid = pc.is_valid(column).to_numpy() & (user >= 0)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    values, user = column.filter(pa.array(valid)).to_numpy(), user[valid]
    order = np.argsort(user, kind="stable")
    values, user = values[order], user[order]
    is_same = user[1:] == user[:-1]
    rises, falls = values[1:] > values[:-1], values[1:] < values[:-1]
    return bool((rises & is_same).any()), bool((falls & is_same).any())


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)


def _is_date(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind)
