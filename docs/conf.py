"""Sphinx configuration."""

from masc_core import __version__

project = "MASC"
author = "MASC contributors"
copyright = "2026, MASC contributors"
release = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"MASC {release}"
