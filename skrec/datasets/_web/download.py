"""Files from the web: whole or not at all, resumed where they were cut, and checked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from skrec._common.checks import check_count
from skrec._common.files import write_whole
from skrec._common.messages import say
from skrec.datasets._headlines.make import check_real
from skrec.datasets._web.transfer import CutOff, Part, check_url, read_text, transfer

STATE = ".download"  # the folder beside a file for its lock, its part and its record
T = TypeVar("T")


def download(
    url: str,
    target: Path,
    *,
    md5: str | None = None,
    sha256: str | None = None,
    size: int | None = None,
    n_retries: int = 3,
    delay: float = 1.0,
    help: str = "",
    verbose: bool = False,
) -> Path:
    """Download a file, unless it is there.

    The bytes go to ``.download/<name>.part`` beside the file, which gets its name when all are
    there and right. What a cut connection or a killed process left is gone on with, by a Range
    request, as long as the server has the same version (its ETag, or its date). ``.download`` also
    keeps the file's SHA-256: a file without a known checksum is trusted when it comes for the first
    time, and must not be another one later. A second process waits for the first.

    Parameters
    ----------
    url : str
        Its address, of HTTP.
    target : Path
        Where it goes.
    md5, sha256 : str, default=None
        What its checksum must be, in hexadecimal digits.
    size : int, default=None
        What its size must be, in bytes.
    n_retries : int, default=3
        Number of attempts after a first one that was cut or met a busy server.
    delay : float, default=1.0
        Seconds before the first of them; doubled before each further one.
    help : str, default=""
        What to do where the file is not to be had, for the message.
    verbose : bool, default=False
        Whether progress is printed.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    ValueError
        For an address that is none of HTTP.
    FileNotFoundError, PermissionError
        Where the server has no such file or does not give it.
    ConnectionError
        Where the last attempt was cut, too; what came is kept for the next call.
    OSError
        Where the checksum or the size is wrong, which is tried twice, and where the disk is full
        or can't be written to.
    """
    check_url(url)
    check_retries(n_retries, delay)
    wanted = _known(md5=md5, sha256=sha256, size=size)
    if not fault(target, **wanted):
        return target
    with locked(target):
        if not fault(target, **wanted):
            return target  # by another process, while this one waited
        recorded = _recorded(target) if not wanted.keys() & {"md5", "sha256"} else {}
        expected = {name: recorded[name] for name in ("size", "sha256") if recorded} | wanted
        part = Part(target.parent / STATE / f"{target.name}.part")
        for is_last in (False, True):
            with_retries(
                lambda: transfer(url, part, help=help, verbose=verbose), url, n_retries, delay
            )
            found = checksums(part.path)
            wrong = _difference(expected, found)
            if not wrong:
                break
            part.drop()
            if is_last:
                raise OSError(f"{url}: {wrong}, twice; nothing is kept.{_hint(target, recorded)}")
            say(f"{target.name}: {wrong}; once more from the beginning", verbose)
        _rename(part, target)
        _record(target, found | {"url": url})
    say(f"{target.name}: {found['size'] / 1e6:,.1f} MB, checked", verbose)
    return target


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of a file or folder, for which a second process waits.

    Raises
    ------
    OSError
        Where there can be no lock, with `data_home` in the message.
    """
    state = target.parent / STATE
    lock = FileLock(state / f"{target.name}.lock")
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise unusable(state, error) from error
    try:
        yield
    finally:
        lock.release()


def unusable(folder: Path, error: OSError) -> OSError:
    """Return an error that tells of the parameter."""
    return type(error)(
        error.errno,
        f"data_home must be a folder that can be written to; '{folder}' can't ({error.strerror})",
    )


