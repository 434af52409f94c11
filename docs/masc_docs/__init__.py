"""A Sphinx extension: what the reference says is made from the code when the documents are built, so it cannot differ.

A line ``<!-- generated: NAME ARGUMENT -->`` in a document stands for what the function of that name in ``GENERATED`` gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from masc_docs.errors import errors
from masc_docs.guards import guards
from masc_docs.hooks import hooks
from masc_docs.settings import settings
from masc_docs.tools import tools

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

__all__ = ["GENERATED", "setup", "with_generated"]

GENERATED: Mapping[str, Callable[..., str]] = {
    "errors": errors,
    "guards": guards,
    "hooks": hooks,
    "settings": settings,
    "tools": tools,
}
_MARKER = re.compile(r"^<!-- generated: (\w+)(?: (\w+))? -->$", re.MULTILINE)


def with_generated(text: str) -> str:
    """A document's text with what is generated in its place. Raises ``KeyError`` for a name that no function has."""
    return _MARKER.sub(lambda m: GENERATED[m[1]](*filter(None, [m[2]])), text)


def _read(_app: Sphinx, _document: str, source: list[str]) -> None:
    source[0] = with_generated(source[0])


def _outdated(_app: Sphinx, environment: BuildEnvironment, *_: object) -> Iterable[str]:
    """The documents that are read anew in every build: the code may have changed."""
    paths = {document: Path(environment.doc2path(document)) for document in environment.found_docs}
    return [document for document, path in paths.items() if _MARKER.search(path.read_text(encoding="utf-8"))]


def setup(app: Sphinx) -> dict[str, Any]:
    """Take part in a build."""
    app.connect("source-read", _read)
    app.connect("env-get-outdated", _outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
