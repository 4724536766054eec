"""Check that every link within the built site leads to a page, and to a place on that page.

No network is used: links to other sites are not opened.
"""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from sphinx.errors import SphinxError

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK = re.compile(r"""<[^<>]*?\s(?:href|src)=["']([^"'<>]*)["']""")
PLACE = re.compile(r"""<[^<>]*?\s(?:id|name)=["']([^"'<>]*)["']""")
COMMENT = re.compile(r"<!--.*?-->|<script(?![^>]*\ssrc)[^>]*>.*?</script>", re.DOTALL)
SHOWN = 20


class DeadLinks(SphinxError):
    """Links of the built site that lead nowhere."""

    category = "Internal links"


def dead_links(folder: Path) -> list[str]:
    """Return one line per link of the pages in a folder that leads nowhere."""
    links, places = {}, {}
    for path in sorted(folder.rglob("*.html")):
        if "_static" in path.relative_to(folder).parts:
            continue
        text = COMMENT.sub("", path.read_text(encoding="utf-8"))
        links[path] = {unescape(link) for link in LINK.findall(text)}
        places[path] = {unescape(place) for place in PLACE.findall(text)}
    found = []
    for path, targets in links.items():
        for link in sorted(targets):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            place = unquote(parts.fragment)
            known = places.get(target, set())
            if not target.exists():
                found.append(f"{path.relative_to(folder)}: {link} does not exist")
            elif place and target.suffix == ".html" and place not in known:
                found.append(f"{path.relative_to(folder)}: {link} names no part of its page")
    return found


def check(app: Sphinx, error: Exception | None) -> None:
    """Raise an error if a link of the site leads nowhere."""
    if error is not None or app.builder.format != "html":
        return
    found = dead_links(Path(app.outdir).resolve())
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise DeadLinks("\n".join(["links that lead nowhere:", *found[:SHOWN], *more]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the check, which comes after all that changes pages."""
    app.connect("build-finished", check, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
