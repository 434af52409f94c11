"""A room with auth on, and clients that come with tokens."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from masc_core.identity import Client
from masc_core.testing import MascApp

Json = dict[str, Any]
UNKNOWN = "0" * 64
HOUR = 3600.0


@define
class Secured:
    """A room with auth on, the admin's token and the room's secret."""

    masc: MascApp
    admin: str
    secret: str
    tokens: dict[str, str] = field(factory=dict)

    async def token(self, agent: str, role: str = "worker", **more: Any) -> str:
        """A new token."""
        made = await self.ask(
            "masc_auth_create_token", self.admin, agent_name=agent, role=role, deliver="result", **more
        )
        self.tokens[agent] = str(made["token"])
        return self.tokens[agent]

    def client(self, token: str | None = None, **facts: Any) -> Client:
        """A client that presents a token, or none."""
        agent = facts.pop("agent", None)
        return self.masc.client(agent, token=token, **facts)

    async def ask(self, tool: str, token: str | None = None, /, **arguments: Any) -> Json:
        """Call a tool with a token, or without; the structured result."""
        return dict((await self.masc.outcome(tool, self.client(token), **arguments)).structured)

    async def error(self, tool: str, token: str | None = None, /, **arguments: Any) -> Json:
        """The error of a call that must be refused."""
        result = await self.ask(tool, token, **arguments)
        assert "error" in result, f"{tool} was expected to be refused and gave {result}"
        error: Json = result["error"]
        return error


async def secured(masc: MascApp, require_token: bool = False, **more: Any) -> Secured:
    """Turn auth on."""
    result = await masc.call("masc_auth_enable", require_token=require_token, deliver="result", **more)
    return Secured(masc, result["admin"]["token"], result["room_secret"])


def code(result: Json) -> str:
    """How a call ended."""
    return str(result["error"]["code"]) if "error" in result else "ok"


def why(error: Json) -> tuple[str, str | None]:
    """Code and reason of an error."""
    return error["code"], error["details"].get("reason")
