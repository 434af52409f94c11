"""Sphinx configuration."""

import sys
from pathlib import Path

from masc_core import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "MASC"
author = "MASC contributors"
copyright = "2026, MASC contributors"
release = __version__

extensions = ["myst_parser", "sphinx_click", "masc_docs"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"MASC {release}"
nitpicky = True
