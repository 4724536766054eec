"""Configuration of Sphinx: ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

import os
import sys
from pathlib import Path

# Must be set before torch is imported. Its threads wait in busy loops, which costs minutes if other
# processes use the same cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

import public_api

import skrec

project = "skrec"
author = "The skrec developers"
project_copyright = f"2026, {author}"
version = release = skrec.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx_design",
    "sphinx_copybutton",
    "plain_markdown",  # for FAQ.md and ARCHITECTURE.md, which GitHub shows, too
    "public_api",
    "mathml",
    "site_pages",
    "internal_links",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "generated/backreferences"]
toc_object_entries = False  # methods would crowd the sidebar
nitpicky = False  # types in docstrings are descriptions, not links
html_math_renderer = "mathml"

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings are more precise
autosummary_generate = True
autosummary_context = {"internals": public_api.internals()}
numpydoc_show_class_members = False  # the class template shows them, and public_api skips some
# The reference is derived from __all__, so new operators need no entry.
public_api.write(HERE / "generated")
# GitHub shows the measurements in the folder of the scripts; here they are a page.
measurements = (HERE.parent / "benchmarks" / "README.md").read_text(encoding="utf-8")
(HERE / "generated" / "benchmarks.md").write_text(measurements, encoding="utf-8")

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "auto_examples",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skrec",),
    "reference_url": {"skrec": None},
    "download_all_examples": False,
    "remove_config_comments": True,
    "min_reported_time": 0,
    "parallel": 2,
    "write_computation_times": False,  # these pages load scripts from other hosts
    "show_memory": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skrec {version}"
html_baseurl = os.environ.get("DOCS_URL", "https://skrec.github.io/skrec/")
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["search.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_context = {
    "default_mode": "auto",
    "github_user": "skrec",
    "github_repo": "skrec",
    "github_version": "main",
    "doc_path": "docs",
}
html_theme_options = {
    "logo": {"text": f"skrec {version}"},
    "use_edit_page_button": True,
    "icon_links": [],
    "navbar_start": ["navbar-logo"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 5,
    "search_as_you_type": True,
    "show_toc_level": 2,
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc", "edit-this-page"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# pages that are not part of a section have no sidebar, which would be empty
alone = ["index", "start", "comparison", "errors", "install", "FAQ", "ARCHITECTURE", "conventions"]
html_sidebars = {page: [] for page in [*alone, "releases", "generated/benchmarks"]}
html_favicon = "_static/icon.svg"
