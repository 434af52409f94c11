"""What the tests of category core share: clients that can be told apart, and an authenticated admin."""

from __future__ import annotations

from typing import Any

from masc_core.identity import Client, process_binding
from masc_core.testing import MascApp

HOST = process_binding().split(":")[1]
DEAD = f"process:{HOST}:{2**22 + 1}:1.00"
"""The binding of a process that does not exist."""


def stdio(masc: MascApp, binding: str, agent: str | None = None) -> Client:
    """The client of a stdio process."""
    selection = masc.kernel.modes.check("full", (), "process")
    return Client(transport="stdio", source="stdio", agent=agent, bindings=(binding,), selection=selection)


def admin() -> Client:
    """A person at the command line."""
    return Client(transport="local", source="local", bindings=("process:here",), person="human:root")


def session(masc: MascApp, name: str) -> Client:
    """The client of an open MCP session."""
    binding = f"session:{name}@{process_binding().partition(':')[2]}"
    masc.kernel.bindings.sessions.add(binding)
    return masc.client(bindings=(binding,))


async def call(masc: MascApp, client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured result of a call by a certain client."""
    return dict((await masc.outcome(tool, client, **arguments)).structured)
