"""More threads than CPUs wait for each other, so training uses fewer."""

import joblib
import pytest
import torch

from skrec._common.threads import limited_threads


@pytest.fixture
def three_threads(monkeypatch):
    """Three threads of torch for one CPU."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_threads_are_limited_and_put_back(three_threads):
    with pytest.warns(UserWarning, match="3 threads for 1 available.*OMP_NUM_THREADS=1"):
        with limited_threads():
            assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    with pytest.warns(UserWarning), pytest.raises(RuntimeError), limited_threads():
        raise RuntimeError
    assert torch.get_num_threads() == 3


def test_as_many_threads_as_cpus_are_left_alone(three_threads, monkeypatch, recwarn):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 3)
    with limited_threads():
        assert torch.get_num_threads() == 3
    assert not recwarn


def test_a_limit_of_joblib_alone_does_not_count(three_threads, monkeypatch, recwarn):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    with limited_threads():
        assert torch.get_num_threads() == 3
    assert not recwarn


class Watch:
    """Callback that records the number of threads."""

    def __init__(self):
        self.seen = set()

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.seen.add(torch.get_num_threads())


def test_fit_limits_them_also_if_it_fails(three_threads, news, make_recommender):
    watch = Watch()
    rec = make_recommender(max_epochs=1).set_callbacks(watch)
    with pytest.warns(UserWarning, match="3 threads for 1 available"):
        rec.fit(news.train, news.items)
    assert watch.seen == {1}
    assert torch.get_num_threads() == 3
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="width"):
        rec.set_params(width=-1).fit(news.train, news.items)
    assert torch.get_num_threads() == 3
