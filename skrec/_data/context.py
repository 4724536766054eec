"""Context of the rows of X, such as the device and the hour, as standardized features.

::

    columns of X --> DataFrame --> transformer --> numbers --standardize--> features (m, F)
                                                   distinct rows, stored once
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import clone

from skrec._common.messages import did_you_mean, preview
from skrec._data.context_columns import (
    MAX_VALUES,
    NEVER_CONTEXT,
    as_category,
    as_number,
    auto_columns,
    context_kind,
    is_offered,
)
from skrec._data.rows import UNREAD
from skrec._data.table import Table

if TYPE_CHECKING:
    from sklearn.preprocessing import OneHotEncoder

ROWS = 1 << 16  # rows that are transformed at a time
LARGEST = 10.0  # features are limited to this number of standard deviations
RARE = 5  # categories with fewer rows share one feature
LISTS = frozenset(("history", "user_id", *UNREAD))  # columns of X that say nothing of the context


@dataclass(frozen=True, eq=False)
class ContextFeatures:
    """Fitted transformer of the context columns, and the scale of its features.

    Attributes
    ----------
    asked : "auto", list of str, or transformer
        The recommender's `context`.
    columns : list of str
        Columns of X that are read.
    kinds : dict of str to str, or None
        Whether the default transformer reads a column as "category", "number" or "time". None if
        the transformer is the user's.
    transformer : scikit-learn transformer or None
        Fitted clone of the user's transformer, which receives a DataFrame. Otherwise, the encoder
        of the categories; None if there are only numbers.
    mean, scale : ndarray of float64, shape (F,)
        Mean and standard deviation of the features in the training rows. The scale of features that
        are 0 or 1 is 1.
    as_field : bool
        Whether the predictor reads the context as a field of its own.
    """

    asked: Any
    columns: list[str]
    kinds: dict[str, str] | None
    transformer: Any
    mean: np.ndarray
    scale: np.ndarray
    as_field: bool = False

    @property
    def n_features(self) -> int:
        """Number of features, F."""
        return len(self.mean)

    def read(self, table: Table, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct contexts of the rows of X.

        Parameters
        ----------
        table : Table
            X as a table. If it has histories only, the context of all rows is unknown.
        n_rows : int
            Number of rows.

        Returns
        -------
        contexts : ndarray of float32, shape (n_contexts, F)
            Standardized features. The first context has zeros only; it is the unknown one.
        context_of_row : ndarray of int64, shape (n_rows,)
            Number of each row's context.

        Raises
        ------
        ValueError
            If a column is missing, or has values of another kind than in `fit`.
        """
        if LISTS.issuperset(table.names):
            return np.zeros((1, self.n_features), np.float32), np.zeros(n_rows, np.int64)
        missing = [name for name in self.columns if name not in table]
        if missing:
            raise ValueError(
                f"X has no column {missing[0]!r}{did_you_mean(missing[0], table.names)}, which is "
                f"context: fit read {preview(self.columns, 20)}. Give null where a value is "
                "unknown, or a list of histories where nothing is known"
            )
        return self._coded(*self._distinct(table))

    def _coded(self, rows: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standardize distinct rows of features, and prepend the unknown context."""
        features = ((rows - self.mean) / self.scale).clip(-LARGEST, LARGEST).astype(np.float32)
        features[np.isnan(features)] = 0.0
        return np.concatenate([np.zeros_like(features, shape=(1, len(self.mean))), features]), (
            codes + 1
        )

    def _distinct(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct rows (m, F) of features, and the position of each row's features."""
        parts, codes, n = [], [], 0
        for frame in self._frames(table):
            rows, code = distinct_rows(self._transform(frame))
            parts.append(rows)
            codes.append(code + n)
            n += len(rows)
        rows, code = distinct_rows(np.concatenate(parts))
        return rows, code[np.concatenate(codes)]

    def _frames(self, table: Table) -> Iterator[pd.DataFrame]:
        """Yield the input of the transformer in blocks of rows."""
        frame = frame_of(table, self.columns, self.kinds)
        for start in range(0, len(frame), ROWS):
            yield frame.iloc[start : start + ROWS]

    def _transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the numbers (n, F) of the transformer; unknown ones are NaN."""
        if self.kinds is None:
            with np.errstate(all="ignore"):
                made = self.transformer.transform(frame)
        else:
            made = _encode_columns(self.transformer, frame)
        numbers = _as_numbers(made, len(frame), self.columns)
        if self.n_features and numbers.shape[1] != self.n_features:
            raise ValueError(
                f"the context transformer gave {numbers.shape[1]} numbers a row, but "
                f"{self.n_features} in fit"
            )
        return numbers


def fit_context(
    asked: Any, table: Table, as_field: bool
) -> tuple[ContextFeatures | None, list[str]]:
    """Fit the transformer of the context columns.

    Parameters
    ----------
    asked : None, "warn", "auto", list of str, or transformer
        The recommender's `context`.
    table : Table
        X as a table.
    as_field : bool
        The recommender's `context_fields`.

    Returns
    -------
    features : ContextFeatures or None
        None if there is no context.
    others : list of str
        Columns of X that are neither context nor columns with a meaning of their own.

    Raises
    ------
    ValueError
        If a column is missing or can't be context, or the transformer's output is invalid.
    """
    offered = [name for name in dict.fromkeys(table.names) if is_offered(name)]
    if asked is None or (isinstance(asked, str) and asked == "warn"):
        return None, offered
    kinds: dict[str, str] | None = None
    if isinstance(asked, str):
        kinds = auto_columns(table, offered)
    elif isinstance(asked, list | tuple):
        kinds = {name: _kind_of_named(table, name) for name in asked}
    if kinds is not None:
        columns = list(kinds)
    else:
        columns = _columns_for(table, offered)
    others = [name for name in offered if name not in columns]
    if not columns:
        if kinds is not None:
            return None, others
        raise ValueError(
            f"context={asked!r} has no columns to read: X has only {preview(table.names, 20)}"
        )
    frame = frame_of(table, columns, kinds)
    if kinds is None:
        transformer = clone(asked).fit(frame)
        columns = _columns_read(transformer, columns)
        others = [name for name in offered if name not in columns]
    else:
        transformer = _fit_encoder(frame)
    kept = clone(asked) if kinds is None else list(asked) if not isinstance(asked, str) else asked
    none = np.empty(0)
    features = ContextFeatures(kept, columns, kinds, transformer, none, none, as_field)
    rows, codes = features._distinct(table)
    mean, scale = _scale(rows, np.bincount(codes))
    return replace(features, mean=mean, scale=scale), others


def _kind_of_named(table: Table, name: str) -> str:
    """Return the kind of a column that the user named, or raise a ValueError."""
    if name in NEVER_CONTEXT:
        raise ValueError(f"column {name!r} of X can't be context, because it has another meaning")
    if name not in table:
        raise ValueError(
            f"context names {name!r}, but X has no such column{did_you_mean(name, table.names)}; "
            f"its columns are {preview(table.names, 20)}"
        )
    kind = context_kind(table.type(name))
    if kind is None:
        raise ValueError(
            f"column {name!r} can't be context, because it holds {table.type(name)}; context is "
            "made of strings, categories, bools, numbers and datetimes. Give other columns to a "
            "scikit-learn transformer that makes numbers of them"
        )
    return kind


def _columns_for(table: Table, offered: list[str]) -> list[str]:
    """Return the columns that a transformer of the user's gets: single values, and the time."""
    return [
        name
        for name in dict.fromkeys(table.names)
        if (name in offered or name == "time") and not pa.types.is_nested(table.type(name))
    ]


def _columns_read(transformer: Any, columns: list[str]) -> list[str]:
    """Return the columns that a fitted transformer reads; all, unless it is a ColumnTransformer."""
    from sklearn.compose import ColumnTransformer

    if not isinstance(transformer, ColumnTransformer):
        return columns
    read: set[str] = set()
    for _, part, names in transformer.transformers_:
        names = [names] if isinstance(names, str) else list(names)
        if not all(isinstance(name, str) for name in names):
            return columns
        if not (isinstance(part, str) and part == "drop"):
            read.update(names)
    return [name for name in columns if name in read]


def _fit_encoder(frame: pd.DataFrame) -> OneHotEncoder | None:
    """Fit the encoder of the categories in a frame; None if there are only numbers."""
    from sklearn.preprocessing import OneHotEncoder

    words = frame.loc[:, frame.dtypes != np.float64]
    if not words.shape[1]:
        return None
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=RARE,
        max_categories=MAX_VALUES,
        sparse_output=False,
    )
    return encoder.fit(words)


