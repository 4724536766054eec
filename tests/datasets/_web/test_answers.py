"""Servers that answer something else than the file, or never stop, leave nothing that counts."""

import json
import time

import pytest
from file_server import Plan

from skrec.datasets._web import answers as _answers
from skrec.datasets._web import download as _download

from .downloads import BODY, FIRST, MD5, bytes_in, get, state_of

PAGE = b"\n<!DOCTYPE html><html><body>Log in first</body></html>"
MESSAGE = json.dumps({"error": "quota exceeded"}).encode()


def fetch(server, target, name, checksum=FIRST, n_retries=0):
    path = target.with_name(name)
    _download.download(f"{server.url}/{name}", path, checksum, [0.0] * (n_retries + 1), False)
    return path


def refused(server, target, message, name="data.bin", error=OSError, checksum=FIRST, **plan):
    """Ask for a file, which is refused, and then again, when the server sends it."""
    server.put(f"/{name}", good := b"PK" + BODY if name.endswith(".zip") else BODY)
    if name.endswith(".gz"):
        server.put(f"/{name}", good := b"\x1f\x8b" + BODY)
    server.plans.append(Plan(**plan))
    with pytest.raises(error, match=message):
        fetch(server, target, name, checksum)
    path = target.with_name(name)
    assert not path.exists()
    assert not state_of(path, "verified").exists()
    server.plans.clear()
    assert fetch(server, target, name).read_bytes() == good


@pytest.mark.parametrize("headers", [{}, {"Content-Length": None}], ids=["sized", "unsized"])
def test_an_empty_answer(server, target, headers):
    refused(server, target, "the download is empty; nothing is kept", body=b"", headers=headers)


@pytest.mark.parametrize("status", [201, 202, 203, 204, 205])
def test_other_statuses_of_success(server, target, status):
    refused(server, target, f"the server answered {status}", status=status)


@pytest.mark.parametrize(
    "kind",
    ["text/html", "Text/HTML; charset=utf-8", "application/json", "application/xml", "text/xml"],
)
def test_types_of_messages(server, target, kind):
    message = f"the server answered 200 OK {kind.partition(';')[0].lower()}"
    refused(server, target, message, headers={"Content-Type": kind})


@pytest.mark.parametrize("name", ["data.json", "data.jsonl", "data.jsonl.gz"])
def test_json_is_kept_where_it_was_asked_for(server, target, name):
    body = b"\x1f\x8b" + BODY if name.endswith("gz") else MESSAGE
    server.put(f"/{name}", body)
    server.plans.append(Plan(headers={"Content-Type": "application/json"}))
    assert fetch(server, target, name).read_bytes() == body


@pytest.mark.parametrize("name", ["data.zip", "data.tar.gz", "data.csv", "data.tsv", "data.bin"])
def test_a_page_without_its_type(server, target, name):
    message = "the download is (a web page or a message|not a)"
    refused(server, target, message, name=name, body=PAGE)


@pytest.mark.parametrize("name", ["data.zip", "data.tar.gz", "data.csv", "data.tsv"])
def test_a_message_without_its_type(server, target, name):
    message = "the download is (a message in JSON|not a)"
    refused(server, target, message, name=name, body=MESSAGE)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "x-gzip", "gzip, gzip"])
def test_an_encoding_that_was_not_asked_for(server, target, encoding):
    message = f"Content-Encoding: {encoding}, which was not asked for"
    refused(server, target, message, name="data.csv", headers={"Content-Encoding": encoding})


def test_an_endless_answer(server, target, monkeypatch):
    monkeypatch.setattr(_download, "UNSIZED", 1_000_000)
    refused(server, target, "sends more than 1,000,000 bytes", endless=True)


def test_an_endless_answer_stops_before_the_disk_is_full(server, target, monkeypatch):
    monkeypatch.setattr(_download, "RESERVE", 1 << 60)
    refused(server, target, "no room in", endless=True)


def test_an_endless_redirection(server, target):
    server.put("/elsewhere", BODY)
    server.plans.append(Plan(location="/elsewhere", endless=True))
    get(server, target, MD5)
    assert target.read_bytes() == BODY


def test_an_answer_that_drips(server, target, monkeypatch):
    monkeypatch.setattr(_answers, "SLOW_SECONDS", 0.3)
    began = time.monotonic()
    message = r"has sent only [\d,]+ bytes in 0 seconds, attempt 1; call again to resume"
    try:
        refused(server, target, message, error=ConnectionError, drip=0.02)
    finally:
        server.stopping.set()
    assert time.monotonic() - began < 20


def test_a_slow_answer_is_resumed(server, target, monkeypatch):
    monkeypatch.setattr(_answers, "SLOW_SECONDS", 0.3)
    server.plans.append(Plan(drip=0.02))
    get(server, target, MD5)
    server.stopping.set()
    assert target.read_bytes() == BODY
    assert server.sent[1][1] > 0


@pytest.mark.parametrize("length", ["-5", "many", "9" * 50, "1_0", "٣"])
def test_a_length_that_is_no_number(length):
    assert _answers.length_of({"Content-Length": length}) == 0


@pytest.mark.parametrize("plan", [{"endless": True}, {"body": MD5[4:].encode() + bytes(10**6)}])
def test_a_large_answer_in_place_of_a_checksum(server, target, plan):
    server.put("/data.bin.md5", b"")
    server.plans.append(Plan(**plan))
    with pytest.raises(OSError, match=r"the server sends .*4,096"):
        get(server, target, "md5:")
    assert bytes_in(target.parent) in ([], ["data.bin.md5"])
    server.put("/data.bin.md5", MD5[4:].encode())
    get(server, target, "md5:")
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("body", [b"\xff\xfe" * 20, b"no digits", b"0" * 40])
def test_a_checksum_that_is_none(server, target, body):
    server.put("/data.bin.md5", body)
    get(server, target, "md5:")
    assert target.read_bytes() == BODY
