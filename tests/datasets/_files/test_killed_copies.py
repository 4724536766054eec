"""Processes that are killed while they make a copy, and several processes that make one at once."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from skrec.datasets import read_microlens

from .test_copies import SETTINGS
from .test_copy_folder import FILES, contents, read

if not hasattr(os, "fork"):
    pytest.skip("processes are forked", allow_module_level=True)

# A process that has imported skrec, and forks a child for each line that it reads. A child reads
# the data set, and kills itself before its n-th operation on a file in the folder of copies.
# "random" kills it from outside after some seconds. The answer is the exit status of the child.
SERVER = """
import json, os, signal, sys, time
sys.path[:0] = {path}
from skrec.datasets import read_microlens
import pyarrow.csv, pyarrow.parquet, filelock
PATH = (str, bytes, os.PathLike)
videos, home, settings = json.loads(sys.stdin.readline())

def child(kill_at, output):
    count = n_conversions = 0

    def watch(event, arguments):
        nonlocal count, n_conversions
        paths = [os.fsdecode(value) for value in arguments if isinstance(value, PATH)]
        if any(path.startswith(home) for path in paths):
            count += 1
            n_conversions += event == "os.mkdir" and paths[0].endswith(".new")
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    data = read_microlens(videos, data_home=home, **settings)
    with open(output, "w") as file:
        json.dump([n_conversions, data.test.num_rows, data.items.n_items], file)
    os._exit(0)

print("ready", flush=True)
for line in sys.stdin:
    kill_at, seconds, n_children, output = json.loads(line)
    children = []
    for at in range(n_children):
        pid = os.fork()
        if not pid:
            try:
                child(kill_at, output + str(at))
            finally:
                os._exit(1)
        children.append(pid)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(children[0], signal.SIGKILL)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    print(json.dumps(statuses), flush=True)
"""


class Server:
    """Forks children that read the data set."""

    def __init__(self, videos, home):
        code = SERVER.format(path=sys.path)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen([sys.executable, "-c", code], text=True, **pipes)
        self._ask([str(videos), str(home), SETTINGS])
        self._output = videos.parent / "output"

    def _ask(self, question):
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def run(self, kill_at=None, seconds=None, n_children=1):
        """Return the exit status and the output of each child."""
        for file in self._output.parent.glob("output*"):
            file.unlink()
        statuses = json.loads(self._ask([kill_at, seconds, n_children, str(self._output)]))
        outputs = [self._output.with_name(f"output{at}") for at in range(n_children)]
        return statuses, [json.loads(file.read_text()) for file in outputs if file.exists()]

    def close(self):
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture
def server(videos, home):
    home.mkdir()
    server = Server(videos, home)
    yield server
    server.close()


def assert_clean(home):
    (folder,) = home.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == FILES


def test_four_processes_make_one_copy(videos, home, server):
    statuses, outputs = server.run(n_children=4)
    assert statuses == [0] * 4
    assert [output[1:] for output in outputs] == [[6, 12]] * 4
    assert sum(output[0] for output in outputs) == 1  # the others waited
    assert_clean(home)
    assert len(read(videos, home)["test"]) == 6


@pytest.mark.slow
def test_a_kill_before_any_operation_leaves_nothing_wrong(videos, home, server):
    """The next reading returns the right data, and no folder or lock of the dead process stays."""
    wanted = contents(read_microlens(videos, data_home=home.parent / "other", **SETTINGS))
    titles = videos / "MicroLens-100k_title_en.csv"
    text = titles.read_text()
    n_killed = 0
    for is_outdated in (False, True):
        at = 0
        while True:
            at += 1
            for path in home.iterdir():
                remove(path)
            titles.write_text(text)
            if is_outdated:  # the copy is replaced by the process that dies
                titles.write_text(text.replace("about", "of"))
                assert server.run()[0] == [0]
                titles.write_text(text)
            (status,), _ = server.run(kill_at=at)
            if not status:
                break
            assert status == -signal.SIGKILL
            n_killed += 1
            (status,), ((_, n_test, n_items),) = server.run()
            assert (status, n_test, n_items) == (0, 6, 12)
            assert_clean(home)
            assert read(videos, home) == wanted
            assert_clean(home)
    assert n_killed > 40


@pytest.mark.slow
def test_a_kill_at_a_random_moment_leaves_nothing_wrong(videos, home, server):
    wanted = contents(read_microlens(videos, data_home=home.parent / "other", **SETTINGS))
    start = time.perf_counter()
    server.run()
    longest = time.perf_counter() - start  # of a process that is not killed
    rng = random.Random(0)
    n_killed = 0
    for at in range(40):
        for path in home.iterdir():
            remove(path)
        statuses, _ = server.run(seconds=rng.uniform(0, longest), n_children=1 + at % 3)
        n_killed += statuses[0] != 0
        assert not any(statuses[1:])  # those that waited go on
        assert read(videos, home) == wanted
        assert_clean(home)
    assert n_killed > 5


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()
