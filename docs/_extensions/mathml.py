"""Show formulas as MathML, which browsers draw without a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes
from docutils.utils.math import latex2mathml

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator


def to_mathml(formula: str, as_block: bool) -> str:
    """Convert a formula of LaTeX to MathML, or raise an error if it is invalid.

    Parts of a block that ``\\quad`` separates get lines of their own, which fit on phones.
    """
    formula = formula.replace(r"\dots", r"\ldots")  # docutils does not know the first
    if not as_block:
        return str(latex2mathml.tex2mathml(formula))
    parts = [latex2mathml.tex2mathml(part, as_block=True) for part in formula.split(r"\quad")]
    return "".join(f'<div class="math" tabindex="0">{part}</div>' for part in parts)


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    self.body.append(to_mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on its own line."""
    self.body.append(to_mathml(node.astext(), as_block=True))
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, which ``html_math_renderer = "mathml"`` selects."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
