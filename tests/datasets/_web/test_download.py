"""Downloads from a real server: cut, resumed, checked, and never half a file in place."""

import errno
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import threading
from email.message import Message
from pathlib import Path
from urllib.request import Request

import numpy as np
import pytest
from file_server import Plan, serving

from skrec.datasets._web import download as _download
from skrec.datasets._web.download import STATE, download, fault
from skrec.datasets._web.transfer import _Redirects

ROOT = Path(__file__).parents[3]
BODY = np.random.default_rng(0).bytes(3_000_000)
NEW = np.random.default_rng(1).bytes(2_500_000)
TWIN = np.random.default_rng(2).bytes(len(BODY))  # another version of the same size
MD5 = hashlib.md5(BODY).hexdigest()
SHA256 = hashlib.sha256(BODY).hexdigest()
HALF = 1_200_000


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as running:
        running.put("/data.bin", BODY)
        yield running


@pytest.fixture
def target(tmp_path):
    return tmp_path / "family" / "data.bin"


def get(server, target, **options):
    return download(f"{server.url}/data.bin", target, **{"delay": 0.0} | options)


def part_of(target):
    return target.parent / STATE / f"{target.name}.part"


def files_in(folder):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    )


def begin(server, target, **plan):
    """Leave a part of half the file, as a process does whose connection was cut for good."""
    server.plans.append(Plan(cut=HALF, **plan))
    with pytest.raises(ConnectionError):
        get(server, target, n_retries=0)
    server.log.clear()
    size = part_of(target).stat().st_size
    assert 0 < size <= HALF
    return size


def test_a_whole_file(server, target):
    assert get(server, target, md5=MD5, sha256=SHA256, size=len(BODY)) == target
    assert target.read_bytes() == BODY
    assert server.sent == [("/data.bin", 0, len(BODY))]
    # neither a part nor its note is left
    assert files_in(target.parent) == [f"{STATE}/data.bin.json", "data.bin"]


def test_a_second_call_asks_for_nothing(server, target):
    get(server, target)
    get(server, target)
    get(server, target, md5=MD5)
    assert len(server.log) == 1


def test_a_cut_connection_is_gone_on_with(server, target):
    server.plans.append(Plan(cut=HALF))
    get(server, target, md5=MD5)
    assert target.read_bytes() == BODY
    (_, _, n_cut), (_, first, n_rest) = server.sent
    # a reset may lose some bytes on their way; none of those that came is sent again
    assert n_cut == HALF
    assert 0 < first <= HALF
    assert first + n_rest == len(BODY)
    assert server.statuses == [200, 206]


def test_a_cut_connection_is_gone_on_with_by_a_later_call(server, target):
    size = begin(server, target)
    assert not target.exists()
    get(server, target, md5=MD5)
    assert server.sent == [("/data.bin", size, len(BODY) - size)]
    assert target.read_bytes() == BODY


def test_several_cuts(server, target):
    server.plans += [Plan(cut=800_000), Plan(cut=800_000), Plan(cut=800_000)]
    get(server, target, md5=MD5, n_retries=3)
    firsts = [first for _, first, _ in server.sent]
    assert firsts == sorted(set(firsts))
    assert target.read_bytes() == BODY


def test_a_body_that_ends_early_is_gone_on_with(server, target):
    # the connection closes without an error, and only Content-Length tells
    server.plans.append(Plan(short=HALF))
    get(server, target)
    assert server.sent == [("/data.bin", 0, HALF), ("/data.bin", HALF, len(BODY) - HALF)]
    assert target.read_bytes() == BODY


def test_a_body_that_always_ends_early(server, target):
    server.plans += [Plan(short=10), Plan(short=10)]
    message = "the body ended after 20 of 3,000,000 bytes, at the last of 2 attempts; call again"
    with pytest.raises(ConnectionError, match=message):
        get(server, target, n_retries=1)
    assert not target.exists()


def test_a_server_without_ranges_starts_anew(server, target):
    server.plans += [Plan(cut=HALF), Plan(ranges=False)]
    get(server, target, md5=MD5)
    assert server.sent == [("/data.bin", 0, HALF), ("/data.bin", 0, len(BODY))]
    assert target.read_bytes() == BODY


