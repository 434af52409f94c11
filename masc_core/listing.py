"""How a tool is shown in tools/list."""

from __future__ import annotations

from typing import Any

from masc_core.contracts import Contract
from masc_core.frozen import frozen

__all__ = ["PLAIN", "Style", "entry"]


@frozen
class Style:
    """How a server renders its lists. It is the server's, not a client's: a list must not vary by connection."""

    terse: bool = False
    """Descriptions end with their first sentence or semicolon."""
    outputs: bool = False
    """The schema of the result is listed too."""


PLAIN = Style()


def entry(contract: Contract, caller_known: bool, style: Style = PLAIN) -> dict[str, Any]:
    """One element of tools/list."""
    tool = contract.tool
    listed: dict[str, Any] = {
        "name": tool.name,
        "description": tool.terse if style.terse else tool.description,
        "inputSchema": contract.listed(caller_known),
    }
    if style.outputs:
        listed["outputSchema"] = contract.result
    listed["annotations"] = tool.annotations()
    return listed
