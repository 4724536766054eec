"""What CONTRIBUTING.md says of operators is true, and the guide describes all of them."""

import re
from pathlib import Path

import pytest
import torch
from sklearn.base import clone

from skrec import ContentRecommender, Items, behavior, content, predictor
from skrec._training.parameters import FAMILIES
from skrec.behavior import BehaviorOperator

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def operator():
    """The example of the section "Add an operator"."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## Add an operator")[1]
    (code,) = re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    namespace = {"__name__": "example"}
    exec(compile(code, "CONTRIBUTING.md", "exec"), namespace)
    (found,) = (
        value
        for value in namespace.values()
        if isinstance(value, type)
        and issubclass(value, BehaviorOperator)
        and value is not BehaviorOperator
    )
    return found


def test_example_trains_and_recommends(operator):
    items = Items(["red fox", "blue sea", "red sun", "blue sky", "fox and sun", "sea and sky"])
    rows = {
        "history": [[0], [1, 3], [], [0, 1, 2, 4]],
        "candidates": [[2, 3], [5, 2], [4, 1], [5, 3]],
        "clicked": [[1, 0], [1, 0], [0, 1], [0, 1]],
    }
    rec = ContentRecommender(
        behavior=operator(), width=8, max_epochs=2, early_stopping=False, random_state=0
    )
    rec.fit(rows, items)
    assert [len(p) for p in rec.predict_proba(rows)] == [2, 2, 2, 2]
    assert rec.recommend([[0, 2], []], k=2)[0].shape == (2, 2)
    clone(rec).set_params(behavior__n_latest=1).fit(rows, items)
    with pytest.raises(ValueError, match="n_latest must be a positive int, got 0"):
        clone(rec).set_params(behavior__n_latest=0).fit(rows, items)


def test_example_does_what_it_says(operator):
    module = operator(n_latest=2).build(1)
    x = torch.tensor([[[1.0], [2.0], [4.0], [9.0]]] * 2)
    mask = torch.tensor([[True, True, True, True], [True, False, False, False]])
    assert module(x, mask).tolist() == [[[6.5]], [[1.0]]]


@pytest.mark.parametrize("package", [content, behavior, predictor])
def test_guide_describes_every_operator(package):
    family = package.__name__.split(".")[1]
    page = (ROOT / "docs" / "guide" / "operators.rst").read_text(encoding="utf-8")
    base = FAMILIES[family][1]
    # not ALIASES: operators that need a parameter have none
    exported = {name: getattr(package, name) for name in package.__all__}
    operators = {
        name
        for name, value in exported.items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
    }
    assert not operators - set(re.findall(rf":class:`~skrec\.{family}\.(\w+)`", page))
