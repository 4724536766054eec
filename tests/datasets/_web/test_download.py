"""Downloads from a real server: cut, resumed, checked, and never half a file in place."""

import gzip
import hashlib
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pooch
import pytest
from file_server import Plan, serving

from skrec.datasets._web.download import SAFE, download

from .downloads import (
    BODY,
    FIRST,
    HALF,
    MD5,
    NEW,
    SHA256,
    TWIN,
    begin,
    bytes_in,
    fault_of,
    get,
    state_of,
)


@pytest.mark.parametrize("checksum", [MD5, SHA256, FIRST])
def test_a_whole_file(server, target, checksum):
    get(server, target, checksum)
    assert target.read_bytes() == BODY
    assert server.sent == [("/data.bin", 0, len(BODY))]
    assert bytes_in(target.parent) == ["data.bin"]


def test_a_second_call_asks_for_nothing(server, target):
    get(server, target)
    get(server, target)
    get(server, target, MD5)
    assert len(server.log) == 1


def test_a_cut_connection_is_resumed(server, target):
    server.plans.append(Plan(cut=HALF))
    get(server, target, MD5)
    assert target.read_bytes() == BODY
    (_, _, n_cut), (_, first, n_rest) = server.sent
    # a reset may lose some bytes on their way; none of those that came is sent again
    assert n_cut == HALF
    assert 0 < first <= HALF
    assert first + n_rest == len(BODY)
    assert server.statuses == [200, 206]


def test_a_cut_connection_is_resumed_by_a_later_call(server, target):
    size = begin(server, target)
    assert not target.exists()
    get(server, target, MD5)
    assert server.sent == [("/data.bin", size, len(BODY) - size)]
    assert target.read_bytes() == BODY


def test_several_cuts(server, target):
    server.plans += [Plan(cut=800_000), Plan(cut=800_000), Plan(cut=800_000)]
    get(server, target, MD5, n_retries=3)
    firsts = [first for _, first, _ in server.sent]
    assert firsts == sorted(set(firsts))
    assert target.read_bytes() == BODY


def test_a_body_that_ends_early_is_resumed(server, target):
    # the connection closes without an error, and only Content-Length tells
    server.plans.append(Plan(short=HALF))
    get(server, target, MD5)
    assert server.statuses == [200, 206]
    assert target.read_bytes() == BODY


def test_a_body_that_always_ends_early(server, target):
    server.plans += [Plan(short=10), Plan(short=10)]
    with pytest.raises(ConnectionError, match="IncompleteRead.*, attempt 2; call again to resume"):
        get(server, target, n_retries=1)
    assert not target.exists()


def test_a_server_without_ranges_starts_anew(server, target):
    server.plans += [Plan(cut=HALF), Plan(ranges=False)]
    get(server, target, MD5)
    assert server.sent == [("/data.bin", 0, HALF), ("/data.bin", 0, len(BODY))]
    assert target.read_bytes() == BODY


def test_a_server_without_versions_starts_anew(server, target):
    # nothing would tell whether the rest is that of the same file
    without = {"ETag": None}
    server.plans += [Plan(cut=HALF, headers=without), Plan(headers=without)]
    get(server, target)
    assert server.sent[1] == ("/data.bin", 0, len(BODY))
    assert target.read_bytes() == BODY


