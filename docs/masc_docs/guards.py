"""The table of guards, from what is loaded."""

from __future__ import annotations

import re

from masc_docs.hooks import specified
from masc_docs.markdown import code, one_line, registry, table

__all__ = ["guards"]

_LABEL = re.compile(r"\A(?:Guard \w+|The guard): ")
"""How some modules begin, which the table says already."""


def guards() -> str:
    """Each guard in the order in which guards are asked: what it says of itself, and the hooks by which it acts."""
    rows = []
    for plugin in registry().plugins:
        if plugin.guard:
            module = registry().manager.get_plugin(f"guard:{plugin.name}")
            about = _LABEL.sub("", one_line((module.__doc__ or "").partition("\n\n")[0]))
            about = about[:1].upper() + about[1:]
            acts = [f"[{name}](hooks.md#{name})" for name in specified() if hasattr(module, name)]
            rows.append((f"[{plugin.name}](guards.md#{plugin.name})", about, ", ".join(acts), code(plugin.module)))
    return table(["Guard", "Does", "By the hooks", "In"], rows)
