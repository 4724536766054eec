"""Checks that an operator or a recommender works with all of skrec and scikit-learn.

If you write an operator, run these checks in your tests. With pytest, three lines run each check
as a separate test case::

    from skrec.utils.estimator_checks import parametrize_with_checks

    @parametrize_with_checks([LatestMean(), LatestMean(n_latest=5)])
    def test_contract(estimator, check):
        check(estimator)

Without pytest, `check_content_operator`, `check_behavior_operator`, `check_predictor` and
`check_recommender` run all checks of one family, and stop at the first failure. Each failure says
what is wrong and how to fix it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from skrec._recommender import ContentRecommender
from skrec.baselines._base import Baseline
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
    Baseline: _checks_recommender.BASELINE_CHECKS,
}


def check_content_operator(operator: ContentOperator) -> None:
    """Check a content operator: its parameters, `fit`, `prepare`, and the module that it builds.

    Parameters
    ----------
    operator : ContentOperator
        Instance with the parameters to check. It is not modified. Clones of it are fitted to a
        small catalogue with one column per role.

    Raises
    ------
    AssertionError
        If a check fails. The message says what is wrong and how to fix it.
    TypeError
        If `operator` is not an instance of a content operator.

    Examples
    --------
    >>> from skrec import content
    >>> from skrec.utils.estimator_checks import check_content_operator
    >>> check_content_operator(content.MeanPooling(max_length=8))
    """
    _check(operator, ContentOperator)


def check_behavior_operator(operator: BehaviorOperator) -> None:
    """Check a behavior operator: its parameters and the module that it builds.

    Parameters
    ----------
    operator : BehaviorOperator
        Instance with the parameters to check. It is not modified; the checks use clones.

    Raises
    ------
    AssertionError
        If a check fails. The message says what is wrong and how to fix it.
    TypeError
        If `operator` is not an instance of a behavior operator.

    Examples
    --------
    >>> from skrec import behavior
    >>> from skrec.utils.estimator_checks import check_behavior_operator
    >>> check_behavior_operator(behavior.AdditiveAttention(hidden=8))
    """
    _check(operator, BehaviorOperator)


def check_predictor(operator: Predictor) -> None:
    """Check a predictor: its parameters and the module that it builds.

    Parameters
    ----------
    operator : Predictor
        Instance with the parameters to check. It is not modified; the checks use clones.

    Raises
    ------
    AssertionError
        If a check fails. The message says what is wrong and how to fix it.
    TypeError
        If `operator` is not an instance of a predictor.

    Examples
    --------
    >>> from skrec import predictor
    >>> from skrec.utils.estimator_checks import check_predictor
    >>> check_predictor(predictor.Dot(temperature=0.1))
    """
    _check(operator, Predictor)


def check_recommender(estimator: Any) -> None:
    """Check a recommender or baseline: scikit-learn's conventions, `fit`, and all methods.

    Most checks of scikit-learn's ``check_estimator`` fit arrays of numbers, which a recommender
    does not accept. Those that need no data are included here.

    Parameters
    ----------
    estimator : ContentRecommender or baseline
        Instance of `ContentRecommender`, of a class of :mod:`skrec.baselines`, or of a subclass,
        with the parameters to check. It is not modified. Clones of it are fitted, recommenders for
        two epochs, with ``random_state=0``.

    Raises
    ------
    AssertionError
        If a check fails. The message says what is wrong and how to fix it.
    TypeError
        If `estimator` is not an instance of a recommender.

    Examples
    --------
    >>> from skrec import ContentRecommender
    >>> from skrec.utils.estimator_checks import check_recommender
    >>> check_recommender(ContentRecommender("mean_pooling", width=8))
    """
    _check(estimator, Baseline if isinstance(estimator, Baseline) else ContentRecommender)


def iter_checks(estimators: Iterable[Any]) -> Iterator[tuple[Any, Check]]:
    """Yield each operator or recommender with each check of its family.

    Parameters
    ----------
    estimators : iterable of operators and recommenders
        Instances of any families.

    Yields
    ------
    estimator : operator or recommender
        One of `estimators`.
    check : callable
        Function that is called with the estimator, and raises an AssertionError if it fails.

    Raises
    ------
    TypeError
        If an entry is neither an operator nor a recommender.

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
    """Decorate a test with the arguments `estimator` and `check`, to run one test case per check.

    Parameters
    ----------
    estimators : iterable of operators and recommenders
        Instances of any families.

    Returns
    -------
    pytest.MarkDecorator
        Decorator. The test cases have ids such as ``Dot()-check_eval_is_deterministic``.

    Raises
    ------
    TypeError
        If an entry is neither an operator nor a recommender.

    Examples
    --------
    >>> from skrec import behavior
    >>> from skrec.utils.estimator_checks import parametrize_with_checks
    >>> @parametrize_with_checks([behavior.GRU(), behavior.LastItem()])
    ... def test_contract(estimator, check):
    ...     check(estimator)
    """
    import pytest  # an optional dependency

    cases = [
        pytest.param(estimator, check, id=f"{_id(estimator)}-{_id(check)}")
        for estimator, check in iter_checks(estimators)
    ]
    return pytest.mark.parametrize(("estimator", "check"), cases)


def _family(estimator: Any) -> type:
    """Return the family of an operator or recommender, which is a key of `CHECKS`."""
    for family in CHECKS:
        if isinstance(estimator, family):
            return family
        if inspect.isclass(estimator) and issubclass(estimator, family):
            raise TypeError(f"pass an instance: {estimator.__name__}() with parentheses")
    names = ", ".join(family.__name__ for family in CHECKS)
    raise TypeError(f"expected an instance of one of {names}, got {estimator!r}")


def _check(estimator: Any, family: type) -> None:
    """Run all checks of a family, and add the name of a failed check to its error."""
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
    """Return the name of a check, or the repr of an estimator on one line."""
    return getattr(value, "__name__", None) or " ".join(repr(value).split())


def _summary(check: Check) -> str:
    """Return the first line of the docstring of a check."""
    return (inspect.getdoc(check) or "").split("\n")[0]
