"""Checks of parameters. Each error names the parameter, its value and the valid values."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

# sklearn.utils.check_scalar is not used: its messages differ, and it raises a TypeError for a value
# of another type. Parameters of estimators always raise a ValueError such as "batch_size must be a
# positive int, got -10".


def check_int(name: str, value: Any, minimum: int = 1) -> None:
    """Raise a ValueError unless `value` is an int of at least `minimum`."""
    wanted = {0: "a non-negative int", 1: "a positive int"}.get(minimum, f"an int >= {minimum}")
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} must be {wanted}, got {value!r}")


def check_count(name: str, value: Any, least: int) -> None:
    """Raise a TypeError unless `value` is an int, and a ValueError if it is less than `least`."""
    message = f"{name} must be an int of at least {least}, got {value!r}"
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(message)
    if value < least:
        raise ValueError(message)


def check_real(
    name: str,
    value: Any,
    low: float = 0.0,
    high: float = float("inf"),
    *,
    closed: str = "both",
) -> None:
    """Raise a ValueError unless `value` is a finite number in an interval.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        Value of the parameter.
    low, high : float, default=0.0 and inf
        Ends of the interval.
    closed : {"both", "left", "right", "none"}, default="both"
        The ends that are valid values. An infinite end never is.
    """
    left, right = closed in ("both", "left"), closed in ("both", "right") and high < float("inf")
    good = isinstance(value, Real) and not isinstance(value, bool)
    if good:
        number = float(value)
        above = number >= low if left else number > low
        good = above and (number <= high if right else number < high)
    if not good:
        interval = f"{'[' if left else '('}{low:g}, {high:g}{']' if right else ')'}"
        raise ValueError(f"{name} must be a number in {interval}, got {value!r}")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise a ValueError unless `value` is one of `choices`."""
    if not any(value is choice or (value == choice) is True for choice in choices):
        shown = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {shown}, got {value!r}")


def check_hidden(hidden: Any, minimum: int = 1, name: str = "hidden") -> None:
    """Raise a ValueError unless `hidden` is a list or tuple of at least `minimum` layer sizes."""
    if not isinstance(hidden, (list, tuple)) or len(hidden) < minimum:
        raise ValueError(f"{name} must be a sequence of layer sizes, got {hidden!r}")
    for size in hidden:
        check_int(f"each size in {name}", size)


def check_heads(n_heads: Any, width: int) -> None:
    """Raise a ValueError unless the number of attention heads divides the width."""
    check_int("n_heads", n_heads)
    if width % n_heads:
        raise ValueError(f"n_heads must divide width={width}, got n_heads={n_heads}")


def check_layers(operator: Any, width: int) -> None:
    """Raise a ValueError if an operator's parameters do not define a stack of attention layers.

    Parameters
    ----------
    operator : operator
        With the parameters `n_layers`, `n_heads`, `hidden` and `dropout`.
    width : int
        D, the size of item and user vectors.
    """
    check_int("n_layers", operator.n_layers)
    check_heads(operator.n_heads, width)
    if operator.hidden is not None:
        check_int("hidden", operator.hidden)
    check_real("dropout", operator.dropout, 0, 1, closed="left")
