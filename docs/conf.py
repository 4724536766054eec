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
    "plain_markdown",  # for FAQ.md and ARCHITECTURE.md, which GitHub shows, too
    "public_api",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "generated/backreferences"]
toc_object_entries = False  # methods would crowd the sidebar
nitpicky = False  # types in docstrings are descriptions, not links

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings are more precise
autosummary_generate = True
numpydoc_show_class_members = False  # the class template shows them, and public_api skips some
# The reference is derived from __all__, so new operators need no entry.
public_api.write(HERE / "generated")

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
    "show_memory": False,
    "show_signature": False,
}

html_theme = "alabaster"
html_title = f"skrec {version}"
html_static_path = ["_static"]
html_css_files = ["light.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "description": "Content-based recommendation with language models, the scikit-learn way",
    "fixed_sidebar": True,
    "page_width": "1120px",
    "sidebar_width": "230px",
    "font_size": "16px",
    "show_powered_by": False,
    "sidebar_collapse": True,
}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
