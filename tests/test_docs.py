"""The documentation is true: its code runs, and its reference has all that is public."""

import ast
import doctest
import importlib.util
import sys
from pathlib import Path

import pytest
from docutils import nodes
from docutils.utils import new_document
from sphinx.addnodes import pending_xref

from skrec import behavior, content, predictor

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
WRITTEN = [
    path
    for path in sorted(DOCS.rglob("*.rst"))
    if not {"_build", "generated", "auto_examples", "_templates"} & set(path.parts)
]
GUIDE = [path for path in WRITTEN if ">>>" in path.read_text(encoding="utf-8")]
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def load(name):
    """Import a module of docs/_extensions, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_extensions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", GUIDE, ids=name_of)
def test_code_runs_and_prints_what_the_page_says(path):
    failed, tried = doctest.testfile(str(path), module_relative=False, optionflags=OPTIONS)
    assert tried and not failed, "see the captured output"


def test_each_page_of_the_guide_has_code_that_runs():
    # a page whose >>> are all taken out would pass the test above by not being there
    pages = {path.stem for path in (DOCS / "guide").glob("*.rst")} - {"index"}
    assert {"data", "operators", "training", "searching", "cold_start"} <= pages
    assert "language_models" in pages
    assert pages <= {path.stem for path in GUIDE}


def test_reference_has_every_operator_and_every_public_name():
    reference = load("public_api")
    page = reference.page()
    for family in (content, behavior, predictor):
        for operator in family.ALIASES.values():
            assert f"   {operator.__name__}\n" in page, operator
    for module in ("skrec", "skrec.zoo", "skrec.metrics", "skrec.datasets"):
        for name in reference.public_names(sys.modules[module]):
            assert f"   {name}\n" in page, f"{module}.{name}"


def test_reference_drops_the_stubs_of_what_is_public_no_more(tmp_path):
    (tmp_path / "skrec.content.Gone.rst").touch()
    (tmp_path / "skrec.content.CNN.rst").touch()
    load("public_api").write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"api.rst", "skrec.content.CNN.rst"}


def test_markdown_pages_keep_their_parts():
    text = """# Title

## First

A `word` and a [link](FAQ.md).

| a | b |
|---|---|
| 1 | **2** |

## Second

- one
- two
"""
    document = new_document("page")
    load("plain_markdown").MarkdownParser().parse(text, document)
    (page,) = document.children
    title, first, second = page.children
    assert [part[0].astext() for part in (page, first, second)] == ["Title", "First", "Second"]
    paragraph, table = first.children[1:]
    assert title.tagname == "title" and paragraph.astext() == "A word and a link."
    assert paragraph.next_node(pending_xref)["reftarget"] == "FAQ"
    assert [cell.astext() for cell in table.findall(nodes.entry)] == ["a", "b", "1", "2"]
    assert second.children[1].astext().split() == ["one", "two"]


def test_markdown_that_is_not_read_yet_raises():
    with pytest.raises(ValueError, match="does not read 'image'"):
        load("plain_markdown").MarkdownParser().parse("![a](b.png)", new_document("page"))


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_example_is_a_gallery_page(path):
    """Title, cells and a figure: without them the page is bare, or has no thumbnail."""
    text = path.read_text(encoding="utf-8")
    rule, title, closing = ast.get_docstring(ast.parse(text)).splitlines()[:3]
    assert set(rule) == {"="} and rule == closing and len(rule) >= len(title)
    assert text.count("\n# %%\n") >= 3
    assert "plt.show()" in text


def test_from_csv_to_titles_takes_twelve_lines():
    text = (ROOT / "examples" / "plot_00_from_clicks.py").read_text(encoding="utf-8")
    (cell,) = [cell for cell in text.split("\n# %%\n") if "read_csv" in cell]
    lines = [line for line in cell.splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 12
    assert 'columns=["title"]' in lines[-2]
