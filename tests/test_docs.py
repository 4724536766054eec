"""The documentation is true: its code runs, and its reference has all that is public."""

import ast
import doctest
import importlib.util
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.parsers.rst import Parser
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


def messages():
    """Yield the texts in the sources of skrec, with a tab for each value in them."""
    for path in (ROOT / "skrec").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                values = (getattr(part, "value", None) for part in node.values)
                yield "".join(part if isinstance(part, str) else "\t" for part in values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


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
    page = "".join(reference.pages().values())
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
    found = {path.name for path in tmp_path.iterdir()}
    assert {"api.rst", "api_skrec_content.rst", "contract.rst", "skrec.content.CNN.rst"} <= found
    assert "skrec.content.Gone.rst" not in found


def test_operators_hide_what_recommenders_call_and_their_base_classes_show_it():
    hidden = load("public_api").internals()
    assert {"build", "check", "fit"} <= set(hidden["skrec.behavior.GRU"].split(", "))
    assert {"prepare", "use", "keeps_states"} <= set(hidden["skrec.content.CNN"].split(", "))
    assert "language_model" not in hidden["skrec.content.LanguageModel"]
    assert not {"skrec.content.ContentOperator", "skrec.predictor.Predictor"} & set(hidden)


def test_messages_that_are_explained_exist():
    page = (DOCS / "errors.rst").read_text(encoding="utf-8")
    explained = re.findall(r"^``(.*)``$", page, re.MULTILINE)
    assert len(explained) > 40
    known = list(messages())
    for message in explained:
        parts = [re.escape(part) for part in message.split("...") if part]
        pattern = re.compile(".*".join(parts), re.DOTALL)
        assert any(pattern.search(text) for text in known), message


def test_messages_that_are_explained_are_in_alphabetical_order():
    page = (DOCS / "errors.rst").read_text(encoding="utf-8")
    for topic in re.split(r"\n-{3,}\n", page):
        explained = re.findall(r"^``(.*)``$", topic, re.MULTILINE)
        keys = [re.sub(r"[^a-z ]", "", message.lower()).strip() for message in explained]
        starts = [message.startswith("...") for message in explained]
        assert starts == sorted(starts, reverse=True)
        for same in (True, False):
            chosen = [key for key, start in zip(keys, starts, strict=True) if start == same]
            assert chosen == sorted(chosen)


def test_formulas_become_mathml_and_bad_ones_raise():
    to_mathml = load("mathml").to_mathml
    assert "<msub>" in to_mathml(r"x_1, \dots, x_n", as_block=True)
    with pytest.raises(ValueError, match="nonsense"):
        to_mathml(r"\nonsense", as_block=False)


def test_style_sheets_keep_the_rules_of_words_on_the_pages():
    text = ":root{--a:1}.a,.b{x:1}.c{y:2}@media (x){.a{z:1}.c{k:3}}a:not(.c) .b{q:1}"
    kept = ":root{--a:1}.a,.b{x:1}@media (x){.a{z:1}}a:not(.c) .b{q:1}"
    assert load("site_pages").used_rules(text, {"a", "b"}) == kept


def test_pages_are_mended_once_and_load_the_search_when_it_opens():
    script = '<script src="../searchindex.js"></script>'
    page = f'<div class="highlight"><pre>code</pre></div>{script}'
    pages = load("site_pages")
    once = pages.mend(page)
    assert once == '<div class="highlight"><pre tabindex="0">code</pre></div>' == pages.mend(once)
    assert script in pages.mend(page, is_search=True)
    title = "<h1>Content<wbr>Recommender<a"
    assert pages.mend("<h1>ContentRecommender<a") == title == pages.mend(title)


def test_names_of_metrics_are_no_mail_addresses():
    document = new_document("page", get_default_settings(Parser))
    Parser().parse("The nDCG@10 of `a page <https://example.org>`__.", document)
    load("site_pages").unlink_metrics(None, document)
    assert document.astext() == "The nDCG@10 of a page."
    (link,) = document.findall(nodes.reference)
    assert link["refuri"] == "https://example.org"


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "a.html").write_text(
        '<h1 id="top">A</h1><a href="#top">1</a><a href="../b.html#here">2</a><a href="../">3</a>'
        '<a href="b.html">4</a><a href="../b.html#there">5</a><img src="a%20b.png">'
        '<a href="https://example.org/c.html#d">6</a><!-- <a href="none.html">7</a> -->'
    )
    (tmp_path / "b.html").write_text('<p id="here"><a href="guide/a.html?x=1#top">8</a></p>')
    (tmp_path / "index.html").write_text("<a class='x' href='b.html'>9</a>")
    assert load("internal_links").dead_links(tmp_path) == [
        "guide/a.html: ../b.html#there names no part of its page",
        "guide/a.html: a%20b.png does not exist",
        "guide/a.html: b.html does not exist",
    ]


def test_the_build_fails_if_a_link_leads_nowhere(tmp_path):
    links = load("internal_links")
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path)
    (tmp_path / "index.html").write_text('<a href="gone.html">1</a>')
    with pytest.raises(links.DeadLinks, match=r"nowhere:\nindex.html: gone.html does not exist$"):
        links.check(app, None)
    links.check(app, ValueError("the build failed before"))
    (tmp_path / "gone.html").touch()
    links.check(app, None)


@pytest.mark.parametrize(
    ("page", "source"),
    [
        ("guide/data", "docs/guide/data.rst"),
        ("auto_examples/plot_01_quickstart", "examples/plot_01_quickstart.py"),
        ("generated/skrec.behavior.GRU", "skrec/behavior/_gru.py"),
        ("generated/benchmarks", "benchmarks/README.md"),
        ("generated/api", None),
    ],
)
def test_edit_links_lead_to_the_source_of_a_page(page, source):
    assert load("site_pages").source_of(page, ".rst") == source


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
