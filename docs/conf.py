"""Configuration of the documentation site: ``sphinx-build -W -b html docs build/site``."""

import re
import tomllib
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

ROOT = Path(__file__).resolve().parent.parent
about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = "zoo"
author = about["authors"][0]["name"]
release = version = about["version"]
copyright = author

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["build", "**/.ipynb_checkpoints"]
root_doc = "index"

# Notebooks are stored with their outputs; a test runs them.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
myst_url_schemes = ("http", "https", "mailto")

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
default_role = "code"

html_theme = "furo"
html_math_renderer = "mathml"  # browsers render it themselves: no script from a network
html_title = f"zoo {release}"
html_static_path = ["_static"]
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5fa5", "color-brand-content": "#0b5fa5"},
    "dark_css_variables": {"color-brand-primary": "#6cb6ff", "color-brand-content": "#6cb6ff"},
}
linkcheck_ignore = [r"https?://.*"]  # built without a network; links inside the site are checked


def inline_math(translator, node):
    """Write an equation within a line."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block_math(translator, node):
    """Write an equation on a line of its own, which scrolls on narrow screens."""
    source = node.astext().strip().replace("{aligned}", "{align*}")  # the converter's name for it
    if "\\\\" in source and "\\begin" not in source:
        source = f"\\begin{{align*}}{source}\\end{{align*}}"
    translator.body.append(f'<div class="math">{convert(source, display="block")}</div>')
    raise nodes.SkipNode


def plain_stars(app, what, name, obj, options, lines):
    """Escape the stars of shapes such as (B, *input_shape), which are no emphasis."""
    for number, line in enumerate(lines):
        parts = line.split("``")
        parts[::2] = [re.sub(r"(?<![*\\])\*(?=\w)", r"\\*", part) for part in parts[::2]]
        lines[number] = "``".join(parts)


def setup(app):
    """Register the renderer of equations and the reading of docstrings."""
    app.connect("autodoc-process-docstring", plain_stars)
    app.add_html_math_renderer("mathml", inline_renderers=(inline_math, None), block_renderers=(block_math, None))
    app.add_css_file("zoo.css")
