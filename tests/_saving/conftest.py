"""Data and pretrained files for operators that are saved."""

import pytest

from _combinations import Data, write_pretrained


@pytest.fixture(scope="module")
def data():
    return Data()


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    return write_pretrained(tmp_path_factory.mktemp("pretrained"))
