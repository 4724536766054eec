"""All prediction methods may be called from any number of threads, with every operator."""

import pytest

from skrec import ContentRecommender, behavior, content, predictor
from skrec.utils._checks_recommender import check_threads

OPERATORS = [
    pytest.param(family, operator, id=f"{family}-{alias}")
    for family, package in (("content", content), ("behavior", behavior), ("predictor", predictor))
    for alias, operator in package.ALIASES.items()
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "operator"), OPERATORS)
def test_every_operator_answers_eight_threads_as_it_answers_one(family, operator):
    given = operator()
    if "dropout" in given.get_params():  # a network in training mode would give itself away
        given.set_params(dropout=0.3)
    parts = {"content": "mean_pooling", family: given}
    check_threads(ContentRecommender(**parts, width=16))
