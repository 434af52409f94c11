"""Calls a plugin's tools with their examples in a room that exists for nothing else, and compares with what they declare."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from masc_core.authoring.findings import Finding
from masc_core.call import Outcome
from masc_core.contracts import Contract
from masc_core.errors import InternalError, InvalidArgument, MascError, ToolTimedOut
from masc_core.identity import Client
from masc_core.kernel import Kernel
from masc_core.plugins import Registry
from masc_core.rooms import Base
from masc_core.settings import ServerSettings, Settings, StorageSettings
from masc_core.tools import CallerUse

__all__ = ["rehearse"]

_AGENT = "ada"


async def rehearse(registry: Registry, contracts: Iterable[Contract], offered: Iterable[Contract]) -> list[Finding]:
    """What calls with the examples show, and reading the resources and prompts that are ``offered``, with some text for each
    argument. A tool that reaches outside the room is not called."""
    found: list[Finding] = []
    async with _room(registry) as kernel:
        noise = await _Calls(kernel).changed_by("masc_status", {}, None)
        for contract in contracts:
            tool = contract.tool
            if tool.transactional and not tool.open_world:
                for example in tool.examples:
                    found += await _Calls(kernel, noise).findings(contract, example)
        for contract in offered:
            found += await _Calls(kernel, noise).findings(contract, _some_text(contract))
    return found


def _some_text(contract: Contract) -> dict[str, str]:
    """The arguments that a prompt must have."""
    properties = contract.input["properties"]
    return {name: properties[name].get("enum", ["some text"])[0] for name in contract.input.get("required", ())}


@asynccontextmanager
async def _room(registry: Registry) -> AsyncIterator[Kernel]:
    settings = Settings(
        cluster="check", storage=StorageSettings(type="memory"), server=ServerSettings(check_results=True)
    )
    with tempfile.TemporaryDirectory() as scratch:
        base = Base(Path(scratch), may_create=True)
        async with Kernel(base, registry, settings_of=lambda _: settings) as kernel:
            await kernel.call("masc_join", {"agent_name": _AGENT}, _client(None))
            yield kernel


def _client(agent: str | None) -> Client:
    return Client(
        transport="local", source="check", agent=agent, bindings=("check",), person=None if agent else "human:check"
    )


class _Calls:
    def __init__(self, kernel: Kernel, noise: frozenset[str] = frozenset()) -> None:
        self._kernel = kernel
        self._noise = noise
        self._defects = _Defects()

    async def findings(self, contract: Contract, example: Mapping[str, Any]) -> list[Finding]:
        tool = contract.tool
        agent = None if tool.caller is CallerUse.NONE else _AGENT
        changed = await self.changed_by(contract, example, agent)
        found = []
        if isinstance(self._error, MascError):
            found += _of_error(contract, example, self._error, self._defects.last)
        if tool.reads and (written := changed - self._noise):
            what = f"it declares effect read and writes {', '.join(sorted(written))}"
            mend = "declare effect=WRITE: clients and lean mode call reading tools without asking"
            found.append(Finding("effects", tool.name, what, mend))
        return found

    async def changed_by(self, tool: str | Contract, arguments: Mapping[str, Any], agent: str | None) -> frozenset[str]:
        """The collections and logs that a call leaves different."""
        before = await self._contents()
        with self._defects:
            outcome = await self._run(tool, arguments, _client(agent))
        self._error = outcome.error
        after = await self._contents()
        return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))

    async def _run(self, tool: str | Contract, arguments: Mapping[str, Any], client: Client) -> Outcome:
        if isinstance(tool, str):
            return await self._kernel.call(tool, arguments, client)
        return await self._kernel.run(tool, arguments, client)

    async def _contents(self) -> dict[str, Any]:
        snapshot = await self._kernel.start_room.driver.dump()
        contents: dict[str, Any] = dict(snapshot.lasts)
        for document in snapshot.documents:
            contents.setdefault(document.key.collection, []).append((document.key.id, document.version))
        return contents


def _of_error(contract: Contract, example: Mapping[str, Any], error: MascError, defect: str) -> list[Finding]:
    tool, call = contract.tool, f"a call with {dict(example)}"
    if isinstance(error, InternalError | ToolTimedOut):
        defect = defect if isinstance(error, InternalError) else str(error)
        mend = "mend the handler; a refusal is an error class of your own, declared with @error"
        return [Finding("examples", tool.name, f"{call} fails: {defect}", mend)]
    if isinstance(error, InvalidArgument):
        return []  # the contract was asked before
    if type(error).__module__.partition(".")[0] != "masc_core" and type(error) not in tool.errors:
        mend = f"declare errors=[{type(error).__name__}] in @tool"
        return [Finding("contracts", tool.name, f"{call} is refused with {error.code}, which is not declared", mend)]
    return []


class _Defects(logging.Handler):
    """Keeps the last exception that the pipeline logged, and keeps it off the terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""
        self._log = logging.getLogger("masc_core.call")

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.last = f"{type(record.exc_info[1]).__name__}: {str(record.exc_info[1]).splitlines()[0]}"

    def __enter__(self) -> None:
        self._log.addHandler(self)
        self._propagated, self._log.propagate = self._log.propagate, False

    def __exit__(self, *exception: object) -> None:
        self._log.removeHandler(self)
        self._log.propagate = self._propagated
