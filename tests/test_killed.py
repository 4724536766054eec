"""Killed trainings lose nothing, and leave nothing after the next run."""

import copy
import os

import pytest
from killed import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked"),
]

FIT = """
import os, tempfile, time
from pathlib import Path

import numpy as np

from skrec import ContentRecommender, cache, content
from skrec.content._lm import store
from skrec.content._lm.page_index import INDEX_NAME
from skrec.datasets import make_headlines

model, root = sys.argv[1], Path(sys.argv[2])
memory, scores, temporary = root / "memory", root / "scores.npy", root / "temporary"
temporary.mkdir()
tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
store.PAGE_BYTES = 4096  # about 40 pages
news = make_headlines(n_users=10, n_items=200, n_impressions=60, random_state=0)
language_model = content.LanguageModel(model, trainable_layers=1)

def fit(memory):
    rec = ContentRecommender(
        language_model, width=8, max_epochs=1, early_stopping=False, memory=memory, random_state=0
    )
    rec.fit(news.train, news.items)
    np.save(scores, np.concatenate(list(rec.decision_function(news.test))))

def finished(memory):
    finish(fit, memory)
    return np.load(scores)

def pages():
    return {path.name: path.stat().st_mtime_ns for path in memory.glob("prefix/*/page-*")}

finished(root / "other")
before = time.monotonic()
expected = finished(root / "another")
seconds = time.monotonic() - before
(n_items,) = cache.info(root / "other").n_items
known, n_killed, n_partly = {}, 0, 0
for k, was_killed in killings(lambda k: fit(memory), seconds):
    n_killed += was_killed
    there = pages()
    assert known.items() <= there.items(), "pages are lost"
    known = there
    n_known = int(cache.info(memory).n_items.sum())
    n_partly += 0 < n_known < n_items
    if n_known == n_items or k % 3 == 2:
        assert np.allclose(finished(memory), expected, atol=1e-5)
        assert known.items() <= pages().items(), "states are computed again"
        assert cache.info(memory).n_items.tolist() == [n_items]
        left = {p.name.split("-")[0] for p in memory.rglob("*") if p.is_file()}
        left = {name for name in left if not name.endswith(".lock")}
        assert left - {INDEX_NAME} == {"page", "description.json"}
        cache.clear(memory)
        assert not [path for path in memory.rglob("*") if path.is_file()]
        assert not list(temporary.iterdir())
        known = {}
print(n_killed, n_partly)
"""


def test_a_fit_with_memory(tiny_bert, tmp_path):
    n_killed, n_partly = map(int, run(FIT, tiny_bert, tmp_path).split())
    assert n_killed > 15
    assert n_partly > 5  # most of the others died before, or after, the states were computed


PARTIAL_FIT = """
import os, shutil
from pathlib import Path

import numpy as np

from skrec.datasets import make_headlines

original, root = Path(sys.argv[1]), Path(sys.argv[2])
model, acknowledged = root / "saved" / "model", root / "acknowledged"
news = make_headlines(n_users=40, n_items=120, n_impressions=240, random_state=0)
N_STEPS = 12

def train(rec):
    \"\"\"Train with other rows and one new item in each step.\"\"\"
    n = rec.items_.n_items
    rows = news.train.iloc[n % 50 : n % 50 + 40]
    new = {"item_id": [100_000 + n], "title": ["words of a title"], "topic": ["new"]}
    return rec.partial_fit(rows, new)

def scores_of(rec):
    return np.concatenate(list(rec.decision_function(news.test.head(20))))

def train_and_save(k):
    rec = skrec.load(model)
    while rec.items_.n_items < first + N_STEPS:
        train(rec).save(model)
        with open(acknowledged, "a") as file:
            file.write(f"{rec.items_.n_items}\\n")

def write_expected():
    rec = skrec.load(original)
    found = [scores_of(rec)]
    for _ in range(N_STEPS):
        found.append(scores_of(train(rec)))
    np.save(root / "expected.npy", found)

finish(write_expected)
expected = np.load(root / "expected.npy")
assert len(np.unique(expected[:, 0])) > N_STEPS // 2
first = skrec.load(original).items_.n_items
n_killed = n_saved = 0
for k, was_killed in killings(train_and_save, 1.0):
    n_killed += was_killed
    rec = skrec.load(model)
    step = rec.items_.n_items - first
    assert (scores_of(rec) == expected[step]).all()
    lines = acknowledged.read_text().splitlines() if acknowledged.exists() else []
    assert rec.items_.n_items >= max(map(int, lines), default=first), "a saved step is lost"
    if step == N_STEPS or k % 5 == 4:  # the next run
        n_saved += len(lines)
        rec.save(model)
        assert os.listdir(model.parent) == ["model"]
        assert (scores_of(skrec.load(model)) == expected[step]).all()
        shutil.rmtree(model)
        shutil.copytree(original, model)
        acknowledged.unlink(missing_ok=True)
print(n_killed, n_saved)
"""


def test_partial_fit_with_save(fitted, tmp_path):
    rec = copy.deepcopy(fitted)
    rec.save(tmp_path / "original")
    (tmp_path / "saved").mkdir()
    rec.save(tmp_path / "saved" / "model")
    n_killed, n_saved = map(int, run(PARTIAL_FIT, tmp_path / "original", tmp_path).split())
    assert n_killed > 10  # the others had finished
    assert n_saved > 10
