"""Messages of work that takes a while, and a line that shows how far it is."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import threading
from importlib import import_module
from time import monotonic
from typing import Any, Protocol, Self

SECONDS_BETWEEN = 0.2  # least time between two versions of the line


class StatusLine:
    """Print lines, and show the progress of the current task in a line that is replaced.

    The replaced line is shown in terminals (on stderr) and notebooks. Elsewhere, for example in
    log files, only the printed lines appear. Used as a context manager, it removes the line at the
    end; notebooks show how long the work took instead.

    Parameters
    ----------
    verbose : int or bool
        Whether to print anything.
    """

    def __init__(self, verbose: int = 0):
        self.verbose = bool(verbose) and _is_first_process()
        self._screen = _screen() if self.verbose else None
        self._task = ""
        self._created = self._started = monotonic()
        self._last = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._screen is not None:
            self._screen.close(f"finished after {duration(monotonic() - self._created)}")

    @property
    def is_shown(self) -> bool:
        """Whether the line that is replaced is visible."""
        return self._screen is not None

    def begin(self, task: str) -> None:
        """Start a task, and show its name."""
        self._task, self._started = task, monotonic()
        self._show(task)

    def advance(self, n_done: int, n_total: int, unit: str) -> None:
        """Show how much of the task is done, and the time that the rest will take."""
        if self._screen is None or monotonic() - self._last < SECONDS_BETWEEN:
            return
        passed = monotonic() - self._started
        left = f", {duration(passed / n_done * (n_total - n_done))} left" if n_done else ""
        self._show(f"{self._task}: {n_done}/{n_total} {unit}{left}")

    def note(self, text: str) -> None:
        """Show a part of the task that has no steps."""
        self._show(f"{self._task}: {text}")

    def print(self, text: str) -> None:
        """Print a line to stdout."""
        if self.verbose:
            self.clear()
            print(text, flush=True)

    def clear(self) -> None:
        """Remove the line that is replaced, where other output would be mixed with it."""
        if self._screen is not None:
            self._screen.clear()

    def _show(self, text: str) -> None:
        if self._screen is not None:
            self._last = monotonic()
            self._screen.show(text)


def duration(seconds: float) -> str:
    """Return a time as minutes and seconds, or as hours, minutes and seconds."""
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Screen(Protocol):
    """Place in which a line can be replaced."""

    def show(self, text: str) -> None:
        """Replace the line."""

    def clear(self) -> None:
        """Make room for other output."""

    def close(self, text: str) -> None:
        """End with a text, if the line remains visible."""


class Terminal:
    """The last line of a terminal."""

    def __init__(self, stream: Any):
        self._stream, self._is_empty = stream, True

    def show(self, text: str) -> None:
        """Replace the line."""
        # a longer line would wrap, and only its last part would be replaced
        width = shutil.get_terminal_size().columns - 1
        self._write(f"\r{text[:width]}\x1b[K")
        self._is_empty = False

    def clear(self) -> None:
        """Remove the line."""
        if not self._is_empty:
            self._write("\r\x1b[K")
            self._is_empty = True

    def close(self, text: str) -> None:
        """Remove the line."""
        self.clear()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class Notebook:
    """An output of the running cell of a notebook. It remains in the saved notebook."""

    def __init__(self, display: Any):
        self._display = display
        self._handle: Any = None
        self._text = ""

    def show(self, text: str) -> None:
        """Replace the output."""
        if text == self._text:
            return
        self._text = text
        data = {"text/plain": text}
        if self._handle is None:
            self._handle = self._display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def clear(self) -> None:
        """Do nothing, because each output has its own place."""

    def close(self, text: str) -> None:
        """Replace the output for the last time."""
        if self._handle is not None:
            self.show(text)


def _is_first_process() -> bool:
    """Whether this is the one process of several that prints; see `launched_processes`."""
    n_processes = int(os.environ.get("WORLD_SIZE", "1"))
    return n_processes < 2 or os.environ.get("RANK", "0") == "0"


def _screen() -> Screen | None:
    """Return where a line can be replaced; None in logs, and in threads and child processes."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or multiprocessing.parent_process() is not None:
        return None  # several lines would replace each other
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if hasattr(shell, "kernel"):
        return Notebook(import_module("IPython.display").display)
    stream = sys.stderr
    return Terminal(stream) if stream is not None and stream.isatty() else None
