"""An agent that a test plays."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field

from masc_core.contracts import Contract
from masc_core.identity import Client

if TYPE_CHECKING:
    from masc_core.testing.app import MascApp

__all__ = ["ScriptedAgent"]


@define
class ScriptedAgent:
    """An agent that has joined the room. :meth:`MascApp.agent` makes one; it calls as an agent on an MCP endpoint of
    its own does, through the whole pipeline.
    """

    name: str
    """As the room knows it."""
    _app: MascApp = field(repr=False)
    _client: Client = field(repr=False)

    async def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool by name and give its structured result, which was checked against the tool's contract.

        Raises ``AssertionError``, with the error's code and message, when the call is refused.
        """
        outcome = await self._app.outcome(tool, self._client, **arguments)
        if outcome.error is not None:
            raise AssertionError(f"{tool} refused {self.name}: {outcome.error.code}: {outcome.error}")
        return dict(outcome.structured)

    async def refused(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must refuse, and give the error: ``code``, ``message``, ``retryable``, ``details``.

        Raises ``AssertionError``, with the result, when the call is not refused.
        """
        outcome = await self._app.outcome(tool, self._client, **arguments)
        if outcome.error is None:
            raise AssertionError(f"{tool} was to refuse {self.name} and gave {dict(outcome.structured)}")
        error: dict[str, Any] = outcome.structured["error"]
        return error

    async def text(self, tool: str, /, **arguments: Any) -> str:
        """Call a tool, and give the text that a model reads: the result's, or the refusal's."""
        return (await self._app.outcome(tool, self._client, **arguments)).text

    async def read(self, uri: str, /) -> str | bytes:
        """Read a resource of a plugin. Raises ``LookupError`` where there is none, ``AssertionError`` when refused."""
        if (found := self._app.kernel.registry.resources.get(uri)) is None:
            raise LookupError(f"no plugin has a resource {uri}")
        given = await self._given(found.contract, {})
        return str(given["text"]) if "text" in given else base64.b64decode(given["blob"])

    async def prompt(self, name: str, /, **arguments: str) -> str:
        """The text of a plugin's prompt. Raises ``LookupError`` where there is none, ``AssertionError`` when refused."""
        if (found := self._app.kernel.registry.prompts.get(name)) is None:
            raise LookupError(f"no plugin has a prompt {name}")
        return str((await self._given(found.contract, arguments))["text"])

    async def _given(self, contract: Contract, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        outcome = await self._app.kernel.run(contract, arguments, self._client)
        if outcome.error is not None:
            raise AssertionError(f"{contract.tool.name} refused {self.name}: {outcome.error.code}: {outcome.error}")
        return outcome.structured

    async def tools(self) -> list[str]:
        """Names of the tools that the agent's mode offers, in the order of the list."""
        return [listed["name"] for listed in await self._app.kernel.list_tools(self._client)]
