"""Checks of what a server answers: files only, of limited size and without endless waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

UNSIZED = 4 << 30  # maximum number of bytes of an answer that does not say its size
SLOW_SECONDS = 30.0  # in this time, a server must send SLOW_BYTES
SLOW_BYTES = 30_000
# types of answers that are messages, unless the name of the file has one of the endings
MESSAGES: dict[str, tuple[str, ...]] = {
    "text/html": (),
    "application/xhtml+xml": (),
    "application/xml": (".xml",),
    "text/xml": (".xml",),
    "application/json": (".json", ".jsonl", ".json.gz", ".jsonl.gz"),
    "application/problem+json": (),
}
COMPRESSED = (".gz", ".tgz")
BEGINNINGS = {".zip": b"PK", ".gz": b"\x1f\x8b", ".tgz": b"\x1f\x8b"}
PAGES = (b"<!doctype", b"<html", b"<?xml", b"<error")


def wrong_kind(headers: Any, name: str) -> str:
    """Return what is wrong with the headers of an answer, or an empty string.

    Parameters
    ----------
    headers : mapping of str to str
    name : str
        Name of the file that was asked for.

    Returns
    -------
    str
    """
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in MESSAGES and not name.lower().endswith(MESSAGES[kind] or ("\0",)):
        return kind
    encoding = headers.get("Content-Encoding", "").strip().lower()
    is_stored = encoding in ("gzip", "x-gzip") and name.lower().endswith(COMPRESSED)
    if encoding not in ("", "identity") and not is_stored:
        return f"Content-Encoding: {encoding}, which was not asked for"
    return ""


def wrong_content(path: Path, name: str) -> str:
    """Return what is wrong with the beginning of a file, or an empty string.

    Parameters
    ----------
    path : Path
    name : str
        Name of the file that was asked for.

    Returns
    -------
    str
    """
    with open(path, "rb") as file:
        start = file.read(512)
    if not start:
        return "is empty"
    text, name = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower(), name.lower()
    if text.startswith(PAGES) and not name.endswith(".xml"):
        return "is a web page or a message"
    ending = Path(name).suffix
    if not start.startswith(BEGINNINGS.get(ending, b"")):
        return f"is not a {ending} file"
    is_json = text.startswith((b'{"', b"{\n", b"{'")) and ending in (".csv", ".tsv", ".txt")
    return "is a message in JSON" if is_json else ""


def length_of(headers: Any) -> int:
    """Return the Content-Length of an answer, or 0 if it is missing or not a number."""
    text = headers.get("Content-Length", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def chunks(raw: Any, limit: int) -> Iterator[bytes]:
    """Yield the body of an answer as it comes.

    Parameters
    ----------
    raw : urllib3.HTTPResponse
    limit : int
        Maximum number of bytes.

    Yields
    ------
    bytes

    Raises
    ------
    ConnectionError
        If the connection is cut, or the server is too slow.
    OSError
        If there are more bytes.
    """
    from urllib3.exceptions import HTTPError

    began, n_recent, n_bytes = time.monotonic(), 0, 0
    while True:
        try:
            # `read` would wait for all bytes of a chunk, however slowly they come
            chunk = raw.read1(1 << 16, decode_content=False)
        except (HTTPError, TimeoutError) as error:
            raise ConnectionError(f"{error!r}") from error
        if not chunk:
            return
        n_recent, n_bytes = n_recent + len(chunk), n_bytes + len(chunk)
        if n_bytes > limit:
            raise OSError(f"the server sends more than {limit:,} bytes, so nothing is kept")
        yield chunk
        if time.monotonic() - began > SLOW_SECONDS:
            if n_recent < SLOW_BYTES:
                raise ConnectionError(
                    f"the server has sent only {n_recent:,} bytes in {SLOW_SECONDS:.0f} seconds"
                )
            began, n_recent = time.monotonic(), 0
