"""Exchange of values, errors and Ctrl-C between the processes that train one network.

A process that fails must not leave the others waiting. Therefore, each process runs its own part,
and then all of them exchange a value or an error. If one has an error, all raise it.
"""

from __future__ import annotations

import pickle
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

LOST = (
    "another process of this training has ended, or does not answer. Its own message says why; "
    "start all processes again"
)


class Interrupts:
    """Ctrl-C, which is raised in the own part of a process and delayed while it meets the others.

    If Ctrl-C came between them, this process would be one meeting behind or ahead of the others. A
    second Ctrl-C is not delayed.
    """

    def __init__(self) -> None:
        self._is_waiting = False
        self._may_raise = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle Ctrl-C in this way during a block, unless the user's own handler does.

        Yields
        ------
        None
        """
        default = signal.default_int_handler
        is_main = threading.current_thread() is threading.main_thread()
        if not is_main or signal.getsignal(signal.SIGINT) is not default:
            yield
            return
        signal.signal(signal.SIGINT, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, default)
            waiting, self._is_waiting = self._is_waiting, False
        if waiting:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: Any) -> None:
        """Raise KeyboardInterrupt, or remember that it is to be raised."""
        if self._may_raise or self._is_waiting:
            self._may_raise = self._is_waiting = False
            raise KeyboardInterrupt
        self._is_waiting = True

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Let Ctrl-C be raised in a block, until this process meets the others.

        Yields
        ------
        None
        """
        if self._is_waiting:
            self._is_waiting = False
            raise KeyboardInterrupt
        self._may_raise = True
        try:
            yield
        finally:
            self._may_raise = False

    def delay(self) -> None:
        """Delay Ctrl-C until the next block that allows it."""
        self._may_raise = False


def packed_error(error: BaseException | None) -> tuple[bytes, str, bool] | None:
    """Return what rebuilds an error in another process: its pickle, its text, and its kind.

    The pickle is empty if the error cannot be rebuilt. The last value says whether it is Ctrl-C.
    """
    if error is None:
        return None
    text = f"{type(error).__name__}: {error}"
    try:
        data = pickle.dumps(error)
        if f"{type(error).__name__}: {pickle.loads(data)}" != text:
            data = b""
    except Exception:  # errors of users may fail in any way
        data = b""
    return data, text, isinstance(error, KeyboardInterrupt)


def error_of_all(
    own: BaseException | None, packed: Sequence[tuple[bytes, str, bool] | None], rank: int
) -> BaseException:
    """Return the error that all processes raise: the first one that is not Ctrl-C, or Ctrl-C.

    Parameters
    ----------
    own : BaseException or None
        The error of this process.
    packed : sequence of tuple or None
        Errors of all processes, at least one of which is not None; see `packed_error`.
    rank : int
        Number of this process.

    Returns
    -------
    BaseException
    """
    failed = [number for number, each in enumerate(packed) if each is not None]
    number = min(failed, key=lambda each: (packed[each][2], each))  # type: ignore[index]
    if own is not None and number == rank:
        error = own
    else:
        data, text, _ = packed[number]  # type: ignore[misc]
        try:
            error = pickle.loads(data) if data else RuntimeError(text)
        except Exception:
            error = RuntimeError(text)
    error.add_note(f"skrec: raised in process {number} of {len(packed)}, and then in all of them")
    return error