def test_a_server_without_versions_starts_anew(server, target):
    # nothing would tell whether the rest is that of the same file
    without = {"ETag": None}
    server.plans += [Plan(cut=HALF, headers=without), Plan(headers=without)]
    get(server, target)
    assert server.sent[1] == ("/data.bin", 0, len(BODY))
    assert target.read_bytes() == BODY


def test_the_date_names_a_version_where_the_tag_is_weak(server, target):
    dated = {"ETag": 'W/"1"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    size = begin(server, target, headers=dated)
    about = json.loads(part_of(target).with_name("data.bin.part.json").read_text())
    assert about["validator"] == dated["Last-Modified"]
    server.plans.append(Plan(headers=dated, if_range=False))
    get(server, target, md5=MD5)
    assert server.sent == [("/data.bin", size, len(BODY) - size)]


@pytest.mark.parametrize("new", [NEW, TWIN], ids=["shorter", "of the same size"])
@pytest.mark.parametrize("if_range", [True, False], ids=["with If-Range", "without"])
def test_a_file_that_changed_starts_anew(server, target, if_range, new):
    # else the result would be half of one version and half of another
    begin(server, target)
    server.put("/data.bin", new)
    server.plans.append(Plan(if_range=if_range))
    get(server, target, n_retries=0 if if_range else 1)
    assert target.read_bytes() == new
    assert server.sent[-1] == ("/data.bin", 0, len(new))


@pytest.mark.parametrize("told", ["bytes 7-2999999/3000000", "bytes 5-9/*", "nonsense"])
def test_another_range_than_the_one_asked_for_starts_anew(server, target, told):
    begin(server, target)
    server.plans.append(Plan(headers={"Content-Range": told}))
    get(server, target, md5=MD5, n_retries=1)
    assert target.read_bytes() == BODY
    assert server.sent[-1] == ("/data.bin", 0, len(BODY))


def test_a_range_that_the_server_has_not_starts_anew(server, target):
    begin(server, target)
    server.plans.append(Plan(status=416))
    get(server, target, md5=MD5)
    assert server.statuses == [416, 200]


def test_another_address_starts_anew(server, target):
    begin(server, target)
    server.put("/mirror.bin", TWIN)
    server.tags["/mirror.bin"] = server.tags["/data.bin"]
    download(f"{server.url}/mirror.bin", target, delay=0.0)
    assert server.sent == [("/mirror.bin", 0, len(TWIN))]
    assert target.read_bytes() == TWIN


@pytest.mark.parametrize("note", [None, "", "[]", "{}", '{"url": 1}'])
def test_a_part_of_unknown_origin_starts_anew(server, target, note):
    part_of(target).parent.mkdir(parents=True)
    part_of(target).write_bytes(NEW)
    if note is not None:
        part_of(target).with_name("data.bin.part.json").write_text(note)
    get(server, target)
    assert server.sent == [("/data.bin", 0, len(BODY))]
    assert target.read_bytes() == BODY


def test_a_part_that_is_whole_is_only_checked(server, target):
    # the process was killed between the last byte and the new name
    get(server, target)
    note = {"url": f"{server.url}/data.bin", "validator": '"1"', "total": len(BODY)}
    target.rename(part_of(target))
    part_of(target).with_name("data.bin.part.json").write_text(json.dumps(note))
    server.log.clear()
    get(server, target, md5=MD5)
    assert server.log == []
    assert target.read_bytes() == BODY


def test_a_wrong_checksum_is_tried_twice_and_leaves_nothing(server, target):
    server.put("/data.bin", NEW)
    found = hashlib.md5(NEW).hexdigest()
    message = re.escape(f"{server.url}/data.bin: expected the MD5 {MD5}, got {found}, twice")
    with pytest.raises(OSError, match=message):
        get(server, target, md5=MD5)
    assert server.sent == [("/data.bin", 0, len(NEW))] * 2
    assert files_in(target.parent) == []


@pytest.mark.parametrize("wanted", [{"md5": MD5.upper()}, {"sha256": SHA256}, {"size": len(BODY)}])
def test_a_damaged_transfer_is_brought_once_more(server, target, wanted):
    server.plans.append(Plan(body=NEW))
    get(server, target, n_retries=0, **wanted)
    assert server.sent == [("/data.bin", 0, len(NEW)), ("/data.bin", 0, len(BODY))]
    assert target.read_bytes() == BODY


def test_a_part_that_was_damaged_is_brought_once_more_in_full(server, target):
    size = begin(server, target)
    with open(part_of(target), "r+b") as file:
        file.write(b"damage")
    get(server, target, md5=MD5)
    assert server.sent == [("/data.bin", size, len(BODY) - size), ("/data.bin", 0, len(BODY))]
    assert target.read_bytes() == BODY


def test_a_file_is_trusted_when_it_first_comes_and_only_then(server, target):
    get(server, target)
    target.unlink()
    server.put("/data.bin", NEW)
    message = f"expected the size {len(BODY)}, got {len(NEW)}, twice.*so when it came first.*delete"
    with pytest.raises(OSError, match=message) as raised:
        get(server, target)
    record = re.search(r"delete '(.*)'", str(raised.value))[1]
    Path(record).unlink()
    get(server, target)
    assert target.read_bytes() == NEW


def test_a_known_checksum_counts_for_more_than_the_first_time(server, target):
    get(server, target)
    server.put("/data.bin", NEW)
    get(server, target, md5=hashlib.md5(NEW).hexdigest())
    assert target.read_bytes() == NEW


def test_a_file_that_was_damaged_is_brought_again(server, target):
    get(server, target)
    target.write_bytes(BODY[:-1] + b"!")
    assert re.fullmatch(f"is damaged: expected the SHA-256 {SHA256}, got .*", fault(target))
    get(server, target)
    assert target.read_bytes() == BODY
    assert fault(target) == ""


def test_a_file_that_was_put_there_by_hand_counts(server, target):
    target.parent.mkdir(parents=True)
    target.write_bytes(BODY)
    get(server, target, md5=MD5)
    assert server.log == []


def test_a_file_that_was_touched_is_read_again(server, target):
    get(server, target)
    os.utime(target)
    get(server, target)
    assert len(server.log) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, FileNotFoundError), (410, FileNotFoundError), (403, PermissionError)],
)
def test_a_file_that_the_server_does_not_give_is_not_asked_for_again(server, target, status, error):
    server.plans.append(Plan(status=status))
    with pytest.raises(error, match=rf"data\.bin: the server answered {status} .* Look elsewhere"):
        get(server, target, help="Look elsewhere.")
    assert server.statuses == [status]
    assert files_in(target.parent) == []


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_busy_server_is_asked_again(server, target, status):
    server.plans.append(Plan(status=status))
    get(server, target)
    assert server.statuses == [status, 200]


