"""START HERE. The kernel opens a room, lists tools, calls a tool; it has no tool of its own.

Read on in this order: ``call.py`` (one call), ``tools.py`` and ``contracts.py`` (what a tool is), ``context.py`` (what it
may touch), ``hookspecs.py`` and ``plugins.py`` (how tools come in), ``store/driver.py`` and ``store/transaction.py``
(where things are kept), ``modes.py``, ``identity.py``. Everything users see lives in ``plugins/``.

A kernel is an object; a process can have many::

    async with Kernel(find_base("."), load()) as kernel:
        outcome = await kernel.call("masc_status", {}, local_client())
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

from masc_core import call as calls
from masc_core.call import Call, Outcome, Progress
from masc_core.clock import Clock, SystemClock
from masc_core.context import Caller, Context
from masc_core.contracts import Contract
from masc_core.dialog import Dialog
from masc_core.errors import GuardBroken, MascError
from masc_core.identity import Bindings, Client, local_client
from masc_core.listing import PLAIN, Style
from masc_core.modes import DEFAULT_MODE, Active, Modes, Selection
from masc_core.plugins import Registry
from masc_core.recognition import recognise
from masc_core.records import AGENT_MODES, ROOM_ID, ROOMS, Room
from masc_core.rooms import Base, OpenRoom, Rooms
from masc_core.settings import Settings, load_settings
from masc_core.store.collections import View
from masc_core.store.driver import Key
from masc_core.store.transaction import Transaction
from masc_core.usage import note

__all__ = ["Kernel", "local_client"]


class Kernel:
    """One serving process: the plugins it loaded and the rooms it has open. Use it as an async context manager."""

    def __init__(
        self,
        base: Base,
        registry: Registry,
        *,
        clock: Clock | None = None,
        settings_of: Callable[[Path], Settings] | None = None,
        allow_rooms: Sequence[Path] | None = None,
        style: Style = PLAIN,
    ) -> None:
        self.registry = registry
        self.modes = Modes(registry, style)
        self.bindings = Bindings()
        self.stopping = asyncio.Event()
        self.allow_rooms = allow_rooms
        self._stack = AsyncExitStack()
        found = settings_of or partial(load_settings, sections=registry.sections, tolerant=bool(registry.problems))
        self.rooms = Rooms(clock or SystemClock(), self.stopping, self._stack, found, registry.wrappers)
        self.start_room: OpenRoom = self.rooms.at(base)

    async def __aenter__(self) -> Self:
        with suppress(GuardBroken):  # each call is refused by its name
            await self.opened()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.stopping.set()
        await self._stack.aclose()

    async def opened(self) -> bool:
        """The start room's store is open: there is one, and no broken guard keeps it shut."""
        return self.registry.broken_guard is None and await self.start_room.connect(create=False)

    async def room_record(self, reading: Transaction | None = None) -> Room | None:
        """The start room's record, or ``None`` while there is no room."""
        if not await self.opened():
            return None
        return await View(ROOMS, reading or Transaction(self.start_room.driver)).find(ROOM_ID)

    async def active(self, client: Client, reading: Transaction | None = None) -> Active:
        """The mode in force for a client that was recognised."""
        if client.selection is not None:
            return self.modes.resolve(client.selection)
        record = await self.room_record(reading)
        own = None
        if client.authenticated is not None:
            modes = View(AGENT_MODES, reading or Transaction(self.start_room.driver))
            own = (await modes.peek([client.authenticated.lower()]))[0]
        return self.modes.resolve(self.modes.stored(record, own))

    async def reading(self, *more: Key) -> Transaction | None:
        """A first look at the start room: its record, what guards look at, and ``more``; ``None`` without a room's store."""
        if not await self.opened():
            return None
        reading = Transaction(self.start_room.driver)
        await reading.peek([Key(ROOMS.name, ROOM_ID), *self.registry.first_reads, *more])
        return reading

    async def list_tools(self, client: Client) -> list[dict[str, Any]]:
        """The tools/list array for a client. Equal mode and plugins give the same list object; do not change it."""
        return self.modes.listing((await self.active(client)).categories, client.caller_known)

    async def call(
        self, name: str, arguments: Mapping[str, Any], client: Client, progress: Progress | None = None,
        dialog: Dialog | None = None,
    ) -> Outcome:  # fmt: skip
        """Run one tool for a client. Modes bind MCP clients only, not local commands.

        Raises :class:`ToolNotFound` for a name that no plugin declares; everything else is in the outcome.
        """
        asked = self.modes.asked(name, arguments)
        outcome = await self.run(asked.contract, asked.arguments, client, progress, dialog, asked.through)
        return outcome if asked.through is None else asked.explained(outcome, client)

    async def run(
        self, contract: Contract, arguments: Mapping[str, Any], client: Client, progress: Progress | None = None,
        dialog: Dialog | None = None, through: Contract | None = None,
    ) -> Outcome:  # fmt: skip
        """Run a tool by its contract, also one that is offered to nobody. ``through`` is the tool called to have it run."""
        try:
            self.registry.ensure_guarded()
            reading = await self.reading(*calls.first_reads(self, contract, arguments, client))
            if client.token is not None:
                client = (await recognise(self, client, reading, alone=False)).client
            active = await self.active(client, reading)
            if client.transport != "local":
                self.modes.ensure_enabled(through or contract, active, arguments)
        except MascError as error:
            default = self.modes.resolve(Selection(DEFAULT_MODE))
            return await calls.refuse(self, Call(contract, arguments, client, self.bindings, default), error)
        call = Call(contract, arguments, client, self.bindings, active, progress, reading, dialog)
        outcome = await calls.run(self, call)
        note(call, outcome)
        return outcome

    def context(self, call: Call, room: OpenRoom, record: Room | None, tx: Transaction | None) -> Context:
        """The context of one call, its caller not yet known."""
        now = room.clock.now()
        return Context(
            caller=Caller(), room=record, settings=room.settings, call=call, open=room, modes=self.modes,
            registry=self.registry, tx=tx and tx.dated(now), now=now,
        )  # fmt: skip
