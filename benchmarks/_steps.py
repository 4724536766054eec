"""Steps of a large run: their seconds and memory, in a process of its own."""

import multiprocessing
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from _common import _status_kb


class Peak:
    """The highest resident and anonymous memory since the start, looked at again and again."""

    def __init__(self):
        self.anonymous = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):  # noqa: D105
        Path("/proc/self/clear_refs").write_text("5")
        self._thread.start()
        return self

    def _watch(self):
        while not self._stop.wait(0.02):
            self.anonymous = max(self.anonymous, _status_kb("RssAnon"))

    def __exit__(self, *error):  # noqa: D105
        self._stop.set()
        self._thread.join()
        self.peak_mb = _status_kb("VmHWM") / 1024
        self.anonymous_mb = self.anonymous / 1024


@contextmanager
def step(figures, name):
    """Add the seconds and the memory of what is done under a name."""
    start, cpu_start = time.perf_counter(), time.process_time()
    with Peak() as peak:
        yield
    figures[name] = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu_start,
        "peak_mb": peak.peak_mb,
        "anonymous_mb": peak.anonymous_mb,
    }


def in_new_process(function, folder):
    """Return the figures of a call in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        figures = manager.dict()
        process = context.Process(target=function, args=(folder, figures))
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError(f"{function.__name__} ended with {process.exitcode}")
        return dict(figures)
