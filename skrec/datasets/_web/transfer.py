"""One request for one file over HTTP: from its beginning, or from where an earlier one was cut."""

from __future__ import annotations

import errno
import http.client
import json
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from skrec._common.messages import say
from skrec._common.version import __version__

TIMEOUT = 60.0  # seconds without a byte
CHUNK = 1 << 20
SECONDS = 5.0  # between two lines of progress
# Some owners' servers answer 403 to the name that urllib gives by itself.
_AGENT = f"skrec/{__version__}"
_TRY_AGAIN = {408, 425, 429}
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MAKE_ROOM = "make room, or give another folder as data_home"


class CutOff(Exception):
    """What another attempt may mend: a cut connection, a busy server, a body that is too short."""


def check_url(url: str) -> None:
    """Raise unless an address is one of HTTP."""
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"url must begin with http:// or https://, got {url!r}")


class Part:
    """What is there of a file, and of which version of it.

    Parameters
    ----------
    path : Path
        Of the bytes; ``<path>.json`` says where they are from.
    """

    def __init__(self, path: Path):
        self.path = path
        self._about = path.with_name(f"{path.name}.json")

    def size(self) -> int:
        """Return the number of bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def begun(self, url: str) -> dict[str, Any]:
        """Return what is known of the version that was begun; empty where it can't go on."""
        try:
            about = json.loads(self._about.read_text(encoding="utf-8"))
            fits = about["url"] == url and bool(about["validator"]) and self.size() > 0
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return about if fits else {}

    def begin(self, url: str, headers: Message, total: int | None) -> None:
        """Drop what is there, and note the version whose bytes come now."""
        self.drop()
        about = {"url": url, "validator": _validator(headers), "total": total}
        self._about.write_text(json.dumps(about), encoding="utf-8")

    def drop(self) -> None:
        """Delete what is there."""
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def forget(self) -> None:
        """Delete the note alone: the bytes have moved on."""
        self._about.unlink(missing_ok=True)


def transfer(url: str, part: Part, *, help: str, verbose: bool) -> None:
    """Bring a file, or the rest of it.

    Parameters
    ----------
    url : str
        Its address.
    part : Part
        Where it goes, and what an earlier attempt left.
    help : str
        What to do where the server has no such file.
    verbose : bool
        Whether progress is printed.

    Raises
    ------
    CutOff
        Where another attempt may succeed.
    OSError
        Where none will: the server refuses, or the disk is full.
    """
    begun = part.begun(url)
    first = part.size() if begun else 0
    if begun and first == begun["total"]:
        return  # ended by its last byte, before it was checked
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    if begun:
        headers |= {"Range": f"bytes={first}-", "If-Range": begun["validator"]}
    with _opened(urllib.request.Request(url, headers=headers), part, help) as response:
        if response.status == 206:
            total: int | None = _check_rest(response.headers, begun, first, part)
        else:
            total = _length(response.headers)
            _refuse_page(url, response.headers, help)
            part.begin(url, response.headers, total)
            first = 0
        _check_room(part.path.parent, total, first)
        name = urlsplit(url).path.rpartition("/")[2]
        if first:
            say(f"{name}: going on at {first / 1e6:,.1f} MB", verbose)
        try:
            n_bytes = _write(_chunks(response), part.path, first, total, name, verbose)
        except OSError as error:
            raise _full(error, part.path.parent) from error
    if total is not None and n_bytes != total:
        raise CutOff(f"the body ended after {n_bytes:,} of {total:,} bytes")


def read_text(url: str) -> str | None:
    """Return a small text; None where the server has none at this address.

    Raises
    ------
    CutOff
        Where another attempt may succeed.
    OSError
        Where none will.
    """
    request = urllib.request.Request(url, headers={"User-Agent": _AGENT})
    try:
        with _opened(request, None, "") as response:
            return b"".join(_chunks(response))[:CHUNK].decode("utf-8", "replace")
    except FileNotFoundError:
        return None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to HTTP only, and never from an encrypted address to one that is not."""

    def redirect_request(  # noqa: D102 - that of the standard library
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after != "https" and not before == after == "http":
            raise PermissionError(f"{req.full_url} leads to {newurl}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # build_opener() would add handlers of file:, ftp: and data:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Redirects,
    ):
        opener.add_handler(handler())
    return opener


def _opened(request: urllib.request.Request, part: Part | None, help: str) -> Any:
    """Send a request; the errors are those of `transfer`."""
    url = request.full_url
    try:
        return _opener().open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        told = f"{error.code} {error.reason}"
        error.close()
        if error.code == 416 and part is not None:
            part.drop()
            raise CutOff("the server has no such range") from None
        if error.code >= 500 or error.code in _TRY_AGAIN:
            raise CutOff(f"the server answered {told}") from None
        kind = FileNotFoundError if error.code in (404, 410) else PermissionError
        raise kind(f"{url}: the server answered {told}. {help}") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise PermissionError(
                f"{url}: the server's certificate is not valid ({error.reason.verify_message}). "
                f"{help}"
            ) from error
        raise CutOff(str(error.reason)) from error
    except PermissionError:
        raise  # a redirection that is not followed
    except (OSError, http.client.HTTPException) as error:
        raise CutOff(repr(error)) from error


def _chunks(response: Any) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise CutOff(repr(error)) from error
        if not chunk:
            return
        yield chunk


def _write(
    chunks: Iterator[bytes], path: Path, n_bytes: int, total: int | None, name: str, verbose: bool
) -> int:
    """Append chunks to the first bytes of a file; return its size."""
    said = time.monotonic()
    with open(path, "ab" if n_bytes else "wb") as file:
        for chunk in chunks:
            file.write(chunk)
            n_bytes += len(chunk)
            if time.monotonic() - said > SECONDS:
                said = time.monotonic()
                of_all = "" if not total else f" of {total / 1e6:,.1f} MB ({n_bytes / total:.0%})"
                say(f"{name}: {n_bytes / 1e6:,.1f}{of_all or ' MB'}", verbose)
    return n_bytes


def _check_rest(headers: Message, begun: dict[str, Any], first: int, part: Part) -> int:
    """Return the size of the whole file; start anew where what comes is not the rest of it."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", "").strip())
    # some servers know Range and do not know If-Range
    same = _validator(headers) in (begun.get("validator"), None)
    if (
        match is None
        or not same
        or int(match[1]) != first
        or begun["total"]
        not in (
            None,
            int(match[2]),
        )
    ):
        part.drop()
        raise CutOff("the file on the server has changed, or the answer is not the rest of it")
    return int(match[2])


def _validator(headers: Message) -> str | None:
    """Return what names a version of a file: its ETag, unless that is weak, or its date."""
    etag = headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")


def _length(headers: Message) -> int | None:
    length = headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _refuse_page(url: str, headers: Message, help: str) -> None:
    """Raise for a web page: an owner's "we have moved", a login, a form."""
    if headers.get_content_type() == "text/html":
        raise FileNotFoundError(f"{url}: the server answered with a web page, not a file. {help}")


def _check_room(folder: Path, total: int | None, first: int) -> None:
    needed, free = (total or 0) - first, shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            errno.ENOSPC, f"{needed:,} bytes needed, {free:,} free in '{folder}'; {_MAKE_ROOM}"
        )


def _full(error: OSError, folder: Path) -> OSError:
    """Return what to raise for a file that can't be written."""
    if error.errno not in _NO_SPACE:
        return error
    return OSError(
        error.errno, f"'{folder}' is full ({error.strerror}); what came is kept; {_MAKE_ROOM}"
    )
