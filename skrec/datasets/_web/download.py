"""Downloads that are resumed and verified. A file gets its final name when it is whole and right.

pooch sends the requests and computes the checksums. The folder ``.download``, next to the files,
contains for each file a lock, an unfinished download (``.part``) and its version, and a record of
the file when it was last found to be right (``.verified``: checksum, size and time).
"""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin

from skrec._common.files import check_space, locked, write_whole
from skrec._common.messages import say
from skrec._common.version import __version__
from skrec.datasets._web.answers import UNSIZED, chunks, length_of, wrong_content, wrong_kind

MD5_BYTES = 4096  # maximum size of a file with a checksum
RESERVE = 64 << 20  # bytes that a download of unknown size leaves free
SECONDS = 5.0  # between two lines of progress
# https, or http to this machine
SAFE = re.compile(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)")
_CHANGED = "; if the owner has changed the file, delete '{}'"


def state_file(path: Path, suffix: str) -> Path:
    """Return the path of a file in ``.download`` that belongs to a file or folder."""
    return path.parent / ".download" / f"{path.name}.{suffix}"


def fault(path: Path, target: Path, checksum: str) -> str:
    """Return what is wrong with a file, or an empty string if it is there and right.

    The checksum of a file that is right is recorded. It is computed again if the size or the time
    of the file has changed.

    Parameters
    ----------
    path : Path
        Where the file is.
    target : Path
        Where the file belongs.
    checksum : str
        Checksum of the file, as in the table of sources.

    Returns
    -------
    str
    """
    if not path.is_file():
        return "is missing"
    stat, record, recorded = path.stat(), state_file(target, "verified"), _recorded(target)
    known = recorded[0] or checksum if checksum.endswith(":") else checksum
    state = [str(stat.st_size), str(stat.st_mtime_ns)]
    if recorded == [known, *state]:
        return ""
    import pooch

    algorithm, _, expected = known.partition(":")
    found = pooch.file_hash(path, algorithm)
    if expected not in ("", found):
        name = algorithm.upper().replace("SHA", "SHA-")
        advice = _CHANGED.format(record) if checksum.endswith(":") else ""
        return f"is damaged: expected the {name} {expected}, got {found}{advice}"
    with contextlib.suppress(OSError):  # the folder may be read-only
        record.parent.mkdir(exist_ok=True)
        write_whole(record, [" ".join([f"{algorithm}:{found}", *state]).encode()])
    return ""


def _recorded(target: Path) -> list[str]:
    """Return checksum, size and time of a file when it was last found to be right."""
    record = state_file(target, "verified")
    return record.read_text().split() if record.exists() else ["", "", ""]


def download(url: str, target: Path, checksum: str, delays: list[float], verbose: bool) -> None:
    """Download a file, unless it is there and right. A second process waits for the first.

    Parameters
    ----------
    url : str
    target : Path
    checksum : str
        Checksum of the file, as in the table of sources.
    delays : list of float
        Seconds to wait before each attempt. There are further attempts after a cut connection or
        an answer of a busy server.
    verbose : bool
        Whether to print progress.

    Raises
    ------
    OSError
        If the file can't be downloaded, is not the expected one, or needs more space than is free.
    """
    part, md5_file = state_file(target, "part"), state_file(target, "md5")
    with locked(state_file(target, "lock"), target.parent, "data_home"):
        if not fault(target, target, checksum):
            return  # another process was faster
        if checksum == "md5:":
            checksum = "sha256:"
            with contextlib.suppress(FileNotFoundError):
                _transfer(f"{url}.md5", md5_file, "", delays, verbose=False, limit=MD5_BYTES)
                text = md5_file.read_text(encoding="utf-8", errors="replace")
                md5_file.unlink()
                found = re.findall(r"\b[0-9a-f]{32}\b", text.lower())
                checksum = f"md5:{found[0]}" if found else checksum
        size = _recorded(target)[1] if checksum.endswith(":") else ""
        _transfer(url, part, size, delays, verbose)
        wrong = wrong_content(part, target.name) if checksum.endswith(":") else ""
        if wrong:
            part.unlink()
            raise OSError(f"the download {wrong}; nothing is kept")
        damage = fault(part, target, checksum)
        if damage:
            part.unlink()
            raise OSError(f"the download {damage}; nothing is kept")
        part.replace(target)
    say(f"{target.name}: downloaded and verified", verbose)


