"""What transformers of scikit-learn read of a catalogue."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from sklearn.feature_extraction.text import TfidfVectorizer

from skrec._data.items import Items
from skrec.content._columns.dense import describe_roles
from skrec.content._features import joined_texts, word_pattern


def input_of(items: Items, columns: dict[str, str], as_frame: bool) -> Any:
    """Return the input of a transformer: a DataFrame of columns, or one text per item.

    Parameters
    ----------
    items : Items
        The items.
    columns : dict of str to str
        Roles of the columns to read.
    as_frame : bool
        Whether to return a DataFrame.

    Returns
    -------
    pandas.DataFrame or list of str
    """
    if as_frame:
        return pa.table({name: items.column(name) for name in columns}).to_pandas()
    return joined_texts(items, columns)


def fit_default(texts: list[str], columns: dict[str, str]) -> TfidfVectorizer:
    """Fit TF-IDF of words to texts, or raise a ValueError if there are no words."""
    vectorizer = TfidfVectorizer(token_pattern=word_pattern(), sublinear_tf=True)
    try:
        return vectorizer.fit(texts)
    except ValueError as error:
        raise ValueError(
            f"ContentKNN found no words in {describe_roles(columns)}; give columns=[...] and a "
            "vectorizer that reads a DataFrame of them, or content.Vectors()"
        ) from error