def _encode_columns(encoder: OneHotEncoder | None, frame: pd.DataFrame) -> np.ndarray:
    """Return the numbers of a frame, followed by its one-hot encoded categories, as (n, F).

    Categories that `fit` has not seen are NaN. A ``ColumnTransformer`` would do the same, but it
    changes the warning filters of the process for a moment, which other threads would notice.
    """
    is_number = frame.dtypes == np.float64
    numbers = frame.loc[:, is_number].to_numpy(dtype=np.float64)
    if encoder is None:
        return numbers
    codes = encoder.transform(frame.loc[:, ~is_number])
    start = 0
    for known, rare in zip(encoder.categories_, encoder.infrequent_categories_, strict=True):
        stop = start + len(known) - (0 if rare is None else len(rare) - 1)
        codes[~codes[:, start:stop].any(axis=1), start:stop] = np.nan
        start = stop
    return np.concatenate([numbers, codes], axis=1)


def frame_of(table: Table, columns: list[str], kinds: dict[str, str] | None) -> pd.DataFrame:
    """Return the input of the transformer.

    Parameters
    ----------
    table : Table
        X as a table.
    columns : list of str
        Names of the columns.
    kinds : dict of str to str, or None
        How the default transformer reads the columns; see `ContextFeatures`.

    Returns
    -------
    pandas.DataFrame
    """
    if kinds is None:
        return pa.table({name: table.column(name) for name in columns}).to_pandas()
    frame: dict[str, Any] = {}
    for name in columns:
        column = table.column(name)
        found = context_kind(column.type)
        if kinds[name] == "number":
            frame[name] = as_number(column, name)
        elif kinds[name] == "category":
            frame[name] = as_category(column, name)
        elif found == "time" or pa.types.is_null(column.type):
            when = column.to_pandas()
            when = pd.to_datetime(when) if when.dtype == object else when  # dates, or nulls
            frame[f"{name}: hour"] = _text(when.dt.hour)
            frame[f"{name}: weekday"] = _text(when.dt.day_of_week)
        else:
            raise ValueError(
                f"context column {name!r} holds {column.type}; in fit it held datetimes"
            )
    return pd.DataFrame(frame)


