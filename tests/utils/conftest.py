"""What the tests of checks share."""

import pytest

from skrec.utils.estimator_checks import iter_checks


@pytest.fixture
def fail():
    """Run the one check of a name, which must fail with certain words."""

    def fail(operator, check, match):
        (found,) = [one for _, one in iter_checks([operator]) if one.__name__ == check]
        with pytest.raises(AssertionError, match=match):
            found(operator)

    return fail