def fault(target: Path, **known: Any) -> str:
    """Say why a file can't be taken; empty where it is there and right.

    One that has changed since it was recorded, by its size and time, is read again.

    Parameters
    ----------
    target : Path
    **known : dict
        `md5`, `sha256` and `size`; None where it is not known.

    Returns
    -------
    str
        "is missing", or in what the file is not as expected.
    """
    if not target.is_file():
        return "is missing"
    recorded, wanted, state = _recorded(target), _known(**known), target.stat()
    as_it_was = (state.st_size, state.st_mtime_ns)
    if recorded and (recorded["size"], recorded["mtime_ns"]) == as_it_was:
        found = recorded
    else:
        found = checksums(target)
    # a checksum that is known now counts for more than the one of the first time
    expected = wanted if wanted.keys() & {"md5", "sha256"} else recorded | wanted
    wrong = _difference(expected, found)
    if not wrong and found is not recorded:
        with contextlib.suppress(OSError):  # a shared folder that is read-only is read each time
            _record(target, found)
    return wrong and f"is damaged: {wrong}"


def checksums(path: Path) -> dict[str, Any]:
    """Return `size`, `md5` and `sha256` of a file."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            md5.update(block)
            sha256.update(block)
        n_bytes = file.tell()
    return {"size": n_bytes, "md5": md5.hexdigest(), "sha256": sha256.hexdigest()}


def published_md5(url: str, *, n_retries: int, delay: float) -> str | None:
    """Return the MD5 in a small file of the owner; None where there is no such file."""
    text = with_retries(lambda: read_text(url), url, n_retries, delay) or ""
    found = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    return found[0].lower() if found else None


def with_retries(attempt: Callable[[], T], url: str, n_retries: int, delay: float) -> T:
    """Call until it is not cut off; a ConnectionError after the last time."""
    for n in range(n_retries + 1):
        try:
            return attempt()
        except CutOff as error:
            told = str(error)
        if n < n_retries:
            time.sleep(delay * 2**n)
    raise ConnectionError(
        f"{url}: {told}, at the last of {n_retries + 1} attempts; call again to go on where it "
        "was cut, or raise n_retries or delay"
    )


def check_retries(n_retries: Any, delay: Any) -> None:
    """Raise unless these are a number of retries and a delay."""
    check_count("n_retries", n_retries, 0)
    check_real("delay", delay, 0, math.inf)


def _rename(part: Part, target: Path) -> None:
    """Give a part the name of the whole, once it is on the disk."""
    with open(part.path, "rb") as file:
        os.fsync(file.fileno())
    os.replace(part.path, target)
    part.forget()


def _hint(target: Path, recorded: dict[str, Any]) -> str:
    """Say where an expectation comes from that no owner published."""
    if not recorded:
        return ""
    return (
        " That is expected because the file was so when it came first; if its owner has changed "
        f"it, delete '{_record_of(target)}' to take the new one"
    )


def _known(**checks: Any) -> dict[str, Any]:
    return {name: value for name, value in checks.items() if value is not None}


def _difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    """Say in what a file is not as expected; empty where it is."""
    for name, label in (("size", "size"), ("sha256", "SHA-256"), ("md5", "MD5")):
        value = expected.get(name)
        if value is not None and str(value).lower() != str(found[name]):
            return f"expected the {label} {value}, got {found[name]}"
    return ""


def _record_of(target: Path) -> Path:
    return target.parent / STATE / f"{target.name}.json"


def _recorded(target: Path) -> dict[str, Any]:
    """Return what was noted of a file; empty where nothing was."""
    try:
        record = json.loads(_record_of(target).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(record, dict) and record.keys() >= {"size", "mtime_ns", "md5", "sha256"}
    return record if whole else {}


def _record(target: Path, found: dict[str, Any]) -> None:
    """Note size, time and checksums of a file."""
    record = _recorded(target) | found | {"mtime_ns": target.stat().st_mtime_ns}
    _record_of(target).parent.mkdir(exist_ok=True)
    write_whole(_record_of(target), [json.dumps(record, indent=1).encode()])