def _text(numbers: pd.Series) -> np.ndarray:
    """Return small whole numbers as texts, with None for null."""
    values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    texts = np.array([f"{number:02d}" for number in range(24)] + [None], dtype=object)
    return texts[np.where(np.isnan(values), 24, values).astype(np.int64)]


def _as_numbers(made: Any, n_rows: int, columns: list[str]) -> np.ndarray:
    """Return a transformer's output as an array (n_rows, F), or raise a ValueError."""
    shape = np.shape(made)
    if len(shape) != 2 or shape[0] != n_rows or not shape[1]:
        raise ValueError(
            f"the context transformer must give one vector per row, of shape ({n_rows}, "
            f"n_numbers), got shape {shape}"
        )
    made = made.toarray() if hasattr(made, "toarray") else made
    try:
        numbers = np.array(made, dtype=np.float64) + 0.0  # -0.0 becomes 0.0
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the context transformer must give numbers for the columns {preview(columns, 20)}: "
            f"{error}"
        ) from error
    if np.isinf(numbers).any():
        raise ValueError(
            f"the context transformer gave infinite numbers for the columns "
            f"{preview(columns, 20)}; null stands for an unknown number"
        )
    return numbers


def _scale(rows: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the scale (F,) of features, given distinct rows and their counts."""
    weight = np.where(np.isnan(rows), 0.0, counts[:, None])
    total = np.maximum(weight.sum(axis=0), 1e-300)
    known = np.nan_to_num(rows)
    mean = (weight * known).sum(axis=0) / total
    deviation = np.sqrt((weight * (known - mean) ** 2).sum(axis=0) / total)
    is_indicator = np.isin(known, (0.0, 1.0)).all(axis=0)
    constant = deviation <= 1e-12 * np.abs(mean)
    return mean, np.where(is_indicator | constant | (deviation == 0), 1.0, deviation)


def distinct_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows of a matrix (n, F), and the position of each row among them."""
    rows = np.ascontiguousarray(rows)
    as_bytes = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, codes = np.unique(as_bytes, return_index=True, return_inverse=True)
    return rows[first], codes.ravel()
