"""A small data set and a folder for its copies."""

import pytest

from skrec.datasets._files.converter import Converter


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def videos(tmp_path):
    return write_videos(tmp_path / "MicroLens")


def write_videos(folder):
    folder.mkdir()
    lines = [f"{user},{item},{1000 * item + user}" for user in range(6) for item in range(4)]
    (folder / "MicroLens-100k_pairs.csv").write_text("\n".join(["user,item,timestamp", *lines]))
    titles = [f"{item},A video about {item}" for item in range(12)]
    (folder / "MicroLens-100k_title_en.csv").write_text("\n".join(titles))
    return folder


@pytest.fixture
def read_files(monkeypatch):
    """Return a list that collects the names of the files that are read."""
    names = []
    observe = Converter._observe
    monkeypatch.setattr(
        Converter, "_observe", lambda self, file: (names.append(file.name), observe(self, file))[1]
    )
    return names
