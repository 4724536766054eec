"""Tools for users and for authors of operators: versions for bug reports, and contract checks."""

from __future__ import annotations

import importlib
from types import ModuleType

from skrec.utils._show_versions import show_versions

__all__ = ["estimator_checks", "show_versions"]


def __getattr__(name: str) -> ModuleType:
    # `import skrec` imports this package, and the checks import much that only tests need.
    if name == "estimator_checks":
        return importlib.import_module("skrec.utils.estimator_checks")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
