"""Write the pages of the API reference from the ``__all__`` of every public module.

The pages are written to files, because autosummary reads sources before events of Sphinx could
change them. ``generated/api.rst`` lists the modules in groups, and each module has a page with a
table of its names. Names for those who write operators are on a page of their own.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import skrec
from skrec._operators import Operator

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Groups of the sidebar. Modules that are not listed follow in the group "More".
GROUPS = {
    "Recommender": ["skrec"],
    "Operators": ["skrec.content", "skrec.behavior", "skrec.predictor"],
    "Models": ["skrec.zoo", "skrec.baselines"],
    "Data and texts": ["skrec.datasets", "skrec.text", "skrec.cache"],
    "Evaluation": ["skrec.metrics", "skrec.model_selection", "skrec.inspection"],
}
DEVELOPERS = ["skrec.nn", "skrec.utils", "skrec.utils.estimator_checks"]
# Names that users of operators never need, because recommenders call them.
CONTRACT = {
    "skrec.content": ["ContentOperator", "Packed", "Resources"],
    "skrec.behavior": ["BehaviorOperator"],
    "skrec.predictor": ["Predictor", "OneVectorPredictor", "DotLikePredictor"],
}
WRITTEN = ".. Written by docs/_extensions/public_api.py at each build.\n"
HEAD = f"""\
{WRITTEN}
API reference
=============

All public classes and functions. Everything else is private and may change.
"""
CONTRACT_HEAD = f"""\
{WRITTEN}
Contract of operators
=====================

What an operator of your own must define. Recommenders call these methods; users of operators do
not need them. :ref:`own-operator` has a complete example, and :mod:`skrec.utils.estimator_checks`
checks an operator.
"""


def public_modules() -> list[ModuleType]:
    """Return the modules with an ``__all__`` and without an underscore in their path."""
    found = {"skrec": skrec}
    for module in pkgutil.walk_packages(skrec.__path__, "skrec."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            found[module.name] = importlib.import_module(module.name)
    first = [name for names in GROUPS.values() for name in names]
    rest = sorted(set(found) - set(first))
    names = [name for name in first if name in found] + rest
    return [found[name] for name in names if public_names(found[name])]


def public_names(module: ModuleType) -> list[str]:
    """Return the exported classes and functions of a module in alphabetical order."""
    exported = [
        name
        for name in getattr(module, "__all__", ())
        if inspect.isclass(getattr(module, name)) or inspect.isfunction(getattr(module, name))
    ]
    return sorted(exported, key=str.lower)


def page_of(module: str) -> str:
    """Return the name of the page of a module."""
    return "api_" + module.replace(".", "_")


def table(module: str, names: list[str]) -> str:
    """Return a table of names with their summaries."""
    lines = [f".. currentmodule:: {module}", "", ".. autosummary::", "   :toctree:"]
    return "\n".join([*lines, "   :nosignatures:", "", *(f"   {name}" for name in names)]) + "\n"


def module_page(module: ModuleType) -> str:
    """Return the page of a module: its summary, its aliases and a table of its names."""
    name = module.__name__
    aliases = ", ".join(f'``"{alias}"``' for alias in sorted(getattr(module, "ALIASES", {})))
    hidden = CONTRACT.get(name, [])
    names = [public for public in public_names(module) if public not in hidden]
    lines = [
        *(WRITTEN, name, "=" * len(name), ""),
        *(f".. module:: {name}", "", inspect.getdoc(module).split("\n\n")[0], ""),
        *([f"Aliases: {aliases}.", ""] if aliases else []),
        *(["Base classes are on the page :doc:`contract`.", ""] if hidden else []),
    ]
    return "\n".join(lines) + "\n" + table(name, names)


def contract_page() -> str:
    """Return the page for those who write operators."""
    parts = [CONTRACT_HEAD]
    for module, names in CONTRACT.items():
        parts += [module, "-" * len(module), "", table(module, names)]
    return "\n".join(parts)


def index_page() -> str:
    """Return the page that lists the modules in groups."""
    modules = {module.__name__: module for module in public_modules()}
    listed = {name for names in GROUPS.values() for name in names}
    rest = [name for name in modules if name not in listed | set(DEVELOPERS)]
    groups = {**GROUPS, "More": rest, "For those who write operators": DEVELOPERS}
    parts = [HEAD]
    for group, names in groups.items():
        names = [name for name in names if name in modules]
        pages = [page_of(name) for name in names]
        if names == DEVELOPERS:
            pages.insert(0, "contract")
        if not pages:
            continue
        parts += [group, "-" * len(group), ""]
        for name in names:
            summary = inspect.getdoc(modules[name]).split("\n\n")[0].replace("\n", " ")
            parts.append(f"- :doc:`{name} <{page_of(name)}>`: {summary}")
        if "contract" in pages:
            parts.append("- :doc:`contract`: What an operator of your own must define.")
        parts += ["", ".. toctree::", "   :hidden:", f"   :caption: {group}", ""]
        parts += [*(f"   {page}" for page in pages), ""]
    return "\n".join(parts)


def pages() -> dict[str, str]:
    """Return all pages as reST, by file name."""
    written = {
        f"{page_of(module.__name__)}.rst": module_page(module) for module in public_modules()
    }
    return {"api.rst": index_page(), "contract.rst": contract_page(), **written}


def write(folder: Path) -> None:
    """Write the pages to a folder and delete those of names that are no longer public."""
    folder.mkdir(exist_ok=True)
    wanted = pages()
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    known = {
        f"{module.__name__}.{name}" for module in public_modules() for name in public_names(module)
    }
    for page in folder.glob("*.rst"):
        if page.name not in wanted and page.stem not in known:
            page.unlink()


def internals() -> dict[str, str]:
    """Return the members that the page of each operator leaves out, for ``:exclude-members:``.

    Operators are configured by users and called by recommenders: methods and attributes of the
    contract are only documented at the base classes.
    """
    modules = {module.__name__: module for module in public_modules()}
    bases = [getattr(modules[module], name) for module, names in CONTRACT.items() for name in names]
    contract = {name for base in bases if issubclass(base, Operator) for name in dir(base)}
    hidden = ", ".join(sorted(name for name in contract if not name.startswith("_")))
    return {
        f"{module}.{name}": hidden
        for module, names in CONTRACT.items()
        for name in public_names(modules[module])
        if name not in names and inspect.isclass(getattr(modules[module], name))
    }


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
