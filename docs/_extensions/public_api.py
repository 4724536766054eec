"""Write the page of the API reference from the ``__all__`` of every public module.

The page is written to a file, because autosummary reads sources before events of Sphinx could
change them.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import skrec

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# The modules that come first; other public modules follow in alphabetical order.
FIRST = ["skrec", "skrec.content", "skrec.behavior", "skrec.predictor", "skrec.zoo"]
HEAD = """\
.. Written by docs/_extensions/public_api.py at each build.

API reference
=============

All public classes and functions. Everything else is private and may change.
"""


def public_modules() -> list[ModuleType]:
    """Return the modules with an ``__all__`` and without an underscore in their path."""
    found = {"skrec": skrec}
    for module in pkgutil.walk_packages(skrec.__path__, "skrec."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            found[module.name] = importlib.import_module(module.name)
    rest = set(found) - set(FIRST)
    names = [name for name in FIRST if name in found] + sorted(rest)
    return [found[name] for name in names if public_names(found[name])]


def public_names(module: ModuleType) -> list[str]:
    """Return the exported classes and functions of a module: operators with an alias come first."""
    exported = [
        name
        for name in getattr(module, "__all__", ())
        if inspect.isclass(getattr(module, name)) or inspect.isfunction(getattr(module, name))
    ]
    operators = {operator.__name__ for operator in getattr(module, "ALIASES", {}).values()}
    return sorted(exported, key=lambda name: (name not in operators, name.lower()))


def section(module: ModuleType) -> str:
    """Return the section of a module, with its summary, its aliases and a table of its names."""
    name = module.__name__
    summary = inspect.getdoc(module).split("\n\n")[0]
    aliases = ", ".join(f'``"{alias}"``' for alias in sorted(getattr(module, "ALIASES", {})))
    lines = [
        *(name, "-" * len(name), ""),
        *(f".. module:: {name}", "", summary, ""),
        *([f"Aliases: {aliases}.", ""] if aliases else []),
        *(f".. currentmodule:: {name}", ""),
        *(".. autosummary::", "   :toctree:", "   :nosignatures:", ""),
        *(f"   {public}" for public in public_names(module)),
    ]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page as reST."""
    return "\n".join([HEAD, *map(section, public_modules())])


def write(folder: Path) -> None:
    """Write the page to ``folder/api.rst`` and delete stubs of names that are no longer public."""
    folder.mkdir(exist_ok=True)
    path = folder / "api.rst"
    if not path.exists() or path.read_text() != page():
        path.write_text(page())
    known = {
        f"{module.__name__}.{name}" for module in public_modules() for name in public_names(module)
    }
    for stub in folder.glob("skrec.*.rst"):
        if stub.stem not in known:
            stub.unlink()


def skip_foreign(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Skip members that scikit-learn or torch define, because their pages document them."""
    function = obj.fget if isinstance(obj, property) else obj
    owner = getattr(function, "__module__", None) or "skrec"
    return True if owner.split(".")[0] != "skrec" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.connect("autodoc-skip-member", skip_foreign)
    return {"parallel_read_safe": True}
