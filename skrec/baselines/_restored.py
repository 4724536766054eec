"""Checks of a baseline that is read from a folder, which may come from anywhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skrec._data.items import Items
from skrec._data.user_histories import are_histories
from skrec._training.restored import are_counts


def restored_state(kind: type, state: dict[str, Any]) -> dict[str, Any]:
    """Check the state of a fitted baseline as `fit` checks its parameters.

    Parameters
    ----------
    kind : type
        Class of the baseline. Its fitted attributes are those with an annotation.
    state : dict of str to object
        Parameters and fitted attributes.

    Returns
    -------
    dict of str to object
        The state. Parameters that an earlier version did not have get their defaults.

    Raises
    ------
    ValueError, TypeError
        If an attribute is unknown, missing or invalid. The message names it.
    """
    defaults = {name: p.default for name, p in inspect.signature(kind).parameters.items()}
    annotated = {name for each in kind.__mro__ for name in vars(each).get("__annotations__", ())}
    fitted = {name for name in annotated if name.endswith("_") and not name.endswith("__")}
    unknown = sorted(state.keys() - defaults.keys() - fitted)
    if unknown:
        raise ValueError(f"a {kind.__name__} has no attribute {unknown[0]}")
    state = LATER | state
    missing = sorted(fitted - state.keys())
    if missing:
        raise ValueError(f"the attribute {missing[0]} is missing")
    state = defaults | state
    made: Any = object.__new__(kind)
    made.__dict__.update(state)
    made._check_parameters()
    check_random_state(state["random_state"])
    if not isinstance(state["items_"], Items):
        raise ValueError("items_ must be a catalogue")
    n_items = state["items_"].n_items
    if state["histories_"] is not None and not are_histories(state["histories_"], state["items_"]):
        raise ValueError("histories_ must be None or a table of histories by ascending users")
    for name in sorted(fitted - {"items_", "histories_"}):
        meaning, is_valid = FITTED[name]
        if not is_valid(state[name], n_items):
            raise ValueError(f"{name} must be {meaning}")
    made._check_fitted()
    return state


def _is_calibration(value: Any, n_items: int) -> bool:
    is_pair = isinstance(value, tuple) and len(value) == 2
    return is_pair and all(isinstance(x, float) and np.isfinite(x) for x in value)


def _are_scores(value: Any, n_items: int) -> bool:
    return (
        isinstance(value, np.ndarray)
        and value.shape == (n_items,)
        and value.dtype == np.float32
        and bool(np.isfinite(value).all())
    )


def _are_counts(value: Any, n_items: int) -> bool:
    return are_counts(value) and (value is None or len(value) == n_items)


def _are_similarities(value: Any, n_items: int) -> bool:
    return (
        isinstance(value, sparse.csr_array)
        and value.shape == (n_items, n_items)
        and value.dtype == np.float32
        and bool(np.isfinite(value.data).all())
    )


def _are_roles(value: Any, n_items: int) -> bool:
    return isinstance(value, dict) and all(
        isinstance(each, str) for each in (*value, *value.values())
    )


# fitted attributes that earlier versions did not save
LATER: dict[str, Any] = {"n_clicks_": None, "histories_": None}
# what each fitted attribute must be, and a function that tells whether it is
FITTED: dict[str, tuple[str, Callable[[Any, int], bool]]] = {
    "classes_": ("[0, 1]", lambda value, n_items: np.array_equal(value, [0, 1])),
    "popularity_": ("one finite number of float32 per item", _are_scores),
    "n_clicks_": ("None or a count of clicks per item", _are_counts),
    "calibration_": ("two finite numbers", _is_calibration),
    "similarities_": ("a finite csr_array of float32 of items by items", _are_similarities),
    "columns_": ("roles by the names of columns", _are_roles),
    "vectorizer_": ("a transformer", lambda value, n_items: hasattr(value, "get_params")),
}
