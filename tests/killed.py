"""Processes that are killed at random moments.

pytest puts this folder on the path, so tests say ``from killed import run``.
"""

import contextlib
import importlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import traceback

PRELUDE = """
import sys
sys.path[:0] = {path!r}
import torch
torch.set_num_threads(1)  # the pool of torch does not survive a fork
from killed import finish, killings
import skrec
"""


def run(code, *arguments, seconds=300):
    """Run code in a new process, which may fork others, and return what it printed."""
    code = PRELUDE.format(path=sys.path) + textwrap.dedent(code)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fork(work, *arguments):
    """Start a process that calls a function and ends, and return its id."""
    child = os.fork()
    if child:
        return child
    try:
        work(*arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def finish(work, *arguments):
    """Call a function in a process of its own, and import here what it imported."""
    reading, writing = os.pipe()

    def work_and_tell():
        work(*arguments)
        with os.fdopen(writing, "w") as file:
            file.write("\n".join(sys.modules))

    child = fork(work_and_tell)
    os.close(writing)
    with os.fdopen(reading) as file:
        names = file.read().split("\n")
    assert os.waitpid(child, 0)[1] == 0
    for name in names:
        if name not in sys.modules:
            with contextlib.suppress(ImportError, ValueError):
                importlib.import_module(name)


def killings(work, seconds, n=30):
    """Start `n` processes that call ``work(k)``, and kill each after up to some seconds.

    After each process, ``k`` and whether it was killed before it ended are yielded.
    """
    chance = random.Random(0)
    for k in range(n):
        child = fork(work, k)
        time.sleep(chance.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, -signal.SIGKILL), status
        yield k, status != 0
