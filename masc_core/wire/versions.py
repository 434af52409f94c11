"""Which protocol versions we speak, said the same way everywhere."""

from __future__ import annotations

from typing import Any, Final

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS

__all__ = ["SUPPORTED_VERSIONS", "advertise_every_version"]

SUPPORTED_VERSIONS: Final = tuple(reversed(KNOWN_PROTOCOL_VERSIONS))
"""Newest first: the stateless version, then those of the handshake."""


def advertise_every_version(server: Server[Any]) -> None:
    """Make ``server/discover`` list the versions of both eras.

    The SDK lists the stateless era alone. A client of a later version than ours, which also speaks the handshake,
    would take that as a refusal of the handshake and give up.
    """

    async def discover(ctx: ServerRequestContext[Any, Any], params: types.RequestParams) -> types.DiscoverResult:
        return types.DiscoverResult(
            supported_versions=list(SUPPORTED_VERSIONS),
            capabilities=server.get_capabilities(protocol_version=ctx.protocol_version),
            instructions=server.instructions,
        )

    server.add_request_handler("server/discover", types.RequestParams, discover)
