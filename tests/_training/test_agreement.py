"""Errors that all processes raise, and Ctrl-C that waits while they meet."""

import os
import signal

import pytest

from skrec._training.agreement import Interrupts, error_of_all, packed_error


class Strange(ValueError):
    """An error that cannot be built again from its text."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")

    def __reduce__(self):
        return Strange, (str(self),)  # as by default, also where a library changes that


def test_an_error_comes_from_another_process_as_it_was():
    error = ValueError("no clicks")
    error.add_note("a hint")
    found = error_of_all(None, [None, packed_error(error)], rank=0)
    assert type(found) is ValueError and str(found) == "no clicks"
    assert found.__notes__[0] == "a hint"
    assert "raised in process 1 of 2" in found.__notes__[1]


def test_an_error_that_cannot_be_rebuilt_keeps_its_text():
    found = error_of_all(None, [packed_error(Strange("this", "that")), None], rank=1)
    assert type(found) is RuntimeError and str(found) == "Strange: this and that"


def test_the_own_error_is_raised_itself():
    own = ValueError("mine")
    assert error_of_all(own, [packed_error(own), packed_error(KeyError("x"))], rank=0) is own
    assert str(error_of_all(own, [packed_error(KeyError("x")), packed_error(own)], rank=1)) == "'x'"


def test_an_error_matters_more_than_an_interrupt():
    packed = [packed_error(KeyboardInterrupt()), None, packed_error(ValueError("mine"))]
    assert str(error_of_all(None, packed, rank=1)) == "mine"
    assert type(error_of_all(None, packed[:2], rank=1)) is KeyboardInterrupt


@pytest.fixture
def default_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("default_handler")
def test_an_interrupt_waits_for_the_end_of_a_meeting():
    interrupts = Interrupts()
    with interrupts.handled():
        interrupt()  # delayed
        with pytest.raises(KeyboardInterrupt), interrupts.allowed():
            pytest.fail("the delayed interrupt was not raised")
        with pytest.raises(KeyboardInterrupt), interrupts.allowed():
            interrupt()
        with interrupts.allowed():
            interrupts.delay()
            interrupt()
        with pytest.raises(KeyboardInterrupt), interrupts.allowed():
            pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("default_handler")
def test_a_second_interrupt_and_one_that_still_waits_are_raised():
    interrupts = Interrupts()
    with interrupts.handled():
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    with pytest.raises(KeyboardInterrupt), interrupts.handled():
        interrupt()


def test_the_handler_of_a_user_is_kept():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *args: seen.append(1))
    try:
        with Interrupts().handled():
            interrupt()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [1]
