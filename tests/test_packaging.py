"""The lists in setup.py and what skrec imports are the same."""

import ast
import re
import sys
from pathlib import Path

import pytest

from skrec import __version__

ROOT = Path(__file__).parents[1]
# import names that differ from the name of the distribution
DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "markdown_it": "markdown-it-py",
    "faiss": "faiss-cpu",
}
# extras of the scripts that the guide shows, which tests/test_machines.py runs
RECIPES = ["ray", "dask", "spark", "test"]
# extras for users of skrec; the others are for developers
USER_EXTRAS = ["gguf", "skops", "plot"]


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement).group().lower().replace("_", "-")


def declared():
    """Return the two lists of setup.py, whose values are literals."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    values = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
    return tuple(ast.literal_eval(values[key]) for key in ("INSTALL_REQUIRES", "EXTRAS_REQUIRE"))


def imports(node, inside=False):
    """Yield the name of each imported distribution, and whether a function delays the import."""
    for child in ast.iter_child_nodes(node):
        names = []
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom) and not child.level:
            names = [child.module]
        for name in (name.split(".")[0] for name in names):
            if name != "skrec" and name not in sys.stdlib_module_names:
                yield DISTRIBUTIONS.get(name, name).replace("_", "-"), inside
        yield from imports(child, inside or isinstance(child, ast.FunctionDef | ast.Lambda))


def imported(folder="skrec"):
    """Map each distribution to the files that import it, at the top and inside functions."""
    found = {False: {}, True: {}}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for name, inside in imports(ast.parse(path.read_text(encoding="utf-8"))):
            found[inside].setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return found[False], found[True]


def test_what_is_imported_is_declared():
    required, extras = declared()
    required = {name_of(each) for each in required}
    optional = {name_of(each) for requirements in extras.values() for each in requirements}
    at_top, inside = imported()
    undeclared = {name: at_top[name] for name in set(at_top) - required}
    undeclared |= {name: inside[name] for name in set(inside) - required - optional}
    assert not undeclared


@pytest.mark.parametrize(
    ("folder", "extra"),
    [("tests", "test"), ("docs", "docs"), ("benchmarks", "bench"), ("examples", "plot")],
)
def test_an_extra_has_what_its_folder_imports(folder, extra):
    required, extras = declared()
    used = [extra, *(RECIPES if folder == "docs" else [])]
    known = {name_of(each) for each in [*required, *(r for name in used for r in extras[name])]}
    known |= {path.stem.replace("_", "-") for path in (ROOT / folder).rglob("*.py")}
    known |= {path.stem.replace("_", "-") for path in (ROOT / "benchmarks").glob("*.py")}
    known |= {"docutils"}  # the parser of sphinx
    # benchmarks compare with these, if they are installed
    known |= {"sentence-transformers", "implicit", "rectools"}
    at_top, inside = imported(folder)
    assert (set(at_top) | set(inside)) - known == set()


def test_what_is_declared_is_imported():
    required, extras = declared()
    for name in USER_EXTRAS:
        required = required + extras[name]
    at_top, inside = imported()
    by_others = {"accelerate"}  # transformers imports it, and needs a newer one than it says
    assert {name_of(each) for each in required} - set(at_top) - set(inside) == by_others


def test_a_package_has_one_lower_bound():
    required, extras = declared()
    bounds = {}
    for requirement in [*required, *(each for group in extras.values() for each in group)]:
        assert ">=" in requirement, requirement
        bounds.setdefault(name_of(requirement), set()).add(requirement)
    assert {name: each for name, each in bounds.items() if len(each) > 1} == {}


def test_tested_versions_are_pinned():
    # an unpinned package could change under CI without a commit
    required, extras = declared()
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {name_of(line) for line in pins if line and not line.startswith("#")}
    requirements = {name_of(each) for group in (required, *extras.values()) for each in group}
    assert requirements - pinned == set()


def test_type_annotations_are_shipped():
    # without this file type checkers ignore the annotations of an installed package
    assert (ROOT / "skrec" / "py.typed").is_file()
    assert '"py.typed"' in (ROOT / "setup.py").read_text(encoding="utf-8")


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation
