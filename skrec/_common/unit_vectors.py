"""Vectors of length 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse


def normalized(vectors: Any) -> Any:
    """Return vectors (n, D), dense or sparse, divided by their lengths; zeros stay zeros."""
    if sparse.issparse(vectors):
        squares = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
        scale = 1 / np.sqrt(np.where(squares > 0, squares, 1))
        return sparse.csr_array(sparse.diags_array(scale.astype(vectors.dtype)) @ vectors)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)
