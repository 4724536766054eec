"""Read Markdown pages in Sphinx, so that GitHub and the documentation show the same file.

markdown-it parses a page, and this module converts its tree to docutils nodes. It supports the
parts of Markdown that docs/*.md use, and raises an error for others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes
from docutils.parsers import Parser
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from sphinx import addnodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

BLOCKS = {
    "bullet_list": nodes.bullet_list,
    "ordered_list": nodes.enumerated_list,
    "list_item": nodes.list_item,
    "blockquote": nodes.block_quote,
}
WITH_TEXT = {"paragraph": nodes.paragraph, "strong": nodes.strong, "em": nodes.emphasis}


class MarkdownParser(Parser):
    """Parser of CommonMark with tables."""

    supported = ("md", "markdown")

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Add the nodes of a page to `document`."""
        self.setup_parse(inputstring, document)
        tokens = MarkdownIt("commonmark").enable("table").parse(inputstring)
        parents: list[nodes.Element] = [document]  # parents[n] is the parent below level n
        for child in SyntaxTreeNode(tokens).children:
            if child.type != "heading":
                parents[-1] += convert(child)
                continue
            title = nodes.title("", "", *convert_children(child))
            section = nodes.section("", title, names=[nodes.fully_normalize_name(title.astext())])
            document.note_implicit_target(section, section)
            level = int(child.tag.removeprefix("h"))
            parents[level:] = [section]
            parents[level - 1] += section
        self.finish_parse()


def convert_children(node: SyntaxTreeNode) -> list[nodes.Node]:
    """Convert the children of a node; an inline node is replaced by its children."""
    return [
        convert(inner)
        for child in node.children
        for inner in (child.children if child.type == "inline" else [child])
    ]


def convert(node: SyntaxTreeNode) -> nodes.Node:
    """Convert a node of the tree, or raise a ValueError if its kind is not supported."""
    kind = node.type
    if kind in BLOCKS:
        return BLOCKS[kind]("", *convert_children(node))
    if kind in WITH_TEXT:
        return WITH_TEXT[kind]("", "", *convert_children(node))
    if kind in ("text", "softbreak"):
        return nodes.Text(node.content if kind == "text" else "\n")
    if kind == "code_inline":
        return nodes.literal(node.content, node.content)
    if kind == "fence":
        code = node.content.rstrip("\n")
        return nodes.literal_block(code, code, language=node.info.strip() or "none")
    if kind == "link":
        return convert_link(node)
    if kind == "table":
        return convert_table(node)
    raise ValueError(f"docs/_extensions/plain_markdown.py does not read {kind!r} of Markdown yet")


def convert_link(node: SyntaxTreeNode) -> nodes.Node:
    """Convert a link; a relative link refers to another page of the documentation."""
    target = str(node.attrs["href"])
    if "://" in target:
        return nodes.reference("", "", *convert_children(node), refuri=target)
    page = target.removesuffix(".md")
    text = nodes.inline("", "", *convert_children(node))
    return addnodes.pending_xref(
        "", text, refdomain="std", reftype="doc", refexplicit=True, reftarget=page, refwarn=True
    )


def convert_table(node: SyntaxTreeNode) -> nodes.table:
    """Convert a table. The head has one row, and the body may be empty."""
    rows = [
        [convert_cell(cell) for cell in row.children]
        for part in node.children
        for row in part.children
    ]
    n_columns = len(rows[0])
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in range(n_columns)), cols=n_columns)
    group += nodes.thead("", nodes.row("", *rows[0]))
    group += nodes.tbody("", *(nodes.row("", *cells) for cells in rows[1:]))
    return nodes.table("", group)


def convert_cell(cell: SyntaxTreeNode) -> nodes.entry:
    """Convert a cell of a table."""
    return nodes.entry("", nodes.paragraph("", "", *convert_children(cell)))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the parser with Sphinx."""
    app.add_source_suffix(".md", "markdown")
    app.add_source_parser(MarkdownParser)
    return {"parallel_read_safe": True}
