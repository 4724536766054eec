"""Comparison of the parameters of a fitted recommender with those of its network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from skrec._operators import Operator
from skrec.content._lm import tokenizer_hash

LONGEST_VALUE = 120  # characters of a value in an error message


def check_same_model(recommender: Any, operators: dict[str, Operator]) -> None:
    """Raise a ValueError if parameters of the network have changed since the first fit.

    Parameters
    ----------
    recommender : ContentRecommender
        A fitted recommender, whose training is resumed.
    operators : dict of str to operator
        Operators of its current parameters, by family.

    Raises
    ------
    ValueError
        If an operator, `width` or `precision` differs from that of the network.
    """
    network = recommender.network_
    changed = [
        difference
        for name, operator in operators.items()
        for difference in _differences(name, operator, getattr(recommender, f"{name}_"))
    ]
    if recommender.width != network.width:
        changed.append(f"width={recommender.width}, was {network.width}")
    known = recommender.context_
    asked = recommender.context
    if known is None:
        if not (asked is None or isinstance(asked, str)):
            changed.append(f"context={asked!r}, was without")
    elif not _are_equal(list(asked) if isinstance(asked, tuple) else asked, known.asked):
        changed.append(f"context={asked!r}, was {known.asked!r}")
    elif recommender.context_fields != known.as_field:
        changed.append(f"context_fields={recommender.context_fields}, was {known.as_field}")
    is_double = network.empty_history.dtype is torch.float64
    if (recommender.precision == "float64") != is_double:
        was = "'float64'" if is_double else "another than 'float64'"
        changed.append(f"precision={recommender.precision!r}, was {was}")
    if changed:
        raise ValueError(
            "training can't go on with another model; changed since the first fit: "
            + "; ".join(changed)
            + ". Set it back, or call fit with warm_start=False"
        )


def _differences(name: str, one: Any, other: Any) -> list[str]:
    """Return descriptions of the parameters in which two values differ."""
    if type(one) is type(other) and hasattr(one, "get_params"):
        mine, theirs = one.get_params(deep=False), other.get_params(deep=False)
        return [
            text for key in mine for text in _differences(f"{name}.{key}", mine[key], theirs[key])
        ]
    return [] if _are_equal(one, other) else [f"{name}={_shown(one)}, was {_shown(other)}"]


def _shown(value: Any) -> str:
    """Return the representation of a value, or the beginning of it."""
    if isinstance(value, nn.Module):
        return f"another {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _are_equal(one: Any, other: Any) -> bool:
    """Whether two values of parameters are equal.

    Operators are equal if their parameters are, tokenizers if they split texts alike, and models if
    their weights are equal.
    """
    if one is other:
        return True
    if hasattr(one, "save_pretrained") and hasattr(other, "save_pretrained"):
        return _mean_the_same(one, other)
    if type(one) is not type(other):
        return False
    if hasattr(one, "get_params"):
        mine, theirs = one.get_params(deep=False), other.get_params(deep=False)
        return all(_are_equal(mine[name], theirs[name]) for name in mine)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_are_equal, one, other))
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)


def _mean_the_same(one: Any, other: Any) -> bool:
    """Whether two tokenizers, models or configurations of libraries have the same content."""
    if isinstance(one, nn.Module) and isinstance(other, nn.Module):
        mine, theirs = one.state_dict(), other.state_dict()
        return (
            type(one) is type(other)
            and mine.keys() == theirs.keys()
            and all(torch.equal(mine[name], theirs[name]) for name in mine)
        )
    if hasattr(one, "get_vocab") and hasattr(other, "get_vocab"):
        return tokenizer_hash(one) == tokenizer_hash(other)
    return type(one) is type(other) and bool(one == other)
