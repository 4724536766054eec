"""Checks of a recommender that is read from a folder, which may come from anywhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy import sparse
from sklearn.utils import check_random_state

from skrec._common.limits import LayerLimit
from skrec._data.context import ContextFeatures
from skrec._data.items import Items
from skrec._data.user_histories import are_histories
from skrec._inference.frames import LIBRARIES, OUTPUT_CONFIG
from skrec._inference.prior import Prior
from skrec._operators import Operator
from skrec._training.fit import build_network
from skrec._training.parameters import FAMILIES, check_parameters, resolve_operator
from skrec.content import ContentOperator
from skrec.content._lm.pretrained import PretrainedText

LARGEST_COUNT = 10**6  # of layers, blocks or positions, unless weights have a larger size
STATE = "_training_state"
OLD_STATE = "_progress"  # its name in folders that 0.1.0.dev0 saved

OUTPUTS = {("transform", library) for library in ("default", *LIBRARIES)}


def restored_state(kind: type, state: dict[str, Any]) -> dict[str, Any]:
    """Check the state of a fitted recommender as `fit` checks its parameters.

    Parameters
    ----------
    kind : type
        Class of the recommender. Its fitted attributes are those with an annotation.
    state : dict of str to object
        Parameters and fitted attributes, with the weights as arrays.

    Returns
    -------
    dict of str to object
        The state. Parameters that an earlier version did not have get their defaults.

    Raises
    ------
    ValueError, TypeError
        If an attribute is unknown, missing or invalid. The message names it.
    """
    if OLD_STATE in state:
        state = {STATE: state[OLD_STATE]} | {k: v for k, v in state.items() if k != OLD_STATE}
    defaults = {name: p.default for name, p in inspect.signature(kind).parameters.items()}
    fitted = {name for name in kind.__annotations__ if name.endswith("_")}
    fitted |= {STATE, OUTPUT_CONFIG}
    unknown = sorted(state.keys() - defaults.keys() - fitted)
    if unknown:
        raise ValueError(f"a {kind.__name__} has no attribute {unknown[0]}")
    state = defaults | LATER | state
    _check_parameters(state)
    for name, (meaning, is_valid) in FITTED.items():
        if name not in state and name != "best_score_":
            raise ValueError(f"the attribute {name} is missing")
        if not is_valid(state.get(name, 0.0)):
            raise ValueError(f"{name} must be {meaning}")
    width = len(state["network_"]["empty_history"])
    for name, (_, family) in FAMILIES.items():
        _check_operator(f"{name}_", state.get(f"{name}_"), family, width)
    if state["side_"] is not None:
        _check_operator("side_", state["side_"], ContentOperator, width)
    output = state.get(OUTPUT_CONFIG, {})
    if not isinstance(output, dict) or not set(output.items()) <= OUTPUTS:
        raise ValueError(f"{OUTPUT_CONFIG} must be what set_output writes")
    if state["histories_"] is not None and not are_histories(state["histories_"], state["items_"]):
        raise ValueError("histories_ must be None or a table of histories by ascending users")
    if (state["items_"].codes(state["removed_"], "removed_") < 0).any():
        raise ValueError("removed_ has ids that are missing from the catalogue")
    prior = state["prior_"]
    if prior is not None and len(prior.log_popularity) > state["items_"].n_items:
        raise ValueError("prior_ has more items than the catalogue")
    if state["n_clicks_"] is not None and len(state["n_clicks_"]) > state["items_"].n_items:
        raise ValueError("n_clicks_ has more items than the catalogue")
    largest = max(max(array.shape, default=0) for array in state["network_"].values())
    for name in (*(f"{family}_" for family in FAMILIES), "side_"):
        _check_counts(name, state[name], max(largest, LARGEST_COUNT))
    _check_shapes(state, width)
    return state


def _check_parameters(state: dict[str, Any]) -> None:
    """Raise an error if a parameter is invalid."""
    check_parameters(SimpleNamespace(**state))
    try:
        check_random_state(state["random_state"])
    except ValueError as error:
        raise ValueError(f"random_state: {error}") from None
    device = state["device"]
    if isinstance(device, str | torch.device) and str(device).startswith("meta"):
        raise ValueError("device must be one that computes, got 'meta'")
    for name, (_, family) in FAMILIES.items():
        if isinstance(state[name], str) and state[name] == "auto":
            continue
        if isinstance(state[name], str):
            resolve_operator(name, state[name], state["width"])
        else:
            _check_operator(name, state[name], family, state["width"])


def _check_operator(name: str, value: Any, family: type[Operator], width: int) -> None:
    """Raise an error if a value is not a valid operator of a family."""
    if not isinstance(value, family):
        raise TypeError(f"{name} must be a {family.__name__}, got {type(value).__name__}")
    try:
        value.check(width)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: {error}") from error


def _check_counts(name: str, operator: Any, most: int) -> None:
    """Raise a ValueError if an operator's number of parts is so large that a list of them is."""
    if not isinstance(operator, Operator):
        return
    for key, value in vars(operator).items():
        if key.startswith("n_") and isinstance(value, int) and value > most:
            raise ValueError(f"{name}: {key} must be at most {most} for these weights, got {value}")
        _check_counts(f"{name}.{key}", value, most)


