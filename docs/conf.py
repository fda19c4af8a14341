"""Sphinx: gallery, API pages and the pages that are generated from the library itself."""

import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "examples")]
os.environ.setdefault("MPLBACKEND", "agg")

import generated  # noqa: E402
import measured  # noqa: E402
import plain_text  # noqa: E402

import backlight  # noqa: E402

project = "Backlight"
author = "The Backlight authors"
version = release = backlight.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "README.md", "gallery/*.ipynb", "gallery/*.zip"]

html_theme = "alabaster"
html_title = "Backlight"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["backlight.css"]
html_theme_options = {
    "description": "Train, measure, explain, attack and harden image classifiers",
    "fixed_sidebar": True,
    "page_width": "1180px",
    "sidebar_width": "215px",
    "font_family": "system-ui, sans-serif",
    "head_font_family": "system-ui, sans-serif",
}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
pygments_style = "friendly"
default_role = "literal"  # `names` look the same on pages as in docstrings

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False

# Every reference inside of the project must lead somewhere; names of other projects are not looked up.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!backlight\.).*"),
    (r"py:.*", r"backlight\.(.*\.)?(_\w+|T)"),  # private bases and type variables have no page
]
suppress_warnings = ["ref.python"]  # a class that is documented under two names

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"(drawing|setting)\.py",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "abort_on_example_error": True,
    "capture_repr": (),
    "nested_sections": True,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1,
}


def plain_if_private(app: object, environment: object, node: Any, content: Any) -> Any:
    """Show a name that exists and is not public as plain text; one that does not exist stays an error."""
    name = node.get("reftarget", "")
    return content if name.startswith("backlight.") and exists(name) and not generated.is_public(name) else None


def exists(name: str) -> bool:
    """Whether a dotted name leads to something in a module that is imported: names may hide modules beside them."""
    module, _, last = name.rpartition(".")
    if module in sys.modules:
        return hasattr(sys.modules[module], last) or name in sys.modules
    outer, _, inner = module.rpartition(".")
    return hasattr(getattr(sys.modules.get(outer), inner, None), last)


def setup(app: object) -> None:
    """Connect what turns docstrings and catalogs into pages."""
    generated.write(HERE)
    measured.write(HERE)
    app.connect("autodoc-process-docstring", plain_text.process)  # type: ignore[attr-defined]
    app.connect("missing-reference", plain_if_private)  # type: ignore[attr-defined]
