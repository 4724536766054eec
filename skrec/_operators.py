"""What all operators share: checks of their parameters, and the table of aliases."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from sklearn.base import BaseEstimator


class Operator(BaseEstimator):
    """A light estimator that holds hyperparameters and builds a module when it is fitted.

    scikit-learn draws it as a box inside the recommender, and clones and searches it.
    """

    def check(self, width: int) -> None:
        """Raise a ValueError for parameters that can't work.

        Parameters
        ----------
        width : int
            D, the size of item and user vectors.
        """


class JointOperator(Operator):
    """An operator that has nothing to learn before it is trained with the others."""

    def fit(self, X: Any = None, y: Any = None) -> JointOperator:
        """Do nothing; it is here so that scikit-learn draws the operator as an estimator.

        Parameters
        ----------
        X : None
            Ignored.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        return self


def snake_case(name: str) -> str:
    """Turn a class name into its alias: SelfAttention into self_attention, CNN into cnn."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def aliases(namespace: Mapping[str, Any], family: type) -> dict[str, type]:
    """Collect the operators of one family that a package's namespace holds.

    Those with a parameter that has no default, such as the name of a language model, have none.
    """
    return {
        snake_case(name): value
        for name, value in namespace.items()
        if isinstance(value, type) and issubclass(value, family) and value is not family
        if not required_parameters(value)
    }


def required_parameters(operator: type) -> list[str]:
    """Return the names of the parameters of an operator class that have no default."""
    parameters = inspect.signature(operator).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.default is p.empty and p.kind in named]


def check_int(name: str, value: Any, minimum: int = 1) -> None:
    """Raise unless `value` is an int of at least `minimum`."""
    wanted = {0: "a non-negative int", 1: "a positive int"}.get(minimum, f"an int >= {minimum}")
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} must be {wanted}, got {value!r}")


def check_real(
    name: str,
    value: Any,
    low: float = 0.0,
    high: float = float("inf"),
    *,
    closed: str = "both",
) -> None:
    """Raise unless `value` is a finite number in an interval; `closed` says at which ends."""
    left, right = closed in ("both", "left"), closed == "both" and high < float("inf")
    good = isinstance(value, Real) and not isinstance(value, bool)
    if good:
        number = float(value)
        above = number >= low if left else number > low
        good = above and (number <= high if right else number < high)
    if not good:
        interval = f"{'[' if left else '('}{low:g}, {high:g}{']' if right else ')'}"
        raise ValueError(f"{name} must be a number in {interval}, got {value!r}")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise unless `value` is one of `choices`."""
    if not any(value is choice or (value == choice) is True for choice in choices):
        shown = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {shown}, got {value!r}")


def check_heads(n_heads: Any, width: int) -> None:
    """Raise unless the number of attention heads divides the width."""
    check_int("n_heads", n_heads)
    if width % n_heads:
        raise ValueError(f"n_heads must divide width={width}, got n_heads={n_heads}")


def check_layers(operator: Any, width: int) -> None:
    """Raise unless a stack of attention layers can be made of an operator's parameters."""
    check_int("n_layers", operator.n_layers)
    check_heads(operator.n_heads, width)
    if operator.hidden is not None:
        check_int("hidden", operator.hidden)
    check_real("dropout", operator.dropout, 0, 1, closed="left")


def check_hidden(hidden: Any, minimum: int = 1, name: str = "hidden") -> None:
    """Raise unless `hidden` is a sequence of at least `minimum` layer sizes."""
    if not isinstance(hidden, (list, tuple)) or len(hidden) < minimum:
        raise ValueError(f"{name} must be a sequence of layer sizes, got {hidden!r}")
    for size in hidden:
        check_int(f"each size in {name}", size)
