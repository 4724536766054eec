"""Write the page of the API reference from the ``__all__`` of every public module.

autosummary reads sources before Sphinx's events could change them, so the page is a file.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import skrec

# What a reader looks for first; further public modules follow by name.
FIRST = ["skrec", "skrec.content", "skrec.behavior", "skrec.predictor", "skrec.zoo"]
# Parts of operators that nobody calls by themselves.
PRIVATE = {"skrec.content._lm"}
HEAD = """\
.. Written by docs/_extensions/public_api.py at each build.

API reference
=============

Every public class and function. What is not listed here is private and may change.
"""


def public_modules() -> list[ModuleType]:
    """Return the modules of skrec whose path has no underscore and that say what is public."""
    found = {"skrec": skrec}
    for module in pkgutil.walk_packages(skrec.__path__, "skrec."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            found[module.name] = importlib.import_module(module.name)
    rest = set(found) - set(FIRST) - PRIVATE
    names = [name for name in FIRST if name in found] + sorted(rest)
    return [found[name] for name in names if public_names(found[name])]


def public_names(module: ModuleType) -> list[str]:
    """Return the classes and functions that a module exports: aliased operators, then the rest."""
    exported = [
        name
        for name in getattr(module, "__all__", ())
        if inspect.isclass(getattr(module, name)) or inspect.isfunction(getattr(module, name))
    ]
    operators = {operator.__name__ for operator in getattr(module, "ALIASES", {}).values()}
    return sorted(exported, key=lambda name: (name not in operators, name.lower()))


def section(module: ModuleType) -> str:
    """Return the section of a module: its summary, its aliases and a table of its names."""
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
    """Return the whole page as reST."""
    return "\n".join([HEAD, *map(section, public_modules())])


def write(folder: Path) -> None:
    """Write the page to ``folder/api.rst`` and remove the stubs of what is public no more."""
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


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what scikit-learn and torch define: their pages document it."""
    function = obj.fget if isinstance(obj, property) else obj
    owner = getattr(function, "__module__", None) or "skrec"
    return True if owner.split(".")[0] != "skrec" else None


def setup(app):
    """Register with Sphinx."""
    app.connect("autodoc-skip-member", skip_foreign)
    return {"parallel_read_safe": True}
