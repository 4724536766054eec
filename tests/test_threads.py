"""One fitted recommender in many threads: readers see the model before or after a change."""

import multiprocessing
import pickle
import sys
import threading

import numpy as np
import pytest

from skrec import ContentRecommender, content


def run_in_threads(tasks):
    """Run functions at the same time, each in a thread, and raise the first error."""
    errors, together = [], threading.Barrier(len(tasks))

    def run(task):
        try:
            together.wait()
            task()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.fixture
def rec(news):
    made = ContentRecommender(
        content.CNN(dropout=0.3), width=16, max_epochs=1, early_stopping=False, random_state=0
    )
    return made.fit(news.train, news.items)


def test_readers_see_the_model_before_or_after_partial_fit(rec, news):
    X = news.test["history"].tolist()[:4]
    after = pickle.loads(pickle.dumps(rec)).partial_fit(news.test)
    known = [rec.decision_function(X), after.decision_function(X)]
    done, found = threading.Event(), []

    def read():
        while not done.is_set():
            found.append(rec.decision_function(X))

    def train():
        try:
            rec.partial_fit(news.test)
        finally:
            done.set()

    run_in_threads([train, read, read, read])
    assert found
    for scores in found:
        assert any(np.allclose(scores, each, rtol=1e-4, atol=1e-5) for each in known)
    np.testing.assert_allclose(rec.decision_function(X), known[1], rtol=1e-4, atol=1e-5)


def test_readers_see_the_model_before_or_after_add_items(rec, news):
    X = news.test["history"].tolist()[:4]
    n_items = len(news.items)
    new = [news.items.head(1).assign(item_id=[900_000 + i]) for i in range(8)]
    sizes = []

    def read():
        for _ in range(20):
            sizes.append(rec.decision_function(X).shape[1])

    run_in_threads([lambda frame=frame: rec.add_items(frame) for frame in new] + [read, read])
    assert np.isin(900_000 + np.arange(8), rec.items_.ids).all()  # none is lost
    assert set(sizes) <= set(range(n_items, n_items + 9))


def test_items_that_are_added_while_the_model_is_trained_are_kept(rec, news):
    new = news.items.head(1).assign(item_id=[900_000])
    run_in_threads([lambda: rec.partial_fit(news.test), lambda: rec.add_items(new)])
    assert 900_000 in rec.items_.ids
    assert rec.n_epochs_ == 2


def test_a_failed_partial_fit_leaves_the_model(rec, news):
    X = news.test["history"].tolist()[:4]
    before, state = rec.decision_function(X), dict(vars(rec))
    with pytest.raises(ValueError, match="clicked"):
        rec.partial_fit(news.test.drop(columns="clicked"))
    assert vars(rec).keys() == state.keys()
    assert all(vars(rec)[name] is value for name, value in state.items())
    np.testing.assert_array_equal(rec.decision_function(X), before)


def test_a_network_is_in_evaluation_mode_after_fit_partial_fit_and_unpickling(rec, news):
    assert not rec.network_.training
    assert not rec.partial_fit(news.test).network_.training
    assert not pickle.loads(pickle.dumps(rec)).network_.training


def unpickle_and_answer(data, X, answers):
    answers.put(pickle.loads(data).transform(X))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_child_that_is_forked_during_a_fit_can_unpickle(rec, news):
    # the child would wait for ever for a lock that another thread of its parent held
    X = news.test["history"].tolist()[:4]
    fork = multiprocessing.get_context("fork")
    fitting = threading.Thread(
        target=lambda: ContentRecommender(max_epochs=30, early_stopping=False, random_state=0).fit(
            news.train, news.items
        )
    )
    fitting.start()
    try:
        for _ in range(5):
            answers = fork.Queue()
            child = fork.Process(
                target=unpickle_and_answer, args=(pickle.dumps(rec), X, answers), daemon=True
            )
            child.start()
            np.testing.assert_allclose(answers.get(timeout=60), rec.transform(X), atol=1e-5)
            child.join(timeout=60)
    finally:
        fitting.join()
