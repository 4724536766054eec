"""A server and a target folder for downloads."""

import pytest
from file_server import serving

from .downloads import BODY


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as running:
        running.put("/data.bin", BODY)
        yield running


@pytest.fixture
def target(tmp_path):
    return tmp_path / "family" / "data.bin"
