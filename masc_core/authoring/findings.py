"""What an examination of a plugin package finds."""

from __future__ import annotations

from masc_core.frozen import frozen

__all__ = ["Finding"]


@frozen
class Finding:
    """One thing to mend."""

    rule: str
    """Which rule: package, load, names, descriptions, effects, contracts, examples, hooks, questions, tokens or docs."""
    where: str
    """The file or the tool."""
    what: str
    mend: str
