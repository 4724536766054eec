"""The guide's "Write your own operator" is true: its code runs, as a user would run it."""

import importlib
import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "operators.rst"


@pytest.fixture
def blocks(tmp_path, monkeypatch):
    """The section's code, the first block of which is a module that can be imported."""
    section = GUIDE.read_text(encoding="utf-8").split("Write your own operator\n")[1]
    found = re.findall(r"\.\. code-block:: python\n\n((?:   .*\n|\n)+)", section)
    operator, *others = map(dedent, found)
    (tmp_path / "distance.py").write_text(operator, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield operator, others
    sys.modules.pop("distance", None)


def test_the_operator_is_short(blocks):
    assert len([line for line in blocks[0].splitlines() if line.strip()]) <= 12


def test_it_is_searched_and_passes_the_checks(blocks):
    _, (search, check) = blocks
    names = {}
    exec(search, names)
    scores = names["search"].cv_results_["mean_test_score"]
    # the operator is the one that was trained, and its parameter arrives
    assert len(set(scores)) == 3 and all(0 < score <= 1 for score in scores)
    exec(check, {})


def test_the_checks_see_a_broken_one(blocks):
    """A section whose checks can't fail would teach nothing."""
    from skrec.utils.estimator_checks import check_predictor

    distance = importlib.import_module("distance")
    distance.MinusDistance.score = lambda self, user, item: (user - item).sum(-1, keepdim=True)
    with pytest.raises(AssertionError):
        check_predictor(distance.Distance())
