"""Base classes of all operators, and the table of aliases."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator


class Operator(BaseEstimator):
    """Base class of all operators: an estimator that holds hyperparameters and builds a module.

    The module is built when the recommender is fitted. scikit-learn shows an operator as a box
    inside the recommender, clones it and searches over its parameters.
    """

    def check(self, width: int) -> None:
        """Raise a ValueError if a parameter is invalid.

        Parameters
        ----------
        width : int
            Size of item and user vectors, D.
        """


class JointOperator(Operator):
    """Base class of operators that learn nothing before the joint training."""

    def fit(self, X: Any = None, y: Any = None) -> JointOperator:
        """Do nothing; scikit-learn displays only objects with a `fit` method as estimators.

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
    """Return the alias of a class name: self_attention for SelfAttention, cnn for CNN."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def aliases(namespace: Mapping[str, Any], family: type) -> dict[str, type]:
    """Return the operators of one family in a package's namespace, by alias.

    Operators with a required parameter, such as the name of a language model, have no alias.
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
