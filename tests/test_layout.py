"""What `lint-imports` cannot see: cheap imports, short files, documented modules."""

import ast
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skrec"
FOLDERS = ["skrec", "tests", "benchmarks", "examples", "docs/_extensions"]

# Slow to import, so they are imported inside the functions that use them.
HEAVY = {"transformers", "peft", "datasets", "accelerate", "huggingface_hub", "pooch", "requests"}
# Not required by a plain installation.
OPTIONAL = {"matplotlib", "polars", "skops", "faiss", "gguf", "pytest"}

LONGEST_FILE = 500
LONGEST = {"skrec/_recommender.py": 900}  # one class, with the docstrings of all its methods
MEDIAN = 250


def sources(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def n_lines(path):
    return path.read_text(encoding="utf-8").count("\n")


def imported_at_top(nodes):
    """Yield the packages that a module imports while it is imported itself.

    Imports in class bodies and under `if` and `try` count. Imports in functions and under
    `if TYPE_CHECKING` do not.
    """
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imported_at_top(node.orelse)
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]
        else:
            yield from imported_at_top(ast.iter_child_nodes(node))


def is_public(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return not any(part.startswith("_") and part != "__init__" for part in parts)


def test_import_skrec_leaves_heavy_packages_alone():
    # the sources alone do not show that a dependency imports one of them
    code = "import json, sys, skrec; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (HEAVY | OPTIONAL) & set(json.loads(done.stdout)) == set()


def test_no_heavy_or_optional_package_at_the_top():
    found = {}
    for path in sources("skrec"):
        names = set(imported_at_top(ast.parse(path.read_text(encoding="utf-8")).body))
        if names & (HEAVY | OPTIONAL):
            found[name_of(path)] = names & (HEAVY | OPTIONAL)
    assert found == {}, "import these inside the functions that use them"


def test_files_are_short():
    lines = {name_of(path): n_lines(path) for path in sources(*FOLDERS)}
    long = {name: n for name, n in lines.items() if n > LONGEST.get(name, LONGEST_FILE)}
    assert long == {}


def test_median_module_is_short():
    assert statistics.median(map(n_lines, sources("skrec"))) <= MEDIAN


def test_public_modules_have_docstrings():
    public = filter(is_public, sources("skrec"))
    missing = [
        name_of(path)
        for path in public
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert missing == []
