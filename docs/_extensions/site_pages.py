"""What the built site has in addition to its text.

Pages get OpenGraph tags and edit links. The site gets a sitemap, and smaller style sheets.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
LONGEST_DESCRIPTION = 200
WORD = re.compile(r"[\w-]+")
MENDED = {
    '<div class="pst-scrollable-table-container">': (
        '<div class="pst-scrollable-table-container" tabindex="0">'
    ),
    '<div class="highlight"><pre>': '<div class="highlight"><pre tabindex="0">',
    '<summary><span class="toctree-toggle"': (
        '<summary aria-label="Pages of this part"><span class="toctree-toggle"'
    ),
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    ' role="doc-biblioentry"': "",
    ' role="doc-backlink"': "",
}
THUMBNAIL = re.compile(  # the link of an example, whose text the style sheet hides
    r'(<div class="sphx-glr-thumbcontainer".*?<a class="reference internal")'
    r'( href="[^"]*"><span class="[^"]*">([^<"]*)</span>)',
    re.DOTALL,
)
HEADING = re.compile(r"(?<=<h1>)\w+(?=<)")  # the name of a class
INNER_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])")
NEGATION = re.compile(r":not\([^()]*\)")
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")


def description(doctree: nodes.document) -> str:
    """Return the first paragraph of a page, cut after a word."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if len(text) > LONGEST_DESCRIPTION:
            return text[:LONGEST_DESCRIPTION].rsplit(" ", 1)[0] + " ..."
        if text:
            return text
    return ""


def open_graph(app: Sphinx, page: str, title: str, doctree: nodes.document) -> str:
    """Return the tags that sites read which show a link to a page."""
    properties = {
        "og:title": title,
        "og:type": "website",
        "og:url": f"{app.config.html_baseurl}{page}.html",
        "og:site_name": app.config.project,
        "og:description": description(doctree),
    }
    tags = [
        f'<meta property="{name}" content="{escape(properties[name])}" />' for name in properties
    ]
    tags.append(f'<meta name="description" content="{escape(properties["og:description"])}" />')
    return "\n".join(tags)


def source_of(page: str, suffix: str) -> str | None:
    """Return the file that one edits to change a page, relative to the root, if there is one."""
    folder, _, name = page.rpartition("/")
    if folder == "auto_examples":
        path = ROOT / "examples" / f"{name}.py"
        return f"examples/{name}.py" if path.exists() else None
    if page == "generated/benchmarks":
        return "benchmarks/README.md"
    if folder != "generated":
        return f"docs/{page}{suffix}"
    if not name.startswith("skrec."):
        return None
    module, _, public = name.rpartition(".")
    try:
        file = inspect.getsourcefile(getattr(importlib.import_module(module), public))
    except (ImportError, AttributeError, TypeError):
        return None
    path = Path(file or "")
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else None


def extend(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add tags and the edit link to the context of a page."""
    if doctree is None:  # the index and the search
        context["theme_use_edit_page_button"] = False
        return
    context["metatags"] = context.get("metatags", "") + open_graph(
        app, page, context.get("title", ""), doctree
    )
    source = source_of(page, context.get("page_source_suffix") or ".rst")
    if source is None:
        context["theme_use_edit_page_button"] = False
        return
    place = "https://github.com/{github_user}/{github_repo}/edit/{github_version}".format(**context)
    context["get_edit_provider_and_url"] = lambda: ("GitHub", f"{place}/{source}")


def unlink_metrics(app: Sphinx, doctree: nodes.document) -> None:
    """Turn mail addresses into text, for which docutils takes names of metrics, such as ndcg@10."""
    for link in list(doctree.findall(nodes.reference)):
        if link.get("refuri", "").startswith("mailto:"):
            link.replace_self(link.children)


def rules(text: str) -> Iterator[tuple[str, str]]:
    """Yield the rules of a style sheet: what comes before the brace, and what is in the braces."""
    start = depth = opened = 0
    for brace in re.finditer(r"[{}]", text):
        if brace.group() == "{":
            opened = opened if depth else brace.start()
            depth += 1
            continue
        depth -= 1
        if not depth:
            yield text[start:opened], text[opened + 1 : brace.start()]
            start = brace.end()


def used_rules(text: str, words: set[str]) -> str:
    """Return a style sheet without the rules for classes that occur on no page."""
    kept = []
    for head, body in rules(text):
        if head.lstrip().startswith(("@media", "@supports", "@layer")) and "{" in body:
            body = used_rules(body, words)
        named = NEGATION.sub("", head)
        selectors = named.split(",") if "{" not in body and "@" not in head else []
        if not selectors or any(set(CLASS.findall(each)) <= words for each in selectors):
            kept.append(f"{head}{{{body}}}")
    return "".join(kept)


def mend(html: str, is_search: bool = False) -> str:
    """Return a page with what the theme lacks for keyboards and screen readers, and lighter.

    Parts that scroll can be reached by the keyboard, buttons and links have names, and lists of
    references have no roles that their parts contradict. Names of classes break between words. The
    index of the search is loaded by search.js, and the icons are a font, so the script for them is
    not needed.
    """
    for old, new in MENDED.items():
        html = html.replace(old, new)
    html = THUMBNAIL.sub(r'\1 aria-label="\3"\2', html)
    html = HEADING.sub(lambda name: INNER_WORD.sub("<wbr>", name.group()), html)
    html = re.sub(r'<script [^>]*src="[^"]*/fontawesome\.js[^"]*"[^>]*></script>', "", html)
    if is_search:
        return html
    return re.sub(r'<script src="[^"]*searchindex\.js[^"]*"[^>]*></script>', "", html)


def make_lighter(app: Sphinx, error: Exception | None) -> None:
    """Mend all pages, and remove what none of them uses from the style sheets of the theme."""
    if error is not None or app.builder.format != "html":
        return
    outdir = Path(app.outdir)
    words: set[str] = set()
    for path in outdir.rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        mended = mend(html, path.name == "search.html")
        if mended != html:
            path.write_text(mended, encoding="utf-8")
        words.update(WORD.findall(mended))
    for path in outdir.glob("_static/**/*.js"):
        words.update(WORD.findall(path.read_text(encoding="utf-8")))
    for name in ("styles/pydata-sphinx-theme.css", "sphinx-design.min.css"):
        path = outdir / "_static" / name
        text = re.sub(r"/\*(?!!).*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        path.write_text(used_rules(text, words), encoding="utf-8")
    for path in outdir.glob("_static/**/*.map"):
        path.unlink()


def write_sitemap(app: Sphinx, error: Exception | None) -> None:
    """Write sitemap.xml and robots.txt after the pages."""
    if error is not None or app.builder.format != "html":
        return
    base = app.config.html_baseurl
    urls = "".join(
        f"<url><loc>{base}{page}.html</loc></url>\n" for page in sorted(app.env.found_docs)
    )
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    schema = "http://www.sitemaps.org/schemas/sitemap/0.9"
    outdir = Path(app.outdir)
    (outdir / "sitemap.xml").write_text(
        f'{head}<urlset xmlns="{schema}">\n{urls}</urlset>\n', encoding="utf-8"
    )
    (outdir / "robots.txt").write_text(f"Sitemap: {base}sitemap.xml\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.connect("doctree-read", unlink_metrics)
    app.connect("html-page-context", extend, priority=900)  # after the theme
    app.connect("build-finished", write_sitemap)
    app.connect("build-finished", make_lighter, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