def test_a_server_that_stays_busy(server, target):
    server.plans += [Plan(status=503)] * 3
    message = "the server answered 503 Service Unavailable, at the last of 3 attempts"
    with pytest.raises(ConnectionError, match=message):
        get(server, target, n_retries=2)
    assert len(server.log) == 3


def test_delays_grow(server, target, monkeypatch):
    delays = []
    monkeypatch.setattr(_download.time, "sleep", delays.append)
    server.plans += [Plan(status=503)] * 3
    get(server, target, delay=0.5)
    assert delays == [0.5, 1.0, 2.0]


def test_nobody_answers(target):
    with serving() as server:
        url = f"{server.url}/data.bin"
    with pytest.raises(ConnectionError, match="refused, at the last of 2 attempts"):
        download(url, target, n_retries=1, delay=0.0)


def test_a_web_page_is_no_file(server, target):
    # an owner's "we have moved", with the status of a success
    server.plans.append(Plan(body=b"<html>", headers={"Content-Type": "text/html; charset=utf-8"}))
    with pytest.raises(FileNotFoundError, match="answered with a web page, not a file. Look there"):
        get(server, target, help="Look there.")
    assert files_in(target.parent) == []


def test_a_redirection_is_followed_with_its_range(server, target):
    begin(server, target)
    server.put("/elsewhere.bin", BODY)
    server.tags["/elsewhere.bin"] = server.tags["/data.bin"]
    server.plans.append(Plan(location="/elsewhere.bin"))
    get(server, target, md5=MD5)
    assert server.statuses == [302, 206]


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirection_to_something_else_is_not_followed(server, target, location):
    server.plans.append(Plan(location=location))
    with pytest.raises(PermissionError, match="data.bin"):
        get(server, target)
    assert server.statuses == [302]
    assert files_in(target.parent) == []


