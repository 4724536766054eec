"""Saving and loading at the same time, what killed processes leave, and modes of files."""

import copy
import os
import threading
import time

import pytest
from killed import run

import skrec
from skrec._saving import folder as _folder


@pytest.fixture
def folder(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    return tmp_path / "model"


# Loading while others save


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_folder_can_be_loaded_while_others_save_to_it(fitted, tmp_path, n_threads):
    folder = tmp_path / "model"
    fitted.save(folder)
    ends, errors = time.monotonic() + 5, []

    def save(seed):
        rec = copy.deepcopy(fitted)
        try:
            while time.monotonic() < ends:
                rec.max_history = rec.batch_size = seed = seed + 1
                rec.save(folder)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(10_000 * k,)) for k in range(1, n_threads + 1)]
    for thread in threads:
        thread.start()
    n_loaded = 0
    while any(thread.is_alive() for thread in threads):
        rec = skrec.load(folder)
        assert rec.max_history == rec.batch_size or rec.max_history == fitted.max_history
        n_loaded += 1
    assert errors == []
    assert n_loaded > 0
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_killed_save_left_is_removed_by_the_next(fitted, folder, tmp_path):
    for name in (".model.0123.new", ".model.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "items.parquet").touch()
    (tmp_path / ".model.lock").touch()
    skrec.load(folder)
    fitted.save(folder)
    assert list(tmp_path.iterdir()) == [folder]
    skrec.load(folder)


def test_a_name_with_signs_of_a_pattern(fitted, tmp_path):
    (tmp_path / ".m[1].0123.new").mkdir()
    fitted.save(tmp_path / "m[1]")
    assert list(tmp_path.iterdir()) == [tmp_path / "m[1]"]


@pytest.mark.parametrize(("umask", "modes"), [(0o022, (0o755, 0o644)), (0o007, (0o770, 0o660))])
def test_modes_follow_the_umask(fitted, tmp_path, umask, modes):
    before = os.umask(umask)
    try:
        fitted.save(tmp_path / "model")
    finally:
        os.umask(before)
    paths = [tmp_path / "model", *(tmp_path / "model").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {modes[0]}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {modes[1]}


def test_an_unreadable_file_is_a_matter_of_permission(folder, monkeypatch):
    real = _folder.sha256

    def refuse(path):
        if path.name == "arrays.safetensors":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(_folder, "sha256", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied.*arrays.safetensors"):
        skrec.load(folder)


KILLED = """
import os

path = sys.argv[1]
rec = skrec.load(path)
expected = rec.recommend([[]], k=5)[1]

def save(k):
    while True:
        rec.max_history = rec.batch_size = rec.max_history + 1
        rec.save(path)

for k, _ in killings(save, 0.15):
    found = skrec.load(path)
    assert found.max_history == found.batch_size
    assert (found.recommend([[]], k=5)[1] == expected).all()
    if k % 3 == 0:
        rec.max_history = rec.batch_size = 1000 * (k + 1)
        rec.save(path)
        assert os.listdir(os.path.dirname(path)) == ["model"], k
        assert skrec.load(path).max_history == 1000 * (k + 1)
"""


@pytest.mark.slow
def test_kill_at_random_moments_of_a_save(fitted, tmp_path):
    rec = copy.deepcopy(fitted)
    rec.max_history = rec.batch_size = 50
    rec.save(tmp_path / "model")
    run(KILLED, tmp_path / "model")
