"""Predictions for impressions, which have one array per row."""

from __future__ import annotations

from typing import Any

import numpy as np


class RowArrays(np.ndarray):
    """Object array of shape (n_samples,) with one array per row, which explains failed indexing."""

    def __getitem__(self, key: Any) -> Any:
        try:
            return super().__getitem__(key)
        except IndexError as error:
            if not isinstance(key, tuple) or len(key) < 2:
                raise
            raise IndexError(
                f"{error}. Impressions have one array per row, because their lists differ in "
                "length: write np.concatenate(p)[:, 1] for the click probabilities of all "
                "candidates, or predict_proba(skrec.explode(X)[0])[:, 1]"
            ) from None
