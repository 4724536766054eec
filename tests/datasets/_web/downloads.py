"""A file to download, and what the tests of downloads share."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from file_server import Plan

from skrec.datasets._web.download import download, fault

ROOT = Path(__file__).parents[3]
BODY = np.random.default_rng(0).bytes(3_000_000)
NEW = np.random.default_rng(1).bytes(2_500_000)
TWIN = np.random.default_rng(2).bytes(len(BODY))  # another version of the same size
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
FIRST = "sha256:"  # nobody publishes a checksum
HALF = 1_200_000


def get(server, target, checksum=FIRST, n_retries=3, verbose=False):
    download(f"{server.url}/data.bin", target, checksum, [0.0] * (n_retries + 1), verbose)


def state_of(target, suffix):
    return target.parent / ".download" / f"{target.name}.{suffix}"


def fault_of(target, checksum=FIRST):
    return fault(target, target, checksum)


def bytes_in(folder):
    """Return the names of files below a folder that contain bytes of the download."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 500]
    return sorted(path.name for path in found)


def begin(server, target, **plan):
    """Leave a part of half the file, as a process does whose connection was cut for good."""
    server.plans.append(Plan(cut=HALF, **plan))
    with pytest.raises(ConnectionError):
        get(server, target, n_retries=0)
    server.log.clear()
    size = state_of(target, "part").stat().st_size
    assert 0 < size <= HALF
    return size
