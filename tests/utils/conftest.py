"""Fixtures of the tests of checks."""

import pytest

from skrec.utils.estimator_checks import iter_checks


@pytest.fixture
def fail():
    """Return a function that runs a check by name, and requires that it fails with a message."""

    def fail(operator, check, match):
        (found,) = [one for _, one in iter_checks([operator]) if one.__name__ == check]
        with pytest.raises(AssertionError, match=match):
            found(operator)

    return fail