def test_the_date_names_a_version_without_a_tag(server, target):
    dated = {"ETag": None, "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    size = begin(server, target, headers=dated)
    server.plans.append(Plan(headers=dated, if_range=False))
    get(server, target, MD5)
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
    get(server, target, MD5, n_retries=1)
    assert target.read_bytes() == BODY
    assert server.sent[-1] == ("/data.bin", 0, len(BODY))


def test_a_range_that_the_server_has_not_starts_anew(server, target):
    begin(server, target)
    server.plans.append(Plan(status=416))
    get(server, target, MD5)
    assert server.statuses == [416, 200]


def test_another_address_starts_anew(server, target):
    begin(server, target)
    server.put("/mirror.bin", TWIN)
    server.tags["/mirror.bin"] = server.tags["/data.bin"]
    download(f"{server.url}/mirror.bin", target, FIRST, [0.0], False)
    assert server.sent == [("/mirror.bin", 0, len(TWIN))]
    assert target.read_bytes() == TWIN


@pytest.mark.parametrize("note", [None, "", "nonsense", "http://127.0.0.1/data.bin\n"])
def test_a_part_of_unknown_origin_starts_anew(server, target, note):
    state_of(target, "part").parent.mkdir(parents=True)
    state_of(target, "part").write_bytes(NEW)
    if note is not None:
        state_of(target, "part.version").write_text(note)
    get(server, target)
    assert server.sent == [("/data.bin", 0, len(BODY))]
    assert target.read_bytes() == BODY


def test_a_part_that_is_whole_is_not_sent_again(server, target):
    # the process was killed between the last byte and the new name
    get(server, target)
    target.rename(state_of(target, "part"))
    server.log.clear()
    get(server, target, MD5)
    assert server.sent == [("/data.bin", len(BODY), 0)]
    assert target.read_bytes() == BODY


def test_a_wrong_checksum_leaves_nothing(server, target):
    server.put("/data.bin", NEW)
    found = hashlib.md5(NEW).hexdigest()
    message = f"is damaged: expected the MD5 {MD5[4:]}, got {found}; nothing is kept"
    with pytest.raises(OSError, match=message):
        get(server, target, MD5)
    assert len(server.log) == 1
    assert bytes_in(target.parent) == []


@pytest.mark.parametrize("checksum", [MD5, SHA256])
def test_a_damaged_download_is_not_resumed(server, target, checksum):
    begin(server, target)
    with open(state_of(target, "part"), "r+b") as file:
        file.write(b"damage")
    with pytest.raises(OSError, match="nothing is kept"):
        get(server, target, checksum)
    get(server, target, checksum)
    assert server.sent[-1] == ("/data.bin", 0, len(BODY))
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    ("new", "message"),
    [(NEW, f"expected {len(BODY)} bytes, got {len(NEW)}"), (TWIN, "expected the SHA-256")],
    ids=["of another size", "of the same size"],
)
def test_a_file_is_trusted_when_it_first_comes_and_only_then(server, target, new, message):
    get(server, target)
    target.unlink()
    server.put("/data.bin", new)
    with pytest.raises(OSError, match=f"{message}.*changed the file, delete '.*'") as raised:
        get(server, target)
    assert bytes_in(target.parent) == []
    Path(re.search(r"delete '(.*?)'", str(raised.value))[1]).unlink()
    get(server, target)
    assert target.read_bytes() == new


def test_a_server_that_does_not_send_the_size(server, target):
    for _ in range(2):
        server.plans.append(Plan(headers={"Content-Length": None}))
        get(server, target)
        assert target.read_bytes() == BODY
        target.unlink()


def test_a_known_checksum_counts_for_more_than_the_first_time(server, target):
    get(server, target)
    server.put("/data.bin", NEW)
    get(server, target, f"md5:{hashlib.md5(NEW).hexdigest()}")
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("n_bytes", [len(BODY) - 1, len(BODY)], ids=["shorter", "of the same size"])
def test_a_file_that_was_damaged_is_downloaded_again(server, target, n_bytes):
    get(server, target)
    target.write_bytes((BODY[:-2] + b"!!")[:n_bytes])
    assert re.match(f"is damaged: expected the SHA-256 {SHA256[7:]}, got ", fault_of(target))
    get(server, target)
    assert target.read_bytes() == BODY
    assert fault_of(target) == ""


@pytest.mark.parametrize("checksum", [MD5, FIRST])
def test_a_file_that_was_put_there_by_hand_counts(server, target, checksum):
    target.parent.mkdir(parents=True)
    target.write_bytes(BODY)
    get(server, target, checksum)
    assert server.log == []
    target.write_bytes(TWIN)
    assert fault_of(target, checksum).startswith("is damaged")


def test_a_checksum_is_computed_again_only_if_the_file_was_touched(server, target, monkeypatch):
    get(server, target)
    read = []
    monkeypatch.setattr(pooch, "file_hash", lambda path, name: read.append(path) or SHA256[7:])
    fault_of(target)
    assert read == []
    os.utime(target)
    fault_of(target)
    fault_of(target)
    assert read == [target]


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, FileNotFoundError), (410, FileNotFoundError), (403, PermissionError)],
)
def test_a_file_that_the_server_does_not_give_is_not_asked_for_again(server, target, status, error):
    server.plans.append(Plan(status=status))
    with pytest.raises(error, match=f"the server answered {status}"):
        get(server, target)
    assert server.statuses == [status]
    assert bytes_in(target.parent) == []