def _check_shapes(state: dict[str, Any], width: int) -> None:
    """Raise a ValueError if weights have other shapes than the operators need.

    The network is built without memory for its weights, because a changed folder may describe one
    of any size. Operators that can't be built like this are checked when weights are loaded.
    """
    content, behavior = state["content_"], state["behavior_"]
    predictor, side, context = state["predictor_"], state["side_"], state["context_"]
    operators = content, behavior, predictor, side
    parts = [part for each in operators if each for part in (each, *vars(each).values())]
    if any(isinstance(part, PretrainedText) for part in parts):
        return  # a language model is loaded from its own folder
    try:
        with torch.device("meta"), LayerLimit(len(state["network_"]), "the network"):
            network = build_network(
                content, behavior, predictor, side, state["users_"], context, width
            )
    except RuntimeError as error:
        if "meta" in str(error):
            return
        raise ValueError(f"the network can't be built: {error}") from error
    for reader in (content, side):
        if reader is not None and state["items_"].n_items:
            _check_reader(reader, state["items_"].take([0]))
    found = state["network_"]
    for name, weight in network.trained_state().items():
        if name in found and found[name].shape != tuple(weight.shape):
            raise ValueError(
                f"network_.{name}: size mismatch, got {found[name].shape}, and the operators need "
                f"{tuple(weight.shape)}"
            )


def _check_reader(operator: Any, items: Items) -> None:
    """Raise a ValueError if a fitted operator can't read an item."""
    try:
        operator.prepare(items)
    except Exception as error:  # any part of the operator may be of a wrong type
        name = type(operator).__name__
        raise ValueError(f"the fitted {name} can't read the catalogue: {error!r}") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int | np.floating) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _is_calibration(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(map(_is_number, value))
        and bool(np.isfinite(value).all())
    )


def _are_ids(value: Any) -> bool:
    if value is None:
        return True
    is_plain = isinstance(value, pa.Array) and not value.null_count
    return is_plain and len(value.unique()) == len(value)


def _are_weights(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(k, str) and isinstance(v, np.ndarray) for k, v in value.items())
        and "empty_history" in value
        and value["empty_history"].ndim == 1
    )


def _are_chosen(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)


def _is_prior(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, Prior) or vars(value).keys() != {
        field.name for field in fields(Prior)
    }:
        return False
    if not isinstance(value.weights, tuple):
        return False
    expected = value.mean_log_co_clicks, value.mean_score, value.slope
    numbers = *value.weights, value.decay, *expected
    popularity, similar = value.log_popularity, value.similarities
    shape = (len(popularity),) * 2 if isinstance(popularity, np.ndarray) else None
    return (
        len(value.weights) == 3
        and all(map(_is_number, numbers))
        and bool(np.isfinite(numbers).all())
        and 0 < value.decay <= 1
        and shape is not None
        and popularity.dtype == np.float32
        and popularity.ndim == 1
        and bool(np.isfinite(popularity).all())
        and (similar is None or _are_similarities(similar, shape))
    )


def _are_similarities(value: Any, shape: tuple[int, ...]) -> bool:
    return (
        isinstance(value, sparse.csr_array)
        and value.shape == shape
        and value.dtype == np.float32
        and bool((np.isfinite(value.data) & (value.data >= 0)).all())
    )


def are_counts(value: Any) -> bool:
    """Whether a value is None, or finite counts of float64 that are not negative."""
    return value is None or (
        isinstance(value, np.ndarray)
        and value.ndim == 1
        and value.dtype == np.float64
        and bool((np.isfinite(value) & (value >= 0)).all())
    )


def _is_context(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, ContextFeatures) or vars(value).keys() != {
        field.name for field in fields(ContextFeatures)
    }:
        return False
    mean, scale, kinds = value.mean, value.scale, value.kinds
    return (
        _are_names(value.columns)
        and (kinds is None or (isinstance(kinds, dict) and list(kinds) == value.columns))
        and all(isinstance(x, np.ndarray) and x.dtype == np.float64 for x in (mean, scale))
        and mean.ndim == 1
        and mean.shape == scale.shape != (0,)
        and bool(np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all())
        and (hasattr(value.transformer, "transform") or _has_only_numbers(kinds))
        and isinstance(value.as_field, bool)
    )


def _has_only_numbers(kinds: Any) -> bool:
    return isinstance(kinds, dict) and set(kinds.values()) == {"number"}


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_training_state(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and value.keys() == {"rng", "dropout", "moments"}
        and isinstance(value["dropout"], np.ndarray)
        and value["dropout"].dtype == np.uint8
        and isinstance(value["moments"], dict)
    )


# fitted attributes that earlier versions did not save
LATER: dict[str, Any] = {
    "chosen_": {},
    "prior_": None,
    "n_clicks_": None,
    "histories_": None,
    "removed_": np.empty(0, np.int64),
    "context_": None,
}
# what each fitted attribute must be, and a function that tells whether it is
FITTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "network_": ("arrays by name, with a vector for empty histories", _are_weights),
    "classes_": ("[0, 1]", lambda value: np.array_equal(value, [0, 1])),
    "items_": ("a catalogue", lambda value: isinstance(value, Items)),
    "removed_": ("an array of ids", lambda v: isinstance(v, np.ndarray) and v.ndim == 1),
    "users_": ("distinct ids or None", _are_ids),
    "side_": ("an operator or None", lambda value: value is None or isinstance(value, Operator)),
    "n_epochs_": ("a count", _is_count),
    "n_skipped_": ("a count", _is_count),
    "n_clicks_": ("None or a count of clicks per item", are_counts),
    "loss_curve_": ("a list of numbers", _are_numbers),
    "validation_scores_": ("a list of numbers", _are_numbers),
    "best_score_": ("a number", _is_number),
    "calibration_": ("two finite numbers", _is_calibration),
    "chosen_": ("parameters by their names", _are_chosen),
    "prior_": ("None or weights, popularity and similarities of items", _is_prior),
    "context_": ("None or a fitted transformer with the scale of its features", _is_context),
    STATE: ("None or what training continues from", _is_training_state),
}
