"""Versions for bug reports, and the warning about another package of the same name."""

import importlib.metadata
import subprocess
import sys
import warnings

import pytest
import torch

import skrec
from skrec.utils import _show_versions, show_versions

VERSIONS = {"contentrec": "1.2", "torch": "9.9", "scikit-learn": "8.8"}


@pytest.fixture
def installed(monkeypatch):
    """Fake the installed distributions, given as versions by name, and the owners of `skrec`."""

    def fake(versions, owners):
        def version(name):
            if name not in versions:
                raise importlib.metadata.PackageNotFoundError(name)
            if versions[name] is None:
                raise KeyError("Version")
            return versions[name]

        def packages_distributions():
            if isinstance(owners, Exception):
                raise owners
            return {"numpy": ["numpy"], "skrec": owners}

        monkeypatch.setattr(importlib.metadata, "version", version)
        monkeypatch.setattr(importlib.metadata, "packages_distributions", packages_distributions)

    return fake


def lines_of(capsys):
    """Return the printed entries as a dictionary."""
    out = capsys.readouterr().out
    return dict(line.strip().split(": ", 1) for line in out.splitlines() if ": " in line)


def test_versions_of_this_environment(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # skrec may be installed under any name
        assert skrec.show_versions() is None
    shown = lines_of(capsys)
    assert shown["skrec"] == skrec.__version__
    assert shown["torch"] == importlib.metadata.version("torch")
    assert shown["scikit-learn"] == importlib.metadata.version("scikit-learn")
    assert shown["threads"] == str(torch.get_num_threads())
    assert shown["python"].startswith(sys.version.split()[0])
    assert shown["executable"] == sys.executable
    assert set(_show_versions.PACKAGES) < set(shown)


def test_missing_and_damaged_packages_have_no_version(installed, capsys):
    installed(VERSIONS | {"scipy": None}, ["contentrec"])
    show_versions()
    shown = lines_of(capsys)
    assert (shown["torch"], shown["scikit-learn"]) == ("9.9", "8.8")
    assert shown["polars"] == shown["scipy"] == "None"
    assert shown["skrec"] == skrec.__version__


def test_cuda_devices_are_named(monkeypatch, capsys, installed):
    installed(VERSIONS, ["contentrec"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU number {device}")
    show_versions()
    assert lines_of(capsys)["CUDA"] == "GPU number 0, GPU number 1"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    show_versions()
    assert lines_of(capsys)["CUDA"] == "not available"


@pytest.mark.parametrize(
    ("others", "owners", "shown"),
    [
        (["skrec"], ["contentrec", "skrec"], "skrec"),
        (["scikit-rec"], ["scikit_rec", "contentrec", "Scikit.Rec"], "scikit-rec"),
        ([], ["contentrec", "my-skrec-fork"], "my-skrec-fork"),
        # known by name if no files are recorded, or if the files of all cannot be read
        (["skrec"], ["contentrec"], "skrec"),
        (["scikit-rec"], AttributeError("metadata"), "scikit-rec"),
    ],
)
def test_another_package_of_the_same_name_warns(installed, capsys, others, owners, shown):
    installed(VERSIONS | dict.fromkeys(others, "0.1"), owners)
    message = f"contentrec and {shown} are installed in one environment, and each of them installs"
    with pytest.warns(UserWarning, match=message) as caught:
        show_versions()
    assert f"Run `pip uninstall contentrec {shown}`, then `pip" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert f"\nWarning: {message}" in capsys.readouterr().out


def test_two_other_packages_of_the_same_name_are_both_named(installed):
    installed(VERSIONS | {"skrec": "3", "scikit-rec": "4"}, ["contentrec"])
    with pytest.warns(UserWarning, match="contentrec and scikit-rec and skrec are installed"):
        show_versions()


@pytest.mark.parametrize(
    ("versions", "owners"),
    [
        (VERSIONS, ["contentrec"]),
        (VERSIONS, ["contentrec", "Contentrec", None]),  # found twice; no name in its metadata
        (VERSIONS, RuntimeError("damaged metadata")),
        ({}, []),  # a checkout on the path that is not installed
        ({"skrec": "1"}, ["skrec"]),  # no second distribution
    ],
)
def test_one_package_of_the_name_does_not_warn(installed, capsys, versions, owners):
    installed(versions, owners)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        show_versions()
    assert "Warning" not in capsys.readouterr().out


def test_import_skrec_does_not_import_the_checks():
    # the checks import scikit-learn's, which takes half a second
    code = """
import sys
import skrec
assert not [name for name in sys.modules if "estimator_checks" in name]
assert skrec.utils.show_versions is skrec.show_versions
assert skrec.utils.estimator_checks.check_predictor
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_attribute_of_utils_raises():
    with pytest.raises(AttributeError, match=r"'skrec\.utils' has no attribute 'no_checks'"):
        _ = skrec.utils.no_checks
