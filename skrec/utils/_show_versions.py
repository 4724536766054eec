"""Versions of everything that matters for a bug report."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys

from skrec._common.messages import warn
from skrec._common.version import __version__

DISTRIBUTION = "contentrec"

# Distributions on the public index that also install a package `skrec`.
KNOWN_CONFLICTS = ("skrec", "scikit-rec")

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "datasets",
    "accelerate",
    "huggingface_hub",
    "safetensors",
    "scikit-learn",
    "numpy",
    "scipy",
    "joblib",
    "pandas",
    "pyarrow",
    "polars",
    "faiss-cpu",
    "skops",
    "gguf",
    "matplotlib",
)


def show_versions() -> None:
    """Print the versions of Python, skrec and related packages, and the devices that torch uses.

    Include the output in bug reports. Packages are not imported, except torch, and those that are
    not installed have the version None.

    Warns
    -----
    UserWarning
        If another distribution that installs a package `skrec` is installed in addition to
        `contentrec`. The two overwrite each other's files and cannot share an environment. The
        output contains the same message.

    Examples
    --------
    >>> import skrec
    >>> skrec.show_versions()
    System:
            python: 3...
    """
    system = {
        "python": " ".join(sys.version.split()),
        "executable": sys.executable,
        "platform": platform.platform(),
    }
    packages = {name: str(_version_of(name)) for name in PACKAGES}
    sections = [
        _section("System", system),
        _section("Packages", {"skrec": __version__, **packages}),
        _section("torch", _torch_settings()),
    ]
    conflicts = _conflicting_distributions()
    message = _conflict_message(conflicts)
    if conflicts:
        sections.append(f"Warning: {message}")
    print("\n\n".join(sections))
    if conflicts:
        warn(message)


def _section(title: str, entries: dict[str, str]) -> str:
    return "\n".join([f"{title}:", *(f"{name:>18}: {value}" for name, value in entries.items())])


def _torch_settings() -> dict[str, str]:
    """Return the number of threads and the CUDA devices of torch."""
    import torch

    cuda = "not available"
    if torch.cuda.is_available():
        devices = range(torch.cuda.device_count())
        cuda = ", ".join(torch.cuda.get_device_name(device) for device in devices)
    return {"threads": str(torch.get_num_threads()), "CUDA": cuda}


def _version_of(distribution: str) -> str | None:
    """Return the version of a distribution, or None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except (importlib.metadata.PackageNotFoundError, KeyError):  # KeyError: damaged metadata
        return None


def _conflicting_distributions() -> list[str]:
    """Return other distributions with a package `skrec`, if `contentrec` is installed too."""
    if _version_of(DISTRIBUTION) is None:
        return []
    try:
        owners = importlib.metadata.packages_distributions().get("skrec", [])
    except Exception:  # It reads all distributions, and any of them may be damaged.
        owners = []
    # Some distributions do not record their files, but these are known by name.
    known = [name for name in KNOWN_CONFLICTS if _version_of(name) is not None]
    names = {_normalize(name) for name in [*owners, *known] if name}
    return sorted(names - {DISTRIBUTION})


def _normalize(name: str) -> str:
    """Return the name of a distribution in its canonical form."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _conflict_message(conflicts: list[str]) -> str:
    distributions = [DISTRIBUTION, *conflicts]
    return (
        f"{' and '.join(distributions)} are installed in one environment, and each of them "
        "installs a package 'skrec', so they overwrite each other's files. Run `pip uninstall "
        f"{' '.join(distributions)}`, then `pip install {DISTRIBUTION}`; packages that need "
        f"{' or '.join(conflicts)} need another environment"
    )