def _transfer(
    url: str, part: Path, size: str, delays: list[float], verbose: bool, limit: int = 0
) -> None:
    """Download a file to `part`, with further attempts after failures that may pass."""
    import requests

    for delay in delays:
        time.sleep(delay)
        try:
            return _receive(url, part, size, verbose, limit)
        except (requests.RequestException, ConnectionError) as error:
            reason = error
    raise ConnectionError(f"{reason}, attempt {len(delays)}; call again to resume") from reason


def _receive(url: str, part: Path, size: str, verbose: bool, limit: int) -> None:
    """Request a file, or the rest of it if `part` is the beginning of the server's version.

    `limit` is the maximum number of bytes; 0 means the size that the server sends.
    """
    import pooch

    note = part.with_name(f"{part.name}.version")
    origin, _, version = (note.read_text() if note.exists() else "").partition("\n")
    headers = {"User-Agent": f"skrec/{__version__}", "Accept-Encoding": "identity"}
    name = url.rpartition("/")[2].partition("?")[0]
    total, most, shown_at = 0, 0, 0.0

    def check(response: Any, **_: Any) -> None:
        """Check an answer before a redirect is followed, and before a byte of it is read."""
        nonlocal total, most
        status, answer = response.status_code, response.headers
        address = urljoin(response.url, answer.get("Location", ""))
        is_downgrade = response.url.startswith("https:") and not address.startswith("https:")
        if is_downgrade or not SAFE.match(address):
            raise PermissionError(f"it leads to {address}, which is not https")
        response.iter_content = lambda chunk_size: chunks(response.raw, most)
        if response.is_redirect:
            # requests would read this body, which may be endless
            response._content, response._content_consumed = b"", True
        if response.is_redirect or status in (408, 425, 429) or status >= 500:
            return  # requests follows the redirect, and pooch raises an error for the status
        wrong, length = wrong_kind(answer, name), length_of(answer)
        if status not in (200, 206, 416) or wrong:
            error = FileNotFoundError if status in (200, 404, 410) else PermissionError
            raise error(f"the server answered {status} {response.reason} {wrong}".rstrip())
        tag = answer.get("ETag", answer.get("Last-Modified", ""))
        start = answer.get("Content-Range", "").partition("-")[0]
        if (status, tag, start) != (206, version, f"bytes {file.tell()}"):
            file.seek(0)
            file.truncate()
            note.write_text(f"{url}\n{tag}")
            if status != 200:
                raise ConnectionError("the file on the server has changed")
        total = file.tell() + length
        most = limit or length or max(UNSIZED - file.tell(), 0)
        if limit and length > limit:
            raise OSError(f"the server sends {length:,} bytes in place of at most {limit:,}")
        if size and length and size != str(total):
            advice = _CHANGED.format(part.with_suffix(".verified"))
            raise OSError(f"expected {size} bytes, got {total}{advice}")
        check_space(part.parent, length, part.stem, "data_home")
        response.raw.headers.pop("Content-Encoding", None)  # a .gz file is not decompressed
        response.raw.enforce_content_length = True  # by default only since urllib3 2

    def show(_: int) -> None:
        """Print the progress every few seconds, and stop before the disk is full."""
        nonlocal shown_at
        if not total or file.tell() > total:
            check_space(part.parent, RESERVE, part.stem, "data_home")
        if time.monotonic() - shown_at > SECONDS:
            shown_at = time.monotonic()
            n_bytes = file.tell()
            n_total = max(total, n_bytes)  # the server may not send the size
            say(f"{part.stem}: {n_bytes / 1e6:,.1f} of {n_total / 1e6:,.1f} MB", verbose)

    progress = SimpleNamespace(update=show, reset=lambda: None, close=lambda: None)
    with open(part, "ab" if origin == url and version else "wb") as file:
        if file.tell():
            headers |= {"Range": f"bytes={file.tell()}-", "If-Range": version}
        options = {"headers": headers, "hooks": {"response": check}, "timeout": 60}
        pooch.HTTPDownloader(progress, 1 << 16, **options)(url, file, None)
