"""Downloads in several processes, on full disks, and what they print and import."""

import errno
import re
import resource
import subprocess
import sys
import threading

import pytest
from file_server import Plan

from .downloads import (
    BODY,
    HALF,
    MD5,
    ROOT,
    bytes_in,
    get,
    state_of,
)


def wait_for_bytes(target, is_running):
    """Wait until some bytes are in the part; the server holds the last one back."""
    part = state_of(target, "part")
    while not (part.exists() and part.stat().st_size > 100_000):
        assert is_running()


def in_a_thread(server, target, done):
    thread = threading.Thread(target=lambda: done.append(get(server, target, MD5)))
    thread.start()
    return thread


def test_a_second_call_waits_for_the_first_and_downloads_nothing(server, target):
    # without the lock, two would write into one part
    held, done = threading.Event(), []
    server.plans.append(Plan(wait=held))
    one = in_a_thread(server, target, done)
    wait_for_bytes(target, one.is_alive)
    two = in_a_thread(server, target, done)
    two.join(0.1)
    assert two.is_alive()
    held.set()
    one.join(60)
    two.join(60)
    assert done == [None, None]
    assert len(server.log) == 1
    assert target.read_bytes() == BODY


@pytest.mark.slow
def test_a_killed_process_is_resumed_by_one_that_waited(server, target):
    held, done = threading.Event(), []
    server.plans.append(Plan(wait=held))
    code = (
        "import sys; from pathlib import Path; from skrec.datasets._web.download import download;"
        "download(sys.argv[1], Path(sys.argv[2]), 'sha256:', [0.0], False)"
    )
    command = [sys.executable, "-c", code, f"{server.url}/data.bin", str(target)]
    process = subprocess.Popen(command, cwd=ROOT)
    wait_for_bytes(target, lambda: process.poll() is None)
    server.log.clear()
    thread = in_a_thread(server, target, done)
    thread.join(0.1)
    assert server.log == []
    process.kill()
    process.wait()
    size = state_of(target, "part").stat().st_size
    assert not target.exists()
    thread.join(60)
    held.set()
    assert server.sent == [("/data.bin", size, len(BODY) - size)]
    assert target.read_bytes() == BODY


def test_a_disk_without_room_is_known_before(server, target):
    server.plans.append(Plan(headers={"Content-Length": str(1 << 60)}))
    message = "no room in .* for data.bin: .* bytes needed, .*another folder as data_home"
    with pytest.raises(OSError, match=message) as raised:
        get(server, target)
    assert raised.value.errno == errno.ENOSPC
    assert len(server.log) == 1  # trying again would not help
    assert bytes_in(target.parent) == []


def test_a_disk_that_fills_up_keeps_what_came(server, target):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            get(server, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not target.exists()
    assert len(server.log) == 1
    get(server, target, MD5)
    (_, first, n_rest) = server.sent[1]
    assert 0 < first <= 1_000_000
    assert first + n_rest == len(BODY)


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").touch()
    message = "data_home must be a folder that can be written to, got '.*file'"
    with pytest.raises(OSError, match=message):
        get(server, tmp_path / "file" / "data.bin")
    assert server.log == []


def test_progress_is_shown(server, target, capsys, monkeypatch):
    monkeypatch.setattr("skrec.datasets._web.download.SECONDS", 0.0)
    server.plans.append(Plan(cut=HALF))
    get(server, target, verbose=True)
    *lines, last = capsys.readouterr().err.splitlines()
    shown = [float(re.fullmatch(r"\[skrec\] data.bin: (.*) of 3.0 MB", line)[1]) for line in lines]
    assert shown == sorted(shown)
    assert shown[-1] == 3.0
    assert last == "[skrec] data.bin: downloaded and verified"


def test_nothing_is_shown_otherwise(server, target, capsys):
    get(server, target)
    assert capsys.readouterr() == ("", "")


def test_libraries_for_downloads_are_imported_late():
    # reading files needs neither of them, and they take a quarter of a second
    for module in (ROOT / "skrec" / "datasets").rglob("*.py"):
        assert not re.search(r"^(import|from) (pooch|requests)", module.read_text(), re.MULTILINE)


def test_offline_mode_of_the_hub_is_only_about_the_hub(server, target, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    get(server, target)
    assert target.read_bytes() == BODY