def test_a_refusal_keeps_what_came(server, target):
    size = begin(server, target)
    server.plans.append(Plan(status=403))
    with pytest.raises(PermissionError):
        get(server, target)
    server.log.clear()
    get(server, target, MD5)
    assert server.sent == [("/data.bin", size, len(BODY) - size)]


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_busy_server_is_asked_again(server, target, status):
    server.plans.append(Plan(status=status))
    get(server, target)
    assert server.statuses == [status, 200]


def test_a_server_that_stays_busy(server, target):
    server.plans += [Plan(status=503)] * 3
    with pytest.raises(ConnectionError, match="503 Server Error.*, attempt 3; call again"):
        get(server, target, n_retries=2)
    assert len(server.log) == 3


def test_nobody_answers(target):
    with serving() as server:
        url = f"{server.url}/data.bin"
    with pytest.raises(ConnectionError, match=r"(?i)refused.*, attempt 2"):
        download(url, target, FIRST, [0.0, 0.0], False)


def test_a_web_page_is_no_file(server, target):
    # an owner's "we have moved", with the status of a success
    server.plans.append(Plan(body=b"<html>", headers={"Content-Type": "text/html; charset=utf-8"}))
    with pytest.raises(FileNotFoundError, match="the server answered 200 OK text/html"):
        get(server, target)
    assert bytes_in(target.parent) == []


def test_a_file_is_kept_as_it_is_published(server, target):
    # some servers call a .gz file an encoding of another file, and clients decompress it
    packed = gzip.compress(b"text" * 1000)
    server.put("/data.csv.gz", packed)
    server.plans.append(Plan(headers={"Content-Encoding": "gzip"}))
    path = target.with_name("data.csv.gz")
    download(f"{server.url}/data.csv.gz", path, FIRST, [0.0], False)
    assert path.read_bytes() == packed


def test_a_redirection_is_followed_with_its_range(server, target):
    begin(server, target)
    server.put("/elsewhere.bin", BODY)
    server.tags["/elsewhere.bin"] = server.tags["/data.bin"]
    server.plans.append(Plan(location="/elsewhere.bin"))
    get(server, target, MD5)
    assert server.statuses == [302, 206]


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://example.org/x", "//example.org/x"],
)
def test_a_redirection_to_something_else_is_not_followed(server, target, location):
    server.plans.append(Plan(location=location))
    with pytest.raises(PermissionError, match="it leads to .*, which is not https"):
        get(server, target)
    assert server.statuses == [302]
    assert bytes_in(target.parent) == []


@pytest.mark.parametrize(
    ("before", "after", "is_followed"),
    [
        ("http://127.0.0.1/x", "http://localhost:80/y", True),
        ("http://127.0.0.1/x", "https://two/y", True),
        ("https://one/x", "https://two/y", True),
        ("https://one/x", "/y", True),
        ("https://one/x", "http://two/y", False),
        ("https://one/x", "http://127.0.0.1/y", False),
        ("https://one/x", "ftp://two/y", False),
    ],
)
def test_which_redirections_are_followed(target, monkeypatch, before, after, is_followed):
    # an address without encryption lets anyone on the way change the file
    class Downloader:
        def __init__(self, *args, hooks, **options):
            self.hook = hooks["response"]

        def __call__(self, url, output, _):
            headers = {"Location": after}
            self.hook(SimpleNamespace(url=url, status_code=302, headers=headers, is_redirect=True))
            output.write(BODY)

    monkeypatch.setattr(pooch, "HTTPDownloader", Downloader)
    if is_followed:
        download(before, target, FIRST, [0.0], False)
    else:
        with pytest.raises(PermissionError, match=f"it leads to {after}, which is not https"):
            download(before, target, FIRST, [0.0], False)


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://example.org/folder", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost/folder", True),
        ("http://[::1]:8000/folder", True),
        ("http://example.org/folder", False),
        ("http://localhost.example.org", False),
        ("http://localhost:1@example.org/", False),
        ("http://127.0.0.1\\@example.org/", False),
        ("http://example.org\\@127.0.0.1/", False),
        ("file:///etc/passwd", False),
        ("ftp://host/file", False),
        ("data:,x", False),
        ("name", False),
    ],
)
def test_which_addresses_are_safe(url, is_safe):
    assert bool(SAFE.match(url)) == is_safe
