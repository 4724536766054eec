"""Folders that an earlier version saved give the same predictions as before.

The folders in `saved/` were written by version 0.1.0.dev0, before its modules were moved. The
scores in `answers.json` are those that it computed with them.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import skrec

SAVED = Path(__file__).parent / "saved"
ANSWERS = json.loads((SAVED / "answers.json").read_text())


@pytest.mark.parametrize("name", ["headlines", "users"])
def test_an_old_folder_answers_as_before(name):
    rec = skrec.load(SAVED / name)
    scores = rec.decision_function([ANSWERS["history"]])[0][:10]
    np.testing.assert_allclose(scores, ANSWERS["scores"][name], rtol=1e-4, atol=1e-5)


def test_the_state_of_training_in_an_old_folder_is_resumed():
    rec = skrec.load(SAVED / "users")  # saved with warm_start=True
    assert rec._training_state.moments
    rec.set_params(early_stopping=False, max_epochs=1)
    X = {"history": [ANSWERS["history"]], "candidates": [ANSWERS["history"][:2]]}
    rec.fit(X | {"clicked": [[0, 1]], "user_id": ["u1"]})
    assert rec.n_epochs_ == 2
