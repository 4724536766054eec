"""Checks of the parameters of ContentRecommender, which `fit` makes before anything else."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, NoneType
from typing import Any

import torch
from sklearn.base import clone

from skrec import behavior, content, predictor
from skrec._common.checks import check_choice, check_int, check_real
from skrec._common.messages import did_you_mean
from skrec._data.context import ContextFeatures
from skrec._operators import Operator, required_parameters, snake_case
from skrec._training.losses import LOSSES
from skrec._training.stepper import AUTOCAST
from skrec.content._base import refuse_nested
from skrec.metrics._registry import get_scoring

FAMILIES: dict[str, tuple[ModuleType, type[Operator]]] = {
    "content": (content, content.ContentOperator),
    "behavior": (behavior, behavior.BehaviorOperator),
    "predictor": (predictor, predictor.Predictor),
}


MAX_HISTORY_TARGETS = 10_000
NEGATIVE_SAMPLING = ("auto", "uniform", "popularity", "in_batch")
# operators that "auto" usually chooses
USUAL = {"content": "mean_pooling", "behavior": "moving_averages", "predictor": "dot"}


def check_parameters(estimator: Any) -> None:
    """Raise an error if a parameter other than an operator has an invalid value.

    Parameters
    ----------
    estimator : ContentRecommender
        The recommender, fitted or not.

    Raises
    ------
    ValueError
        If a value is invalid. The message names the parameter, its value and the valid values.
    TypeError
        If `memory` is neither a path nor None.
    """
    e = estimator
    for name in ("width", "max_history", "max_epochs", "n_iter_no_change"):
        check_int(name, getattr(e, name))
    _check_int_or("batch_size", e.batch_size, 1, ("auto",))
    _check_int_or("n_negatives", e.n_negatives, 1, ("auto", "all"))
    check_int("n_hard_negatives", e.n_hard_negatives, minimum=0)
    _check_int_or("history_targets", e.history_targets, 0, ("auto", "all"))
    if not isinstance(e.history_targets, str) and e.history_targets > MAX_HISTORY_TARGETS:
        raise ValueError(
            f"history_targets must be at most {MAX_HISTORY_TARGETS}, got {e.history_targets}; each "
            "step learns this number of additional clicks per row of the batch"
        )
    check_int("verbose", int(e.verbose) if isinstance(e.verbose, bool) else e.verbose, minimum=0)
    if e.learning_rate != "auto":
        check_real("learning_rate", e.learning_rate, closed="none")
    check_real("pretrained_learning_rate", e.pretrained_learning_rate, closed="none")
    check_real("weight_decay", e.weight_decay, closed="left")
    check_choice("lr_schedule", e.lr_schedule, ("constant", "linear", "cosine"))
    check_real("warmup_fraction", e.warmup_fraction, 0, 1, closed="left")
    if e.max_grad_norm is not None:
        check_real("max_grad_norm", e.max_grad_norm, closed="none")
    check_int("gradient_accumulation_steps", e.gradient_accumulation_steps)
    check_real("validation_fraction", e.validation_fraction, 0, 1, closed="none")
    check_choice("loss", e.loss, (None, *LOSSES))
    check_choice("negative_sampling", e.negative_sampling, NEGATIVE_SAMPLING)
    check_choice("precision", e.precision, ("auto", "float32", "float64", *AUTOCAST))
    check_choice("calibration", e.calibration, ("sigmoid", None))
    check_choice("unknown_items", e.unknown_items, ("raise", "ignore"))
    check_choice("co_clicks", e.co_clicks, ("auto", True, False))
    check_choice("early_stopping", e.early_stopping, (True, False))
    check_choice("warm_start", e.warm_start, (True, False))
    check_choice("processes", e.processes, ("auto", None))
    check_choice("context_fields", e.context_fields, (True, False))
    _check_context(e.context)
    if not isinstance(e.memory, (str, Path, NoneType)):
        raise TypeError(f"memory must be the path of a folder or None, got {e.memory!r}")
    try:
        get_scoring(e.scoring)
    except ValueError as error:
        raise ValueError(f"scoring: {error}") from None


USERS_OF_SHARDS = (
    "{!r} has a vector for each user, whose ids sharded rows do not give; take an operator without "
    "user vectors"
)


def asked_of_shards(asked: dict[str, Any], method: str) -> dict[str, Any]:
    """Return the parameters of a recommender for sharded rows, or raise for what they can't have.

    Parameters
    ----------
    asked : dict of str to object
        Parameters of the recommender.
    method : {"fit", "partial_fit"}
        The method that was called.

    Returns
    -------
    dict of str to object
        The same parameters, without co-clicks.

    Raises
    ------
    ValueError
        If a parameter needs all rows in memory.
    """
    if method != "fit":
        raise ValueError(
            "partial_fit takes rows in memory; pass the new rows, or train on shards with fit and "
            "warm_start=True"
        )
    context = asked["context"]
    refused = {
        "co_clicks=True": asked["co_clicks"] is True,
        f"n_hard_negatives={asked['n_hard_negatives']}": bool(asked["n_hard_negatives"]),
        f"context={context!r}": context is not None and not _is_warn(context),
    }
    for name in (name for name in refused if refused[name]):
        parameter = name.partition("=")[0]
        instead = {"co_clicks": "'auto'", "n_hard_negatives": 0, "context": None}[parameter]
        raise ValueError(
            f"{name} needs all rows in memory, and sharded rows are not; take {parameter}={instead}"
        )
    return asked | {"co_clicks": False}


def _is_warn(context: Any) -> bool:
    return isinstance(context, str) and context == "warn"


def check_combination(parameters: Any, kind: str, loss: str, reader: Any) -> None:
    """Raise a ValueError if parameters do not fit the training rows or the behavior operator.

    Parameters
    ----------
    parameters : object
        Has the parameters of the recommender as attributes, none of which is "auto".
    kind : {"impressions", "pairs", "histories"}
        Kind of the training rows.
    loss : str
        The loss.
    reader : behavior operator
        The operator that reads the histories.
    """
    if parameters.co_clicks and loss != "softmax":
        raise ValueError(
            f"co_clicks=True needs loss='softmax', got {kind} and loss={loss!r}; take "
            "co_clicks='auto'"
        )
    only_labels = loss == "bce" and kind != "histories" and not parameters.history_targets
    if parameters.negative_sampling == "in_batch":
        _check_used("negative_sampling='in_batch'", parameters.n_negatives, kind, only_labels)
    if parameters.n_hard_negatives:
        name = f"n_hard_negatives={parameters.n_hard_negatives}"
        _check_used(name, parameters.n_negatives, kind, only_labels)
    if parameters.n_negatives == "all" and (reader.candidate_aware or reader.late_fusion):
        raise ValueError(
            f"n_negatives='all' needs user vectors that are the same for all candidates, which "
            f"{reader!r} does not have; take a number"
        )


def _check_used(what: str, n_negatives: int | str, kind: str, only_labels: bool) -> None:
    """Raise a ValueError if a way to choose negatives would not be used.

    Parameters
    ----------
    what : str
        The parameter and its value.
    n_negatives : int or "all"
    kind : {"impressions", "pairs", "histories"}
        Kind of the training rows.
    only_labels : bool
        Whether only labels are learned, so that clicks have no negatives.
    """
    if n_negatives == "all":
        raise ValueError(
            f"{what} chooses some items as negatives, and n_negatives='all' takes the whole "
            "catalogue; take a number, or 'auto'"
        )
    if only_labels:
        raise ValueError(
            f"{what} has no effect on {kind} with loss='bce', which learns each candidate from its "
            "own label; take another loss, or history_targets"
        )


def _check_context(context: Any) -> None:
    """Raise an error unless `context` is None, a known word, a list of names or a transformer."""
    if context is None or (isinstance(context, str) and context in ("warn", "auto")):
        return
    if isinstance(context, str):
        raise ValueError(
            f"context must be None, 'warn', 'auto', a list of columns of X or a transformer, got "
            f"{context!r}; write context=[{context!r}] for one column"
        )
    if isinstance(context, type):
        raise TypeError(f"context must be an instance, write {context.__name__}() with parentheses")
    if isinstance(context, list | tuple):
        if not context or not all(isinstance(name, str) for name in context):
            raise ValueError(
                f"context must be a list of at least one column name of X, got {context!r}"
            )
        return
    lacking = [name for name in ("fit", "transform", "get_params") if not hasattr(context, name)]
    if lacking:
        raise TypeError(
            "context must be None, 'warn', 'auto', a list of columns of X or a scikit-learn "
            f"transformer, got {context!r}, which has no {' and no '.join(lacking)}"
        )


def check_context_field(context: ContextFeatures | None, predictor: Any) -> None:
    """Raise a ValueError if the context is a field of a predictor that reads no fields."""
    if context is not None and context.as_field and not predictor.is_network:
        raise ValueError(
            f"context_fields=True needs a predictor that is a network, such as predictor.MLP(), "
            f"got {predictor!r}, whose scores are products of the user and item vectors; take "
            "context_fields=False, which adds the context to the user vector"
        )


def _check_int_or(name: str, value: Any, minimum: int, others: tuple[str, ...]) -> None:
    """Raise a ValueError unless a value is a large enough integer or one of some words."""
    if isinstance(value, str):
        if value not in others:
            words = ", ".join(map(repr, others))
            raise ValueError(f"{name} must be an int or one of {words}, got {value!r}")
    else:
        check_int(name, value, minimum)


def check_precision(precision: str, device: torch.device) -> None:
    """Raise a ValueError if a device does not support training with a precision."""
    if precision == "float16" and device.type == "cpu":
        raise ValueError(
            "precision='float16' needs a GPU, got device='cpu'; take 'bfloat16' or 'auto'"
        )


def resolve_operator(name: str, value: Any, width: int) -> Any:
    """Return a clone of an operator, or a new operator for an alias, with checked parameters.

    Parameters
    ----------
    name : {"content", "behavior", "predictor"}
        Family of the operator.
    value : operator or str
        Value of the recommender's parameter: an operator or an alias.
    width : int
        D, the size of item and user vectors.

    Returns
    -------
    operator

    Raises
    ------
    ValueError
        If the alias is unknown, or a parameter of the operator is invalid.
    TypeError
        If `value` is neither a str nor an operator of the family.
    """
    package, family = FAMILIES[name]
    if isinstance(value, str):
        if value not in package.ALIASES:
            _refuse_unfinished(name, value)
            known = ", ".join(repr(alias) for alias in sorted(package.ALIASES))
            raise ValueError(
                f"{name} must be a {name} operator or one of {known}, got {value!r}"
                f"{did_you_mean(value, package.ALIASES)}"
            )
        value = package.ALIASES[value]()
    if isinstance(value, type):
        raise TypeError(f"{name} must be an instance, write {value.__name__}() with parentheses")
    if not isinstance(value, family):
        raise TypeError(
            f"{name} must be a {name} operator such as skrec.{name}."
            f"{next(iter(package.ALIASES.values())).__name__}(), got {value!r} of "
            f"{type(value).__module__}"
        )
    operator = clone(value)
    operator.check(width)
    return operator


def _refuse_unfinished(name: str, value: str) -> None:
    """Raise a ValueError if `value` names an operator that has parameters without a default."""
    package, family = FAMILIES[name]
    for operator in vars(package).values():
        if isinstance(operator, type) and issubclass(operator, family) and operator is not family:
            if snake_case(operator.__name__) == value:
                needed = ", ".join(f"{p}=..." for p in required_parameters(operator))
                raise ValueError(
                    f"{name}={value!r} needs parameters; pass skrec.{name}.{operator.__name__}"
                    f"({needed})"
                )


def refuse_nested_on_alias(estimator: Any, parameters: dict[str, Any]) -> None:
    """Raise a ValueError if `set_params` sets a parameter of an operator that is an alias.

    Parameters
    ----------
    estimator : ContentRecommender
        The recommender.
    parameters : dict of str to object
        Arguments of `set_params`, with nested keys such as ``"predictor__temperature"``.

    Raises
    ------
    ValueError
        If the operator of a nested key is given by an alias, such as ``predictor="dot"``.
    """
    for key in parameters:
        name, separator, inner = key.partition("__")
        if separator and name == "context":
            refuse_nested(estimator, name, parameters, "a transformer")
        if not separator or name not in FAMILIES:
            continue
        target = parameters.get(name, getattr(estimator, name))
        if isinstance(target, str):
            operator = FAMILIES[name][0].ALIASES.get(USUAL[name] if target == "auto" else target)
            example = f"{name}.{operator.__name__}({inner}=...)" if operator else "an operator"
            raise ValueError(
                f"{key} can't be set on the alias {name}={target!r}; pass {name}={example}"
            )