@pytest.mark.parametrize(
    ("before", "after", "is_followed"),
    [
        ("http", "http", True),
        ("http", "https", True),
        ("https", "https", True),
        ("https", "http", False),
        ("http", "ftp", False),
        ("https", "ftp", False),
    ],
)
def test_which_redirections_are_followed(before, after, is_followed):
    # an address without encryption lets anyone on the way change the file
    request = Request(f"{before}://one/data.bin")
    arguments = (request, None, 302, "", Message(), f"{after}://two/data.bin")
    if is_followed:
        assert _Redirects().redirect_request(*arguments).full_url == f"{after}://two/data.bin"
    else:
        with pytest.raises(PermissionError, match=f"leads to {after}://two.*, which is not foll"):
            _Redirects().redirect_request(*arguments)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/file", "data:,x", "name", None])
def test_only_http(target, url):
    with pytest.raises(ValueError, match="url must begin with http:// or https://, got"):
        download(url, target)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_retries": -1}, ValueError, "n_retries must be an int of at least 0, got -1"),
        ({"n_retries": 1.5}, TypeError, "n_retries must be an int of at least 0, got 1.5"),
        ({"delay": -1}, ValueError, r"delay must be in \[0, inf\), got -1"),
    ],
)
def test_settings_out_of_range(target, options, error, message):
    with pytest.raises(error, match=message):
        download("http://127.0.0.1/x", target, **options)


def wait_for_bytes(target, is_running):
    """Wait until some bytes are in the part; the server holds the last one back."""
    while not (part_of(target).exists() and part_of(target).stat().st_size > 100_000):
        assert is_running()


def in_a_thread(server, target, done):
    thread = threading.Thread(target=lambda: done.append(get(server, target, md5=MD5)))
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
    assert done == [target, target]
    assert len(server.log) == 1
    assert target.read_bytes() == BODY


def test_a_killed_process_is_gone_on_with_by_one_that_waited(server, target):
    held, done = threading.Event(), []
    server.plans.append(Plan(wait=held))
    code = (
        "import sys; from pathlib import Path; from skrec.datasets._web.download import download;"
        "download(sys.argv[1], Path(sys.argv[2]), delay=0.0)"
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
    size = part_of(target).stat().st_size
    assert not target.exists()
    thread.join(60)
    held.set()
    assert server.sent == [("/data.bin", size, len(BODY) - size)]
    assert target.read_bytes() == BODY


def test_a_disk_without_room_is_known_before(server, target):
    server.plans.append(Plan(headers={"Content-Length": str(1 << 60)}))
    with pytest.raises(
        OSError, match="bytes needed, .* free in .*another folder as data_home"
    ) as e:
        get(server, target)
    assert e.value.errno == errno.ENOSPC
    assert len(server.log) == 1  # trying again would not help
    assert not target.exists()


def test_a_disk_that_fills_up_keeps_what_came(server, target):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(OSError, match="is full .*; what came is kept; make room, or give"):
            get(server, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not target.exists()
    assert len(server.log) == 1
    get(server, target, md5=MD5)
    (_, first, n_rest) = server.sent[1]
    assert 0 < first <= 1_000_000
    assert first + n_rest == len(BODY)


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").touch()
    message = "data_home must be a folder that can be written to; .*file.* can't"
    with pytest.raises(OSError, match=message):
        get(server, tmp_path / "file" / "data.bin")
    assert server.log == []


def test_progress_is_told(server, target, capsys, monkeypatch):
    monkeypatch.setattr("skrec.datasets._web.transfer.SECONDS", 0.0)
    server.plans.append(Plan(cut=HALF))
    get(server, target, verbose=True)
    told = capsys.readouterr().err
    assert re.search(r"\[skrec\] data.bin: [\d.]+ of 3.0 MB \(\d+%\)", told)
    assert re.search(r"data.bin: going on at [\d.]+ MB", told)
    assert told.endswith("[skrec] data.bin: 3.0 MB, checked\n")


def test_nothing_is_told_otherwise(server, target, capsys):
    get(server, target)
    assert capsys.readouterr() == ("", "")
