"""Several real processes train one model, each on its own rows of files."""

import re

import numpy as np
import pytest
from rank_answers import rank_answers

LIMIT = 300  # seconds for one function, on a busy machine

RAISED = {
    "other_files": r"ValueError: the processes of this training differ: rows: .* of shards",
    "other_rows": "RuntimeError: the processes of this training do different things",
    "too_few": "ValueError: process 0 of 2 has no rows: the shards hold 1; start fewer",
    "failing_read": "OSError: this file has failed",
    "failing_step": "ValueError: this step has failed",
    "failing_step_with_checkpoint": "ValueError: this step has failed",
    "failing_begin": "ValueError: this callback has failed",
}
EQUAL = ["full_batches", "buffers", "own_files", "continued"]


@pytest.fixture(scope="module")
def answers():
    """Return what each function of tests/shard_ranks.py returned in its two processes."""
    return rank_answers("shard_ranks.py", [*EQUAL, *RAISED], LIMIT)


@pytest.mark.slow
@pytest.mark.parametrize("name", EQUAL)
def test_processes_end_with_the_same_model(answers, name):
    first, second = answers[name]
    assert isinstance(first, list), first
    assert repr(first) == repr(second)  # NaN equals NaN


@pytest.mark.slow
@pytest.mark.parametrize("name", RAISED)
def test_an_error_in_one_process_is_raised_in_all(answers, name):
    # otherwise, the other would wait for the process that failed
    for answer in answers[name]:
        assert isinstance(answer, str)
        assert re.match(RAISED[name], answer), answer


@pytest.mark.slow
def test_a_step_is_that_of_one_process_with_all_rows(answers):
    losses, alone, n_steps, same_clicks = answers["full_batches"][0]
    np.testing.assert_allclose(losses, alone, rtol=1e-10)
    assert n_steps == 3
    assert same_clicks


@pytest.mark.slow
def test_training_continues_with_the_rows_that_are_left(answers):
    found, expected, n_failed = answers["continued"][0]
    assert n_failed > 2
    assert repr(found) == repr(expected)
