"""Locks between threads that survive a fork and can be pickled."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class ForkSafeLock:
    """Reentrant lock between the threads of a process.

    A child process that is forked while another thread holds the lock starts with a free one. What
    the lock protects must therefore be consistent at any time, for example because it is replaced
    as a whole. A pickled or copied lock is a new one.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _LOCKS.add(self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock during a block.

        Yields
        ------
        None
        """
        with self._lock:
            yield

    def __reduce__(self) -> tuple[Any, ...]:
        return ForkSafeLock, ()


_LOCKS: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()
_LOCK_OF: weakref.WeakKeyDictionary[Any, ForkSafeLock] = weakref.WeakKeyDictionary()


def _renew() -> None:
    """Replace all locks in a forked child, where no other thread could release them."""
    for lock in _LOCKS:
        lock._lock = threading.RLock()


_FIND = ForkSafeLock()


def lock_of(owner: Any) -> ForkSafeLock:
    """Return the lock of an object, which exists as long as the object does."""
    with _FIND.held():
        return _LOCK_OF.setdefault(owner, ForkSafeLock())


def shallow_copy(owner: Any) -> Any:
    """Return an object with the same attributes, which other threads do not replace."""
    made = object.__new__(type(owner))
    vars(made).update(vars(owner).copy())
    return made


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew)
