"""What all operators share: checks of their parameters, and the table of aliases."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
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
