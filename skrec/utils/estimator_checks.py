"""Checks of operators and recommenders, for tests of your own.

With pytest, three lines test an operator, each check under its own name::

    from skrec.utils.estimator_checks import parametrize_with_checks

    @parametrize_with_checks([LatestMean(), LatestMean(n_latest=5)])
    def test_contract(estimator, check):
        check(estimator)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from skrec._recommender import ContentRecommender
from skrec.behavior import BehaviorOperator
from skrec.content import ContentOperator
from skrec.predictor import Predictor
from skrec.utils import _checks_behavior, _checks_content, _checks_predictor, _checks_recommender

__all__ = [
    "check_behavior_operator",
    "check_content_operator",
    "check_predictor",
    "check_recommender",
    "iter_checks",
    "parametrize_with_checks",
]

Check = Callable[[Any], None]

CHECKS: dict[type, list[Check]] = {
    ContentOperator: _checks_content.CHECKS,
    BehaviorOperator: _checks_behavior.CHECKS,
    Predictor: _checks_predictor.CHECKS,
    ContentRecommender: _checks_recommender.CHECKS,
}


def check_content_operator(operator: ContentOperator) -> None:
    """Check a content operator: its parameters, `fit`, `prepare`, and the module it builds.

    Parameters
    ----------
    operator : ContentOperator
        An instance with the parameters to check. It is cloned and stays as it is. It is fitted
        to a small catalogue with a column of every role.

    Raises
    ------
    AssertionError
        By the first check that fails; the message says what is wrong and what to do.
    TypeError
        For anything but a content operator.

    Examples
    --------
    >>> from skrec import content
    >>> from skrec.utils.estimator_checks import check_content_operator
    >>> check_content_operator(content.MeanPooling(max_length=8))
    """
    _check(operator, ContentOperator)


def check_behavior_operator(operator: BehaviorOperator) -> None:
    """Check a behavior operator: its parameters and the module it builds.

    Parameters
    ----------
    operator : BehaviorOperator
        An instance with the parameters to check. It is cloned and stays as it is.

    Raises
    ------
    AssertionError
        By the first check that fails; the message says what is wrong and what to do.
    TypeError
        For anything but a behavior operator.

    Examples
    --------
    >>> from skrec import behavior
    >>> from skrec.utils.estimator_checks import check_behavior_operator
    >>> check_behavior_operator(behavior.AdditiveAttention(hidden=8))
    """
    _check(operator, BehaviorOperator)


def check_predictor(operator: Predictor) -> None:
    """Check a predictor: its parameters and the module it builds.

    Parameters
    ----------
    operator : Predictor
        An instance with the parameters to check. It is cloned and stays as it is.

    Raises
    ------
    AssertionError
        By the first check that fails; the message says what is wrong and what to do.
    TypeError
        For anything but a predictor.

    Examples
    --------
    >>> from skrec import predictor
    >>> from skrec.utils.estimator_checks import check_predictor
    >>> check_predictor(predictor.Dot(temperature=0.1))
    """
    _check(operator, Predictor)


def check_recommender(estimator: ContentRecommender) -> None:
    """Check a recommender: scikit-learn's conventions, and what it answers once fitted.

    scikit-learn's own ``check_estimator`` fits arrays of numbers, which a recommender does not
    take; those of its checks that need no data are among these.

    Parameters
    ----------
    estimator : ContentRecommender
        An instance of it or of a class derived from it, with the parameters to check. It is
        cloned and stays as it is; clones are fitted for two epochs, with seed 0.

    Raises
    ------
    AssertionError
        By the first check that fails; the message says what is wrong and what to do.
    TypeError
        For anything but a recommender.

    Examples
    --------
    >>> from skrec import ContentRecommender
    >>> from skrec.utils.estimator_checks import check_recommender
    >>> check_recommender(ContentRecommender("mean_pooling", width=8))
    """
    _check(estimator, ContentRecommender)


def iter_checks(estimators: Iterable[Any]) -> Iterator[tuple[Any, Check]]:
    """Yield each operator or recommender with each check that concerns it.

    Parameters
    ----------
    estimators : iterable of operators and recommenders
        Instances, of any family.

    Yields
    ------
    estimator : operator or recommender
        One of `estimators`.
    check : callable
        Takes the estimator; raises an AssertionError where it fails.

    Raises
    ------
    TypeError
        For anything that is neither an operator nor a recommender.

    Examples
    --------
    >>> from skrec import predictor
    >>> from skrec.utils.estimator_checks import iter_checks
    >>> for operator, check in iter_checks([predictor.Dot()]):
    ...     check(operator)
    """
    for estimator in estimators:
        for check in CHECKS[_family(estimator)]:
            yield estimator, check


def parametrize_with_checks(estimators: Iterable[Any]) -> Any:
    """Make one pytest case of each check: a decorator for a test of `estimator` and `check`.

    Parameters
    ----------
    estimators : iterable of operators and recommenders
        Instances, of any family.

    Returns
    -------
    pytest.MarkDecorator
        Cases have names such as ``Dot()-check_eval_is_deterministic``.

    Raises
    ------
    TypeError
        For anything that is neither an operator nor a recommender.

    Examples
    --------
    >>> from skrec import behavior
    >>> from skrec.utils.estimator_checks import parametrize_with_checks
    >>> @parametrize_with_checks([behavior.GRU(), behavior.LastItem()])
    ... def test_contract(estimator, check):
    ...     check(estimator)
    """
    import pytest  # not needed to install or use skrec

    cases = [
        pytest.param(estimator, check, id=f"{_id(estimator)}-{_id(check)}")
        for estimator, check in iter_checks(estimators)
    ]
    return pytest.mark.parametrize(("estimator", "check"), cases)


def _family(estimator: Any) -> type:
    for family in CHECKS:
        if isinstance(estimator, family):
            return family
        if inspect.isclass(estimator) and issubclass(estimator, family):
            raise TypeError(f"pass an instance: {estimator.__name__}() with parentheses")
    names = ", ".join(family.__name__ for family in CHECKS)
    raise TypeError(f"expected an instance of one of {names}, got {estimator!r}")


def _check(estimator: Any, family: type) -> None:
    found = _family(estimator)
    if found is not family:
        raise TypeError(f"expected a {family.__name__}, got the {found.__name__} {estimator!r}")
    for check in CHECKS[family]:
        try:
            check(estimator)
        except Exception as error:
            error.add_note(f"in {_id(check)} of {estimator!r}: {_summary(check)}")
            raise


def _id(value: Any) -> str:
    """Return what names a case: a check's name, or an estimator's repr on one line."""
    return getattr(value, "__name__", None) or " ".join(repr(value).split())


def _summary(check: Check) -> str:
    return (inspect.getdoc(check) or "").split("\n")[0]
