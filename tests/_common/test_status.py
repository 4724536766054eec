"""The line that shows progress: in terminals and notebooks, and nowhere else."""

import io
import sys
import threading
import types

import pytest

from skrec._common import status as module
from skrec._common.status import StatusLine, duration


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A time that stands still unless a test moves it."""
    now = types.SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(module, "monotonic", lambda: now.seconds)
    return now


@pytest.fixture
def terminal(monkeypatch):
    screen = Screen()  # pytest replaces sys.stderr itself once more after this
    monkeypatch.setattr(module, "sys", types.SimpleNamespace(stderr=screen, modules={}))
    monkeypatch.setenv("COLUMNS", "80")
    return screen


def test_a_terminal_shows_steps_and_the_time_left(terminal, clock, capsys):
    with StatusLine(1) as status:
        status.begin("epoch 1/3")
        clock.seconds += 10
        status.advance(5, 20, "steps")
        status.note("finishing")
        status.print("epoch 1/3: loss 0.5")
    shown = terminal.getvalue().split("\r")
    assert shown == [
        "",
        "epoch 1/3\x1b[K",
        "epoch 1/3: 5/20 steps, 0:30 left\x1b[K",
        "epoch 1/3: finishing\x1b[K",
        "\x1b[K",
    ]
    assert capsys.readouterr().out == "epoch 1/3: loss 0.5\n"


def test_the_line_is_not_written_for_each_step(terminal, clock):
    status = StatusLine(1)
    status.begin("epoch 1/1")
    for step in range(1, 1001):
        clock.seconds += 0.001
        status.advance(step, 1000, "steps")
    assert terminal.getvalue().count("steps") <= 1 / module.SECONDS_BETWEEN


def test_the_line_is_removed_if_work_fails(terminal):
    with pytest.raises(RuntimeError), StatusLine(1) as status:
        status.begin("work")
        raise RuntimeError
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_long_lines_do_not_wrap(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    StatusLine(1).begin("a long name of a task")
    assert terminal.getvalue() == "\ra long na\x1b[K"


@pytest.mark.parametrize("where", ["log", "thread", "quiet", "second process"])
def test_nothing_is_replaced_elsewhere(where, terminal, monkeypatch, capsys):
    if where == "log":
        monkeypatch.setattr(module.sys, "stderr", io.StringIO())
    if where == "second process":
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")

    def work():
        with StatusLine(where != "quiet") as status:
            assert not status.is_shown
            status.begin("task")
            status.advance(1, 2, "steps")
            status.print("a line")

    if where == "thread":
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    else:
        work()
    assert terminal.getvalue() == ""
    assert capsys.readouterr().out == ("a line\n" if where in ("log", "thread") else "")


def test_a_notebook_updates_one_output(monkeypatch, clock):
    outputs = []

    class Handle:
        def update(self, data, raw):
            outputs[0] = data["text/plain"]

    def display(data, raw, display_id):
        assert raw and display_id
        outputs.append(data["text/plain"])
        return Handle()

    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=None)
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    with StatusLine(1) as status:
        status.begin("epoch 1/1")
        clock.seconds += 1
        status.advance(1, 2, "steps")
        assert outputs == ["epoch 1/1: 1/2 steps, 0:01 left"]
        status.print("a line")
        clock.seconds += 60
    assert outputs == ["finished after 1:01"]


def test_durations():
    assert [duration(s) for s in (0, 0.4, 59.6, 61, 3599, 3600, 36_061, -1)] == [
        "0:00",
        "0:00",
        "1:00",
        "1:01",
        "59:59",
        "1:00:00",
        "10:01:01",
        "0:00",
    ]
