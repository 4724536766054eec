"""The house stays readable: imports run one way, files are short, import is cheap."""

import ast
import graphlib
import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skrec"

# A module imports only from its own rank or from below. A new module gets its place here.
RANK = {
    "_version": 0,
    "_streams": 0,
    "_arrow": 0,
    "_segments": 0,
    "_large": 0,
    "_states": 0,
    "_store_folders": 0,
    "_operators": 0,
    "_calibration": 0,
    "_processes": 0,
    "_pages": 0,
    "_progress": 0,
    "_random": 0,
    "nn": 0,
    "metrics": 0,
    "cache": 0,
    "_items": 0,
    "_item_files": 1,
    "_user_store": 1,
    "_named_items": 1,
    "_coded": 1,
    "_inputs": 1,
    "_rows": 1,
    "_row_values": 1,
    "_interactions": 1,
    "_explode": 1,
    "_wrapper": 1,
    "lm": 1,
    "content": 2,
    "behavior": 2,
    "predictor": 2,
    "datasets": 2,
    "model_selection": 2,
    "_negatives": 2,
    "_examples": 2,
    "_batches": 2,
    "_losses": 2,
    "_holdout": 2,
    "_network": 3,
    "_training": 4,
    "_inference": 4,
    "_top_k": 4,
    "_parameters": 5,
    "_catalogue": 5,
    "_persistence": 5,
    "_scoring": 5,
    "_verbs": 5,
    "_fitting": 6,
    "_steps": 6,
    "_recommender": 6,
    "_saving": 7,
    "zoo": 7,
    "inspection": 7,
    "utils": 7,
    "__init__": 8,
}

MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted(
    path
    for folder in ("skrec", "tests", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
)

# Slow to import, so imported inside the functions that use them.
HEAVY = {"transformers", "peft", "datasets", "accelerate"}
# Not among the install requirements, so a plain install must do without them.
OPTIONAL = {"matplotlib", "polars", "skops", "faiss"}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def room(path):
    """First-level name under the package: `content` for skrec/content/_cnn.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def top_level_imports(path):
    """Dotted names that a module imports while it is itself imported.

    That includes imports under a top-level `if` or `try` and in class bodies, but not under
    `if TYPE_CHECKING` and not inside functions: those run later, so they may break a cycle or
    delay a slow import, and the ranks do not bind them.
    """
    package = list(path.relative_to(ROOT).parent.parts)

    def visit(nodes):
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from visit(node.orelse)
            elif isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) + 1 - node.level] if node.level else []
                base = base + (node.module.split(".") if node.module else [])
                yield from (".".join([*base, alias.name]) for alias in node.names)
            else:
                yield from visit(ast.iter_child_nodes(node))

    return set(visit(ast.parse(path.read_text()).body))


def rooms_imported(path):
    """Rooms of the package that a module imports, its own left out."""
    rooms = {room(module) for module in MODULES}
    found = set()
    for name in top_level_imports(path):
        first, *rest = name.split(".")
        if first == "skrec":
            # `from skrec import ContentRecommender` imports the package itself, not a room
            found.add(rest[0] if rest and rest[0] in rooms else "__init__")
    return found - {room(path)}


def test_every_module_has_a_rank():
    unranked = {room(path) for path in MODULES} - set(RANK)
    assert not unranked, f"give {sorted(unranked)} a place in RANK"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_only_from_own_rank_or_below(path):
    rank = RANK.get(room(path), 0)
    above = {other for other in rooms_imported(path) if RANK.get(other, 0) > rank}
    assert not above, f"{name_of(path)} imports {sorted(above)}, which stand above it"


def test_imports_have_no_cycle():
    # ranks alone would let two rooms of one rank import each other
    graph = {}
    for path in MODULES:
        graph.setdefault(room(path), set()).update(rooms_imported(path))
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_slow_or_optional_package_at_the_top(path):
    first = {name.split(".")[0] for name in top_level_imports(path)}
    assert not first & (HEAVY | OPTIONAL), "import it inside the function that uses it"


def test_import_skrec_leaves_heavy_packages_alone():
    # catches what the look at the sources cannot: a dependency that imports them
    code = "import json, sys, skrec; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not (HEAVY | OPTIONAL) & set(json.loads(done.stdout))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_file_over_500_lines(path):
    assert path.read_text().count("\n") <= 500


def test_median_module_has_at_most_250_lines():
    assert statistics.median(path.read_text().count("\n") for path in MODULES) <= 250


def is_public(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return not any(part.startswith("_") and part != "__init__" for part in parts)


@pytest.mark.parametrize("path", list(filter(is_public, MODULES)), ids=name_of)
def test_public_module_has_a_docstring(path):
    assert ast.get_docstring(ast.parse(path.read_text()))
